"""Training state on disk: written whole or not at all, tensors and plain data only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from medseg.errors import InputError


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state` under `path`, replacing an older one only when the new one is complete."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Read a state back.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError) as problem:
        raise InputError(
            "E_INPUT_UNREADABLE",
            path=path,
            found=f"no usable training state ({type(problem).__name__})",
            expected="the checkpoint of an earlier training",
            not_done="the training was not resumed",
            remedy="Start it again without --resume.",
        ) from problem
    return state
