"""From images and numbered objects to a model folder: split, plan, prepare, learn, write the card."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medseg.errors import InputError, UsageError
from medseg.instance import cases as case_store
from medseg.instance.cases import InstanceCase, prepare_steps
from medseg.instance.loop import Budget, fit_cases, new_network, output_names
from medseg.instance.plan import plan_steps
from medseg.instance.scale import REFERENCE_DIAMETER, look_of
from medseg.io.dataset import Dataset
from medseg.learn.fit import EpochReport
from medseg.learn.split import make_split, write_split
from medseg.learn.weights import as_tensors, fill
from medseg.models.bundle import save_bundle
from medseg.nets.device import choose
from medseg.nets.probe import probe_answer
from medseg.planning import Plan, read_case
from medseg.progress import Progress, Steps
from medseg.report.curves import write_curves


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
    seed : int
    device : str
    threads : int, optional
        CPU threads; torch's choice when absent.
    resume : bool
    held_out, validation : float
        Shares of the groups kept for the card's scores, and for tuning, where the data set brings no split. Where it
        brings one without test cases, half of the groups in ``val`` are kept for the scores (none if `held_out` is 0).
    skip_unpaired : bool
        Go on without images that lack a label and labels that lack an image.
    licence, attribution, data_name : str
        For the card.
    """

    name: str
    minutes: float | None = None
    epochs: int | None = None
    plan: Plan | None = None
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
    folder = out.with_name(f"{out.name}.training")
    _check_start(dataset, out, folder, options)
    device = choose(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    split = _split(dataset, folder, options)
    used = replace(dataset, cases=tuple(c for c in dataset.cases if split.get(c.id) in ("train", "val")))
    plan = yield from _plan(used, folder, options, device)
    yield from prepare_steps(used.cases, plan.input, folder / "cases")
    training, tuning = (_load(split, part, folder) for part in ("train", "val"))
    network, last = yield from _learn(training, tuning, plan, dataset.groups, folder, options)
    network = _as_stored(network, plan)
    facts = {"n_train": len(training), "n_val": len(tuning), **last}
    return save_bundle(out, card=_card(plan, options, network, facts), tensors=as_tensors(network))


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


def _split(dataset: Dataset, folder: Path, options: TrainOptions) -> dict[str, str]:
    path = folder / "split.csv"
    if options.resume and path.exists():
        with path.open(newline="") as file:
            return {row["id"]: row["split"] for row in csv.DictReader(file)}
    split = make_split(dataset, held_out=options.held_out, validation=options.validation, seed=options.seed)
    if dataset.split and options.held_out > 0 and "test" not in split.values():
        looks = {c.id: look_of(read_case(c).numpy()) for c in dataset.cases if split.get(c.id) == "val"}
        split = halved(split, dataset.groups, looks)
    write_split(split, path)
    return split


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
        plan = yield from plan_steps(dataset, name=options.name, target="cpu" if device.type == "cpu" else "gpu")
    path.write_text(plan.model_dump_json(indent=2) + "\n")
    return plan


def _load(split: dict[str, str], part: str, folder: Path) -> list[InstanceCase]:
    return [case_store.load(name, folder / "cases") for name, own in sorted(split.items()) if own == part]


def _learn(
    training: list[InstanceCase],
    tuning: list[InstanceCase],
    plan: Plan,
    groups: Mapping[str, str],
    folder: Path,
    options: TrainOptions,
) -> Steps[tuple[nn.Module, dict[str, float]]]:
    rows = _read_log(folder / "log.csv") if options.resume else []
    loop = fit_cases(
        training,
        tuning,
        plan,
        groups=groups,
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
    names = {"foreground": "dice_foreground", "boundary": "dice_boundary"}
    scores = {names.get(k, k): v for k, v in report.scores.items()}
    own = {"epoch": report.epoch, "progress": report.progress, "seconds": report.seconds}
    return {**own, "learning_rate": report.learning_rate, "loss": report.loss, **scores}


def _sentence(report: EpochReport) -> str:
    scores = ", ".join(f"{k} {v:.3f}" for k, v in report.scores.items() if k != "score")
    return f"epoch {report.epoch}: loss {report.loss:.3f}" + (f", {scores}" if scores else "")


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
        "summary": f"Separates touching objects ({', '.join(plan.classes.values())}); "
        f"trained for {length} on {facts['n_train']} images.",
        "architecture": plan.architecture.model_dump(),
        "input": plan.input.model_dump(),
        "classes": plan.classes,
        "outputs": output_names(len(plan.input.patch)),
        "split": {"diameter": REFERENCE_DIAMETER},
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
