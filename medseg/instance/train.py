"""From images and numbered objects to a model folder: split, plan, prepare, learn, write the card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import nn

from medseg.instance import cases as case_store
from medseg.instance.cases import InstanceCase, prepare_steps
from medseg.instance.loop import Budget, fit_cases, new_network, output_names
from medseg.instance.plan import plan_steps
from medseg.instance.scale import REFERENCE_DIAMETER, look_of
from medseg.io.dataset import Dataset
from medseg.learn.split import check_fold, make_split, read_split, write_split
from medseg.learn.weights import as_tensors
from medseg.models.bundle import save_bundle
from medseg.nets.device import choose
from medseg.planning import Plan, read_case, with_architecture
from medseg.progress import Steps
from medseg.training.card import as_stored, card_fields
from medseg.training.devices import fit_on_devices
from medseg.training.job import check_devices, job_of
from medseg.training.journal import journal_steps
from medseg.training.options import TrainOptions
from medseg.training.start import STATE, check_start


class MakePlan(Protocol):
    """Makes a plan from a data set."""

    def __call__(self, dataset: Dataset, *, name: str, target: Literal["cpu", "gpu"]) -> Steps[Plan]:
        """Read every case and return the plan."""


def train_steps(dataset: Dataset, out: Path, *, options: TrainOptions) -> Steps[Path]:
    """Train a network that separates objects and write its folder.

    What belongs to the training and not to the model (plan, split, log, curves, state) goes to ``OUT.training``.

    Parameters
    ----------
    dataset : Dataset
        Labels number the objects of each image.
    out : Path
        The model folder to make.
    options : TrainOptions

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    InputError
        If a case cannot be used; nothing is trained then.
    UsageError
        If images or labels lack their partner, or the folder is taken.
    """
    check_devices(options.devices, choose(options.device))
    folder = check_start(dataset, out, options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    split = choose_split(dataset, folder, options)
    used = replace(dataset, cases=tuple(c for c in dataset.cases if split.get(c.id) in ("train", "val")))
    plan = yield from settle_plan_steps(used, folder, options, plan_steps)
    yield from prepare_steps(used.cases, plan.input, folder / "cases", resume=options.resume)
    training, tuning = (load_cases(split, part, folder) for part in ("train", "val"))
    network, last = yield from _learn(training, tuning, plan, dataset.groups, folder, options)
    network = as_stored(network, new_network(plan))
    card = card_fields(plan, options, network, n_train=len(training), n_val=len(tuning), facts=last)
    card |= {
        "summary": f"Separates touching objects ({', '.join(plan.classes.values())}); trained for {options.length}.",
        "outputs": output_names(len(plan.input.patch)),
        "split": {"diameter": REFERENCE_DIAMETER},
    }
    return save_bundle(out, card=card, tensors=as_tensors(network))


def halved(split: Mapping[str, str], groups: Mapping[str, str], looks: Mapping[str, str]) -> dict[str, str]:
    """Return the split with every second group of ``val`` turned to ``test``, in the order of group names, per look.

    Parameters
    ----------
    split, groups, looks : mappings of case id
        Part, group and kind of picture; ids without a group stand alone.

    Examples
    --------
    >>> split = {"a": "train", "b": "val", "c": "val", "d": "val"}
    >>> halved(split, {"b": "1", "c": "2", "d": "2"}, dict.fromkeys("bcd", "colour"))
    {'a': 'train', 'b': 'val', 'c': 'test', 'd': 'test'}
    """
    tuning = [i for i in split if split[i] == "val"]
    home = {groups.get(i, i): looks[i] for i in sorted(tuning, reverse=True)}
    kept: set[str] = set()
    for look in set(home.values()):
        names = sorted((g for g, own in home.items() if own == look), key=lambda g: (len(g), g))
        kept.update(names[1::2])
    return {i: "test" if part == "val" and groups.get(i, i) in kept else part for i, part in split.items()}


def choose_split(dataset: Dataset, folder: Path, options: TrainOptions) -> dict[str, str]:
    """Return ``train``, ``val`` or ``test`` by case id, written to ``split.csv``; that of an earlier part is kept."""
    path = folder / "split.csv"
    kept = read_split(path) if options.resume and path.exists() else None
    if kept is not None and options.fold is None:
        return kept
    split = make_split(
        dataset, held_out=options.held_out, validation=options.validation, seed=options.seed, fold=options.fold
    )
    if kept is not None and options.fold is not None:
        check_fold(kept, split, options.fold, path)
    if dataset.split and options.held_out > 0 and options.fold is None and "test" not in split.values():
        looks = {c.id: look_of(read_case(c).numpy()) for c in dataset.cases if split.get(c.id) == "val"}
        split = halved(split, dataset.groups, looks)
    write_split(split, path)
    return split


def settle_plan_steps(dataset: Dataset, folder: Path, options: TrainOptions, make: MakePlan) -> Steps[Plan]:
    """Return the plan that is given, that of an earlier part, or a new one by `make`; written to ``plan.json``."""
    path = folder / "plan.json"
    if options.resume and path.exists():
        return Plan.model_validate_json(path.read_text())
    plan = options.plan
    if plan is None:
        target: Literal["cpu", "gpu"] = "cpu" if choose(options.device).type == "cpu" else "gpu"
        plan = yield from make(dataset, name=options.name, target=target)
    if options.architecture is not None:
        plan = with_architecture(plan, options.architecture)
    path.write_text(plan.model_dump_json(indent=2) + "\n")
    return plan


def load_cases(split: Mapping[str, str], part: str, folder: Path) -> list[InstanceCase]:
    """Open the prepared cases of one part of a split, in the order of their names."""
    return [case_store.load(name, folder / "cases") for name, own in sorted(split.items()) if own == part]


def _learn(
    training: list[InstanceCase],
    tuning: list[InstanceCase],
    plan: Plan,
    groups: Mapping[str, str],
    folder: Path,
    options: TrainOptions,
) -> Steps[tuple[nn.Module, dict[str, float]]]:
    device = choose(options.device)
    if options.devices > 1:
        job = job_of(options, folder, device, groups)
        loop = fit_on_devices("medseg.instance.rank", job, lambda: new_network(plan))
    else:
        loop = fit_cases(
            training,
            tuning,
            plan,
            groups=groups,
            budget=Budget(options.epochs, options.minutes, options.seed),
            device=device,
            state_file=folder / STATE,
            resume=options.resume,
        )
    dice = ("foreground", "boundary")
    return (yield from journal_steps(loop, folder, dice=dice, resume=options.resume))
