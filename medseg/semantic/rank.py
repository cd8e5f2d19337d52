"""A process of a semantic training on several devices: ``python -m medseg.semantic.rank``."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch
from torch import nn

from medseg.learn.cases import load_part
from medseg.learn.fit import EpochReport
from medseg.learn.split import read_split
from medseg.learn.together import Place
from medseg.planning import Plan
from medseg.semantic.loop import Budget, fit_cases
from medseg.training.job import Job
from medseg.training.rank import serve
from medseg.training.start import STATE


def loop_of(job: Job, place: Place) -> Generator[EpochReport, None, nn.Module]:
    """Return the loop of one process over the cases in the training folder."""
    folder = Path(job.folder)
    split = read_split(folder / "split.csv")
    training, tuning = (load_part(split, part, folder / "cases") for part in ("train", "val"))
    return fit_cases(
        training,
        tuning,
        Plan.model_validate_json((folder / "plan.json").read_text()),
        budget=Budget(job.epochs, job.minutes, job.seed, place),
        device=torch.device(job.device),
        state_file=folder / STATE,
        resume=job.resume,
    )


if __name__ == "__main__":
    serve(loop_of)
