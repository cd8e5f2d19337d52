"""From images and numbered objects to the folder of a detector: split, plan, prepare, learn, tune, write the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from medseg.detection.judge import (
    FEWEST_OBJECTS,
    Judged,
    average_precisions,
    best_threshold,
    judged_steps,
    n_true,
    of_kind,
    worth,
)
from medseg.detection.loop import Start, fit_cases, looker, new_network, output_names
from medseg.detection.plan import check_plan, plan_steps, working_diameter
from medseg.detection.scores import as_text, entry_name
from medseg.errors import UsageError
from medseg.instance.cases import InstanceCase, prepare_steps
from medseg.instance.loop import Budget
from medseg.instance.train import choose_split, load_cases, settle_plan_steps
from medseg.io.dataset import Dataset
from medseg.learn.weights import as_tensors
from medseg.models.bundle import load_bundle, save_bundle
from medseg.models.registry import find
from medseg.nets.device import choose
from medseg.planning import Plan
from medseg.progress import Steps
from medseg.training.card import as_stored, card_fields
from medseg.training.devices import fit_on_devices
from medseg.training.job import check_devices, job_of
from medseg.training.journal import journal_steps
from medseg.training.options import TrainOptions
from medseg.training.start import STATE, check_start


def train_steps(dataset: Dataset, out: Path, *, options: TrainOptions) -> Steps[Path]:
    """Train a detector of objects with masks and write its folder.

    What belongs to the training and not to the model (plan, split, log, curves, state) goes to ``OUT.training``.

    Parameters
    ----------
    dataset : Dataset
        Labels number the objects of each image; boxes and masks follow from them. ``classes/`` may tell several kinds
        of objects apart.
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
        If images or labels lack their partner, the folder is taken, or the plan is for another task.
    ModelError
        If the model to begin with does not fit.
    OutputError
        If the loss is no longer a number; the state of the epoch before is kept.
    """
    begin = None if options.init is None else load_bundle(find(options.init))
    if options.plan is not None:
        check_plan(options.plan)
    check_devices(options.devices, choose(options.device))
    folder = check_start(dataset, out, options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    split = choose_split(dataset, folder, options)
    used = replace(dataset, cases=tuple(c for c in dataset.cases if split.get(c.id) in ("train", "val")))
    plan = check_plan((yield from settle_plan_steps(used, folder, options, plan_steps)))
    told = told_classes(used, plan)
    yield from prepare_steps(used.cases, plan.input, folder / "cases", told, resume=options.resume)
    training, tuning = (load_cases(split, part, folder) for part in ("train", "val"))
    device = choose(options.device)
    if options.devices > 1:
        job = job_of(options, folder, device, dataset.groups)
        loop = fit_on_devices("medseg.detection.rank", job, lambda: new_network(plan))
    else:
        loop = fit_cases(
            training,
            tuning,
            plan,
            groups=dataset.groups,
            budget=Budget(options.epochs, options.minutes, options.seed),
            device=device,
            state_file=folder / STATE,
            start=Start(begin, options.resume),
        )
    network, last = yield from journal_steps(loop, folder, dice=(), resume=options.resume)
    network = as_stored(network, new_network(plan))
    tuned = yield from _tuned_steps(network, tuning, plan, choose(options.device))
    card = card_fields(plan, options, network.cpu(), n_train=len(training), n_val=len(tuning), facts=last)
    begun = "" if begin is None else f", its encoder begun from {begin.card.name} {begin.card.version}"
    names = ", ".join(plan.classes.values())
    card |= {
        "summary": f"Finds objects one by one ({names}); trained for {options.length}{begun}.",
        "outputs": output_names(plan),
        "split": {"diameter": working_diameter(plan), **tuned},
    }
    return save_bundle(out, card=card, tensors=as_tensors(network))


def told_classes(dataset: Dataset, plan: Plan) -> dict[int, str] | None:
    """Return the classes that the data set tells objects apart by; None where all objects are of one.

    Raises
    ------
    UsageError
        If the plan has several classes and the data set tells none.
    """
    if any(case.classes for case in dataset.cases):
        return plan.classes
    if len(plan.classes) == 1:
        return None
    raise UsageError(
        "E_USAGE",
        path=dataset.root,
        found=f"a plan of {len(plan.classes)} classes ({', '.join(plan.classes.values())}), and objects without any",
        expected="tables or images in the folder classes, which tell the class of every object",
        not_done="no training was started",
        remedy="Add the folder, or leave one class in the plan.",
    )


def _tuned_steps(
    network: nn.Module, tuning: Sequence[InstanceCase], plan: Plan, device: torch.device
) -> Steps[dict[str, float | str]]:
    """Choose what the card says about scores, on all tuning images, for plain and for mirrored looks."""
    plain = looker(network.to(device), plan, device)
    judged = yield from judged_steps(tuning, plain)
    scores = average_precisions(judged, output_names(plan)[1:])
    tuned: dict[str, float | str] = {f"tuning_{k}": round(v, 4) for k, v in scores.items() if k != "score"}
    tuned |= _entries(judged, plan, mirrored=False)
    if plan.input.mirror_axes:
        judged = yield from judged_steps(tuning, replace(plain, mirror_axes=plan.input.mirror_axes))
        tuned |= _entries(judged, plan, mirrored=True)
    return tuned


def _entries(judged: Sequence[Judged], plan: Plan, *, mirrored: bool) -> dict[str, float | str]:
    """Return thresholds and calibrations for all classes together, and for each that has enough objects to tell."""
    entries: dict[str, float | str] = {}
    groups: dict[int | None, Sequence[Judged]] = {None: judged}
    if len(plan.classes) > 1:
        groups |= {c: of_kind(judged, place) for place, c in enumerate(sorted(plan.classes), 1)}
    for class_id, own in groups.items():
        if class_id is not None and n_true(own) < FEWEST_OBJECTS:
            continue
        knots = worth(own)
        entries[entry_name("score_threshold", class_id, mirrored=mirrored)] = round(best_threshold(own), 3)
        if knots:
            entries[entry_name("calibration", class_id, mirrored=mirrored)] = as_text(knots)
    return entries
