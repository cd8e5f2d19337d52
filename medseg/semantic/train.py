"""From a data set of images and labels to a model folder: plan, prepare, learn, choose the cleaning, write the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Literal

import torch
from torch import nn

from medseg.io.dataset import Dataset
from medseg.learn.cases import Case, load_part
from medseg.learn.split import check_fold, make_split, read_split, write_split
from medseg.learn.weights import as_tensors
from medseg.models.bundle import save_bundle
from medseg.nets.device import choose
from medseg.planning import Plan, PlanOptions, plan_steps, with_architecture
from medseg.progress import Steps
from medseg.semantic.calibrate import SHARE_OF_TRAINING, Limits, calibrate_steps, classes_in_all
from medseg.semantic.choose import choose_postprocessing
from medseg.semantic.loop import Budget, fit_cases, new_network
from medseg.semantic.prepare import prepare_steps
from medseg.training.card import as_stored, card_fields
from medseg.training.devices import fit_on_devices
from medseg.training.job import check_devices, job_of
from medseg.training.journal import journal_steps
from medseg.training.options import TrainOptions
from medseg.training.start import STATE, check_start


def train_steps(dataset: Dataset, out: Path, *, options: TrainOptions) -> Steps[Path]:
    """Train a semantic model and write its folder.

    What belongs to the training and not to the model (plan, split, log, curves, state) goes to ``OUT.training``.

    Parameters
    ----------
    dataset : Dataset
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
    device = choose(options.device)
    check_devices(options.devices, device)
    folder = check_start(dataset, out, options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    split = _split(dataset, folder, options)
    # the plan, too, must not know the cases that are kept for the score
    used = replace(dataset, cases=tuple(c for c in dataset.cases if split.get(c.id) in ("train", "val")))
    plan = yield from _plan(used, folder, options, device)
    yield from prepare_steps(used.cases, plan.input, folder / "cases", resume=options.resume)
    training, tuning = (load_part(split, part, folder / "cases") for part in ("train", "val"))
    begun = monotonic()
    network, last = yield from _learn(training, tuning, plan, folder, options)
    spent = monotonic() - begun
    cleaning = yield from choose_postprocessing(network, tuning, plan, device=device)
    confidence = yield from calibrate_steps(
        network,
        tuning,
        plan,
        cleaning,
        always_there=classes_in_all((*training, *tuning), plan.classes),
        limits=Limits(SHARE_OF_TRAINING * spent),
    )
    network = as_stored(network, new_network(plan))
    card = card_fields(plan, options, network, n_train=len(training), n_val=len(tuning), facts=last)
    card |= {
        "summary": f"Segments {', '.join(plan.classes.values())}; trained for {options.length}.",
        "outputs": ("background", *(plan.classes[c] for c in sorted(plan.classes))),
        "postprocessing": cleaning.model_dump(),
        "confidence": None if confidence is None else confidence.model_dump(),
    }
    return save_bundle(out, card=card, tensors=as_tensors(network))


def _split(dataset: Dataset, folder: Path, options: TrainOptions) -> dict[str, str]:
    path = folder / "split.csv"
    kept = read_split(path) if options.resume and path.exists() else None
    if kept is not None and options.fold is None:
        return kept
    split = make_split(
        dataset, held_out=options.held_out, validation=options.validation, seed=options.seed, fold=options.fold
    )
    if kept is not None and options.fold is not None:
        check_fold(kept, split, options.fold, path)
    write_split(split, path)
    return split


def _plan(dataset: Dataset, folder: Path, options: TrainOptions, device: torch.device) -> Steps[Plan]:
    path = folder / "plan.json"
    if options.resume and path.exists():
        return Plan.model_validate_json(path.read_text())
    plan = options.plan
    if plan is None:
        target: Literal["cpu", "gpu"] = "cpu" if device.type == "cpu" else "gpu"
        plan = yield from plan_steps(dataset, options=PlanOptions(options.name, target=target))
    if options.architecture is not None:
        plan = with_architecture(plan, options.architecture)
    if options.loss is not None:
        plan = plan.model_copy(update={"training": plan.training.model_copy(update={"loss": options.loss})})
    path.write_text(plan.model_dump_json(indent=2) + "\n")
    return plan


def _learn(
    training: Sequence[Case], tuning: Sequence[Case], plan: Plan, folder: Path, options: TrainOptions
) -> Steps[tuple[nn.Module, dict[str, float]]]:
    device = choose(options.device)
    if options.devices > 1:
        job = job_of(options, folder, device)
        loop = fit_on_devices("medseg.semantic.rank", job, lambda: new_network(plan))
    else:
        loop = fit_cases(
            training,
            tuning,
            plan,
            budget=Budget(options.epochs, options.minutes, options.seed),
            device=device,
            state_file=folder / STATE,
            resume=options.resume,
        )
    dice = tuple(plan.classes.values())
    return (yield from journal_steps(loop, folder, dice=dice, resume=options.resume))
