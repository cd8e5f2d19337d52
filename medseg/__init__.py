"""From a scan or a micrograph to labels, separate objects and numbers.

The door is lazy: ``import medseg`` loads neither torch nor any file library; each name is fetched when it is used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medseg.api import evaluate, measure, models, plan, segment, train
    from medseg.errors import MedsegError, Notice
    from medseg.grid import Grid
    from medseg.io.probe import probe
    from medseg.io.read import read, read_labels
    from medseg.io.write import write
    from medseg.labels import Instances, LabelMap, Segment
    from medseg.prediction import Prediction
    from medseg.progress import Progress
    from medseg.volume import Volume

__version__ = "0.1.0"

_HOME = {
    "Grid": "medseg.grid",
    "Instances": "medseg.labels",
    "LabelMap": "medseg.labels",
    "MedsegError": "medseg.errors",
    "Notice": "medseg.errors",
    "Prediction": "medseg.prediction",
    "Progress": "medseg.progress",
    "Segment": "medseg.labels",
    "Volume": "medseg.volume",
    "evaluate": "medseg.api",
    "measure": "medseg.api",
    "models": "medseg.api",
    "plan": "medseg.api",
    "probe": "medseg.io.probe",
    "read": "medseg.io.read",
    "read_labels": "medseg.io.read",
    "segment": "medseg.api",
    "train": "medseg.api",
    "write": "medseg.io.write",
}

__all__ = [
    "Grid", "Instances", "LabelMap", "MedsegError", "Notice", "Prediction", "Progress", "Segment", "Volume",
    "evaluate", "measure", "models", "plan", "probe", "read", "read_labels", "segment", "train", "write",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'medseg' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


class _Doors(ModuleType):
    """Keeps `measure` and `models` functions: importing the room of that name would put the module in their place."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _HOME:
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Doors
