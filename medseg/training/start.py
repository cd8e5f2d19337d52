"""What is checked before the first step of a training, so that an hour is never spent on a mistake."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import InputError, UsageError
from medseg.io.dataset import Dataset
from medseg.training.options import TrainOptions

STATE = "checkpoint.pt"
"""Name of the saved state in the training folder."""


def training_folder(out: Path) -> Path:
    """Return the folder of what belongs to a training and not to the model: ``OUT.training``."""
    return out.with_name(f"{out.name}.training")


def check_start(dataset: Dataset, out: Path, options: TrainOptions) -> Path:
    """Check data set and folders, and return the training folder, made where it is missing.

    Raises
    ------
    InputError
        If images or labels lack their partner or lie elsewhere, unless the user said to go on without them.
    UsageError
        If the folders are taken, or there is nothing to resume.
    """
    _check_pairs(dataset, options)
    folder = training_folder(out)
    started = (folder / STATE).exists()
    if options.resume and not started:
        raise _taken(folder, "no earlier training", "one to resume", "Leave out --resume.")
    if started and not options.resume:
        raise _taken(folder, "an earlier training", "a new folder", "Continue it with --resume, or remove it.")
    if out.exists() and not (out / "card.json").exists():
        raise _taken(out, "a folder that is no model", "a new folder or a model to replace", "Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _check_pairs(dataset: Dataset, options: TrainOptions) -> None:
    serious = [p for p in dataset.problems if p.code != "W_FILE_SKIPPED"]
    if not serious or options.skip_unpaired:
        return
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


def _taken(path: Path, found: str, expected: str, remedy: str) -> UsageError:
    return UsageError(
        "E_OUTPUT_EXISTS", path=path, found=found, expected=expected, not_done="no training was started", remedy=remedy
    )
