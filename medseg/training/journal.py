"""The diary of a training: a table, a picture of the curves, and a sentence per epoch."""

from __future__ import annotations

import csv
from collections.abc import Generator
from pathlib import Path

from torch import nn

from medseg.learn.fit import EpochReport
from medseg.progress import Progress, Steps
from medseg.report.curves import write_curves

LOG = "log.csv"
CURVES = "curves.png"
Row = dict[str, float]


def journal_steps(
    loop: Generator[EpochReport, None, nn.Module], folder: Path, *, dice: tuple[str, ...], resume: bool
) -> Steps[tuple[nn.Module, Row]]:
    """Run a training loop to its end and keep its diary after every epoch.

    Parameters
    ----------
    loop : generator of EpochReport
        See `medseg.learn.fit.fit`.
    folder : Path
        Gets ``log.csv`` and ``curves.png``.
    dice : tuple of str
        Names of the validation scores that are Dice; they share a diagram.
    resume : bool
        Keep the rows of the earlier part.

    Returns
    -------
    nn.Module
        What the loop returned.
    Row
        The last line of the diary; empty where no epoch was run.
    """
    rows = _read(folder / LOG) if resume else []
    yield Progress("training", 0, 1000)
    while True:
        try:
            report = next(loop)
        except StopIteration as end:
            return end.value, rows[-1] if rows else {}
        rows = [*(r for r in rows if r["epoch"] < report.epoch), _row(report, dice)]
        _write(rows, folder / LOG)
        write_curves(rows, folder / CURVES)
        yield Progress(_sentence(report, dice), round(1000 * report.progress), 1000, _seconds_left(rows))


def _row(report: EpochReport, dice: tuple[str, ...]) -> Row:
    scores = {(f"dice_{k}" if k in dice else k): v for k, v in report.scores.items()}
    own = {"epoch": report.epoch, "progress": report.progress, "seconds": report.seconds}
    return {**own, "learning_rate": report.learning_rate, "loss": report.loss, **scores}


def _sentence(report: EpochReport, dice: tuple[str, ...]) -> str:
    named = [f"{'Dice ' if k in dice else ''}{k} {v:.3f}" for k, v in report.scores.items() if k != "score"]
    return ", ".join([f"epoch {report.epoch}: loss {report.loss:.3f}", *named])


def _seconds_left(rows: list[Row]) -> float | None:
    spent, done = sum(r["seconds"] for r in rows), rows[-1]["progress"]
    return spent * (1.0 - done) / done if done > 0 else None


def _write(rows: list[Row], path: Path) -> None:
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", newline="") as file:
        # not every epoch is scored
        table = csv.DictWriter(file, fieldnames=list(dict.fromkeys(k for row in rows for k in row)), restval="")
        table.writeheader()
        table.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in rows)
    temporary.replace(path)


def _read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
