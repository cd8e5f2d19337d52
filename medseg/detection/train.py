"""From images and numbered objects to the folder of a detector: split, plan, prepare, learn, tune, write the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from medseg.detection.judge import average_precisions, best_threshold, judged_steps, worth
from medseg.detection.loop import Start, fit_cases, looker, new_network, output_names
from medseg.detection.plan import DIAMETER, check_plan, plan_steps
from medseg.detection.scores import as_text
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
from medseg.training.journal import journal_steps
from medseg.training.options import TrainOptions
from medseg.training.start import STATE, check_start


def train_steps(dataset: Dataset, out: Path, *, options: TrainOptions) -> Steps[Path]:
    """Train a detector of objects with masks and write its folder.

    What belongs to the training and not to the model (plan, split, log, curves, state) goes to ``OUT.training``.

    Parameters
    ----------
    dataset : Dataset
        Labels number the objects of each image; boxes and masks follow from them.
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
    folder = check_start(dataset, out, options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    split = choose_split(dataset, folder, options)
    used = replace(dataset, cases=tuple(c for c in dataset.cases if split.get(c.id) in ("train", "val")))
    plan = check_plan((yield from settle_plan_steps(used, folder, options, plan_steps)))
    yield from prepare_steps(used.cases, plan.input, folder / "cases")
    training, tuning = (load_cases(split, part, folder) for part in ("train", "val"))
    loop = fit_cases(
        training,
        tuning,
        plan,
        groups=dataset.groups,
        budget=Budget(options.epochs, options.minutes, options.seed),
        device=choose(options.device),
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
        "split": {"diameter": DIAMETER[len(plan.input.patch)], **tuned},
    }
    return save_bundle(out, card=card, tensors=as_tensors(network))


def _tuned_steps(
    network: nn.Module, tuning: Sequence[InstanceCase], plan: Plan, device: torch.device
) -> Steps[dict[str, float | str]]:
    """Choose what the card says about scores, on all tuning images."""
    judged = yield from judged_steps(tuning, looker(network.to(device), plan, device))
    tuned: dict[str, float | str] = {"score_threshold": round(best_threshold(judged), 3)}
    tuned |= {f"tuning_{name}": round(v, 4) for name, v in average_precisions(judged).items() if name != "score"}
    knots = worth(judged)
    return tuned | ({"calibration": as_text(knots)} if knots else {})
