"""Which stored values a sheet shows as black and white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.labels import Instances, LabelMap
from medseg.volume import Volume

_SAMPLES = 400_000
_ENOUGH = 1000
_AIR = -700.0


@dataclass(frozen=True, slots=True)
class Window:
    """The values shown as black and as white, and what this range is called."""

    low: float
    high: float
    name: str = ""

    def __str__(self) -> str:
        numbers = f"{self.low:.4g} to {self.high:.4g}"
        return f"{self.name} {numbers}".strip()


CT_WINDOWS = {
    "soft tissue": Window(-160.0, 240.0, "CT soft tissue"),
    "brain": Window(0.0, 80.0, "CT brain"),
    "lung": Window(-1350.0, 150.0, "CT lung"),
    "bone": Window(-500.0, 1300.0, "CT bone"),
}
"""Ranges of Hounsfield units that radiologists know by name."""


def modality(volume: Volume) -> str:
    """Return the modality as DICOM writes it (CT, MR ...), or "" where it is not known for sure.

    A DICOM series says it itself. Of other files only CT is recognised, by values that are unmistakably Hounsfield
    units: air far below zero and tissue around it.
    """
    said = str(volume.source.details.get("modality") or "") if volume.source else ""
    if said:
        return said
    values = _sample(volume.array[0])
    finite = values[np.isfinite(values)]
    return "CT" if finite.size and _is_hounsfield(volume, finite) else ""


def opening_window(array: Any, volume: Volume | None = None) -> Window:
    """Choose the range of values with which an image is first shown.

    Parameters
    ----------
    array : (1, ...) array
        The channel that is shown.
    volume : Volume, optional
        What it belongs to: CT opens with the soft-tissue window, anything else without its outermost half percents.
    """
    if volume is not None and modality(volume) == "CT":
        return CT_WINDOWS["soft tissue"]
    values = _sample(array[0])
    return _percentiles(values[np.isfinite(values)])


def display_window(volume: Volume, labels: LabelMap | Instances) -> Window:
    """Choose a range of values that shows the image well.

    An image whose values look like Hounsfield units (air far below zero, tissue around it) gets the soft-tissue window,
    unless most labelled voxels lie outside of it. Any other image gets its 0.5th to 99.5th percentile.
    """
    values = _sample(volume.array[0])
    finite = values[np.isfinite(values)]
    soft = CT_WINDOWS["soft tissue"]
    if finite.size and _is_hounsfield(volume, finite) and _mostly_inside(volume, labels, soft):
        return soft
    return _percentiles(finite)


def _percentiles(finite: npt.NDArray[Any]) -> Window:
    if not finite.size:
        return Window(0.0, 1.0)
    low, high = (float(v) for v in np.percentile(finite, (0.5, 99.5)))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    return Window(low, high if high > low else low + 1.0)


def _is_hounsfield(volume: Volume, finite: npt.NDArray[Any]) -> bool:
    if volume.grid.space != "patient" or finite.min() < -5000:
        return False
    tissue = np.count_nonzero(np.abs(finite) < 200) / finite.size
    return bool(np.percentile(finite, 2) < _AIR and tissue > 0.02)


def _mostly_inside(volume: Volume, labels: LabelMap | Instances, window: Window) -> bool:
    values = _inside(np.asarray(volume.array[0]), np.asarray(labels.array))
    if not values.size:
        return True
    return bool(np.mean((values > window.low) & (values < window.high)) > 0.5)


def _inside(array: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return values where something is labelled: of every n-th voxel, or of all where those are too few."""
    values = _sample(array)[_sample(labels) != 0]
    return values if values.size >= _ENOUGH else _sample(array[labels != 0])


def _sample(array: Any) -> npt.NDArray[np.float32]:
    # whole planes first, so that a big scan is not flattened (and copied) for a few values
    step = max(1, round((array.size / _SAMPLES) ** (1 / array.ndim)))
    return np.asarray(array[(slice(None, None, step),) * array.ndim], dtype=np.float32).reshape(-1)
