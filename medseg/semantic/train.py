"""From a data set of images and labels to a model folder: plan, prepare, learn, choose the cleaning, write the card."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medseg.errors import InputError, UsageError
from medseg.io.dataset import Dataset
from medseg.learn import cases as case_store
from medseg.learn.cases import Case
from medseg.learn.fit import EpochReport
from medseg.models.bundle import save_bundle
from medseg.nets.device import choose
from medseg.nets.probe import probe_answer
from medseg.planning import Plan, PlanOptions, plan_steps
from medseg.progress import Progress, Steps
from medseg.report.curves import write_curves
from medseg.semantic.choose import choose_postprocessing
from medseg.semantic.loop import Budget, fit_cases, new_network
from medseg.semantic.model import as_tensors, fill
from medseg.semantic.prepare import prepare_steps
from medseg.semantic.split import make_split, write_split


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What a user may choose about a training.

    Parameters
    ----------
    name : str
        Name of the model.
    minutes, epochs : float, int
        The budget; exactly one of them.
    plan : Plan, optional
        An edited plan; made from the data when absent.
    architecture, loss : str, optional
        Override the plan's.
    seed : int
    device : str
    threads : int, optional
        CPU threads; torch's choice when absent.
    resume : bool
    held_out, validation : float
        Shares of the cases kept for the card's scores, and for tuning, where the data set brings no split.
    skip_unpaired : bool
        Go on without images that lack a label and labels that lack an image.
    licence, attribution, data_name : str
        For the card.
    """

    name: str
    minutes: float | None = None
    epochs: int | None = None
    plan: Plan | None = None
    architecture: str | None = None
    loss: str | None = None
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    resume: bool = False
    held_out: float = 0.2
    validation: float = 0.1
    skip_unpaired: bool = False
    licence: str = "unknown"
    attribution: str = "unknown"
    data_name: str = "unnamed"


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
    folder = out.with_name(f"{out.name}.training")
    _check_start(dataset, out, folder, options)
    device = choose(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    split = make_split(dataset, held_out=options.held_out, validation=options.validation, seed=options.seed)
    write_split(split, folder / "split.csv")
    # the plan, too, must not know the cases that are kept for the score
    used = replace(dataset, cases=tuple(c for c in dataset.cases if split.get(c.id) in ("train", "val")))
    plan = yield from _plan(used, folder, options, device)
    yield from prepare_steps(used.cases, plan.input, folder / "cases")
    training, tuning = (_load(split, part, folder) for part in ("train", "val"))
    network, last = yield from _learn(training, tuning, plan, folder, options)
    cleaning = yield from choose_postprocessing(network, tuning, plan, device=device)
    network = _as_stored(network, plan)
    facts = {"n_train": len(training), "n_val": len(tuning), **last}
    card = _card(plan, options, network, facts) | {"postprocessing": cleaning.model_dump()}
    return save_bundle(out, card=card, tensors=as_tensors(network))


def _check_start(dataset: Dataset, out: Path, folder: Path, options: TrainOptions) -> None:
    serious = [p for p in dataset.problems if p.code != "W_FILE_SKIPPED"]
    if serious and not options.skip_unpaired:
        codes = {p.code for p in serious}
        shown = " ".join(p.text for p in serious[:10]) + (" ..." if len(serious) > 10 else "")
        raise InputError(
            codes.pop() if len(codes) == 1 else "E_INPUT_FORMAT",
            path=dataset.root,
            found=f"{len(serious)} problems: {shown}",
            expected="one label for each image and one image for each label, on one grid",
            not_done="no training was started",
            remedy="Mend the data set, or go on without these files by --skip-unpaired.",
        )
    started = (folder / "checkpoint.pt").exists()
    if options.resume and not started:
        raise _taken(folder, "no earlier training", "one to resume", "Leave out --resume.")
    if started and not options.resume:
        raise _taken(folder, "an earlier training", "a new folder", "Continue it with --resume, or remove it.")
    if out.exists() and not (out / "card.json").exists():
        raise _taken(out, "a folder that is no model", "a new folder or a model to replace", "Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)


def _plan(dataset: Dataset, folder: Path, options: TrainOptions, device: torch.device) -> Steps[Plan]:
    path = folder / "plan.json"
    if options.resume and path.exists():
        return Plan.model_validate_json(path.read_text())
    plan = options.plan
    if plan is None:
        chosen = PlanOptions(options.name, target="cpu" if device.type == "cpu" else "gpu")
        chosen = replace(chosen, architecture=options.architecture or chosen.architecture)
        plan = yield from plan_steps(dataset, options=chosen)
    if options.loss is not None:
        plan = plan.model_copy(update={"training": plan.training.model_copy(update={"loss": options.loss})})
    path.write_text(plan.model_dump_json(indent=2) + "\n")
    return plan


def _load(split: dict[str, str], part: str, folder: Path) -> list[Case]:
    return [case_store.load(name, folder / "cases") for name, own in sorted(split.items()) if own == part]


def _learn(
    training: Sequence[Case], tuning: Sequence[Case], plan: Plan, folder: Path, options: TrainOptions
) -> Steps[tuple[nn.Module, dict[str, float]]]:
    rows = _read_log(folder / "log.csv") if options.resume else []
    loop = fit_cases(
        training,
        tuning,
        plan,
        budget=Budget(options.epochs, options.minutes, options.seed),
        device=choose(options.device),
        state_file=folder / "checkpoint.pt",
        resume=options.resume,
    )
    yield Progress("training", 0, 1000)
    while True:
        try:
            report = next(loop)
        except StopIteration as end:
            return end.value, rows[-1] if rows else {}
        rows = [*(r for r in rows if r["epoch"] < report.epoch), _row(report)]
        _write_log(rows, folder / "log.csv")
        write_curves(rows, folder / "curves.png")
        yield Progress(_sentence(report), round(1000 * report.progress), 1000, _seconds_left(rows))


def _row(report: EpochReport) -> dict[str, float]:
    dice = {(k if k == "score" else f"dice_{k}"): v for k, v in report.scores.items()}
    own = {"epoch": report.epoch, "progress": report.progress, "seconds": report.seconds}
    return {**own, "learning_rate": report.learning_rate, "loss": report.loss, **dice}


def _sentence(report: EpochReport) -> str:
    dice = ", ".join(f"{k} {v:.3f}" for k, v in report.scores.items() if k != "score")
    return f"epoch {report.epoch}: loss {report.loss:.3f}" + (f", Dice {dice}" if dice else "")


def _seconds_left(rows: list[dict[str, float]]) -> float | None:
    spent, done = sum(r["seconds"] for r in rows), rows[-1]["progress"]
    return spent * (1.0 - done) / done if done > 0 else None


def _write_log(rows: list[dict[str, float]], path: Path) -> None:
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[-1]), restval="", extrasaction="ignore")
        table.writeheader()
        table.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in rows)
    temporary.replace(path)


def _read_log(path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def _as_stored(network: nn.Module, plan: Plan) -> nn.Module:
    # the card's answer must come from the weights as they are stored, in float16
    stored = new_network(plan)
    fill(stored, as_tensors(network))
    return stored.eval().requires_grad_(requires_grad=False)


def _card(plan: Plan, options: TrainOptions, network: nn.Module, facts: dict[str, Any]) -> dict[str, Any]:
    length = f"{options.minutes:g} minutes" if options.minutes is not None else f"{options.epochs} epochs"
    return {
        "name": options.name,
        "version": "1.0.0",
        "task": plan.task,
        "summary": f"Segments {', '.join(plan.classes.values())}; trained for {length} on {facts['n_train']} cases.",
        "architecture": plan.architecture.model_dump(),
        "input": plan.input.model_dump(),
        "classes": plan.classes,
        "outputs": ("background", *(plan.classes[c] for c in sorted(plan.classes))),
        "probe_output": probe_answer(network, n_in=len(plan.input.channels), patch=plan.input.patch),
        "licence": options.licence,
        "training_data": {
            "name": options.data_name,
            "licence": options.licence,
            "attribution": options.attribution,
            "n_cases": facts["n_train"] + facts["n_val"],
            "notes": f"{facts['n_train']} cases trained, {facts['n_val']} tuned; the rest was never shown.",
        },
        "training": {"plan": plan.training.model_dump(), "budget": length, "seed": options.seed, "facts": facts},
        "fingerprint": plan.fingerprint.model_dump(),
    }


def _taken(path: Path, found: str, expected: str, remedy: str) -> UsageError:
    return UsageError(
        "E_OUTPUT_EXISTS", path=path, found=found, expected=expected, not_done="no training was started", remedy=remedy
    )
