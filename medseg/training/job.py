"""What each of several training processes is told: plain data, which travel as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from medseg.errors import UsageError
from medseg.training.options import TrainOptions


@dataclass(frozen=True, slots=True)
class Job:
    """A training whose plan, split and prepared cases lie in its folder already.

    Parameters
    ----------
    folder : str
        The training folder.
    devices : int
        How many processes train together.
    device : str
        Type of the devices, ``cpu`` or ``cuda``.
    threads : int
        CPU threads of each process.
    epochs, minutes : int, float
        The budget.
    seed : int
    resume : bool
    groups : dict of str to str
        Case name to its group.
    init : str, optional
        The model that a detector begins with.
    """

    folder: str
    devices: int
    device: str
    threads: int
    epochs: int | None = None
    minutes: float | None = None
    seed: int = 0
    resume: bool = False
    groups: dict[str, str] = field(default_factory=dict)
    init: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it as plain data."""
        return asdict(self)


def job_of(options: TrainOptions, folder: Path, device: torch.device, groups: Mapping[str, str] | None = None) -> Job:
    """Return what the processes of a training are told."""
    return Job(
        folder=str(folder.resolve()),
        devices=options.devices,
        device=device.type,
        threads=options.threads or max(1, _cores() // options.devices),
        epochs=options.epochs,
        minutes=options.minutes,
        seed=options.seed,
        resume=options.resume,
        groups=dict(groups or {}),
        init=options.init,
    )


def check_devices(n: int, device: torch.device) -> None:
    """Refuse more devices than there are.

    Raises
    ------
    UsageError
    """
    there = {"cpu": _cores(), "cuda": torch.cuda.device_count()}.get(device.type, 1)
    if device.index is not None and n > 1:
        raise _wrong(f"--devices {n} and --device {device}", "a kind of device", "Leave the number out of --device.")
    if not 1 <= n <= there:
        kind = {"cpu": "processor cores", "cuda": "graphics cards"}.get(device.type, f"{device.type} devices")
        remedy = f"Give --devices a number from 1 to {there}."
        raise _wrong(f"--devices {n}", f"at most the {there} {kind} of this computer", remedy)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _wrong(found: str, expected: str, remedy: str) -> UsageError:
    return UsageError("E_USAGE", found=found, expected=expected, not_done="no training was started", remedy=remedy)
