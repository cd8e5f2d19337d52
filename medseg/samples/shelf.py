"""The image files that come with medseg, and which model each of them is for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """An image file of this package.

    Parameters
    ----------
    name : str
    path : Path
    model : str
        Name of the model that segments it.
    about : str
        Where it comes from, in a sentence.
    """

    name: str
    path: Path
    model: str
    about: str


def samples() -> tuple[Sample, ...]:
    """Return the samples of this installation, as listed in ``samples.json`` beside this file."""
    folder = Path(str(files("medseg.samples")))
    entries = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    return tuple(Sample(e["name"], folder / e["file"], e["model"], e["about"]) for e in entries)
