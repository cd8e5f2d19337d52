"""Where the values of a frame stand: in the file, or in the functional groups of an enhanced multi-frame object."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from medseg.io.dicom_structure import DamagedDicomError

Places = tuple[Any, ...]
"""Datasets to look a value up in, the most particular first and the file itself last."""

_MACROS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "MREchoSequence",
    "MRDiffusionSequence",
    "CardiacSynchronizationSequence",
    "CTImageFrameTypeSequence",
    "MRImageFrameTypeSequence",
    "PETFrameTypeSequence",
)


def frames_of(dataset: Any, n_frames: int) -> Iterator[Places]:
    """Yield, for each frame, the places where its values stand: its own groups, the shared groups, the file.

    Raises
    ------
    DamagedDicomError
        If the groups do not fit the number of frames.
    """
    own = dataset.get("PerFrameFunctionalGroupsSequence")
    if not own:
        yield from ((dataset,) for _ in range(n_frames))
        return
    if len(own) != n_frames:
        raise DamagedDicomError(f"declares {n_frames} frames and describes {len(own)}")
    shared = dataset.get("SharedFunctionalGroupsSequence")
    common = _macros(shared[0]) if shared else ()
    for group in own:
        yield (*_macros(group), *common, dataset)


def _macros(group: Any) -> tuple[Any, ...]:
    return tuple(group[name].value[0] for name in _MACROS if group.get(name))


def first(places: Places, name: str) -> Any:
    """Return the value of the first place that has one, or None."""
    for place in places:
        if (value := place.get(name)) is not None:
            return value
    return None


def text(places: Places, name: str) -> str:
    """Return a value as text, several joined by a backslash as DICOM does, an absent one empty."""
    value = first(places, name)
    if value is None:
        return ""
    is_several = hasattr(value, "__iter__") and not isinstance(value, str)
    return "\\".join(str(v) for v in value) if is_several else str(value).strip()


def numbers(places: Places, name: str, n: int) -> tuple[float, ...] | None:
    """Return `n` finite numbers, or None where they are absent, fewer, more or not finite."""
    value = first(places, name)
    if value is None or value == "":
        return None
    found = tuple(float(v) for v in value) if hasattr(value, "__iter__") else (float(value),)
    return found if len(found) == n and all(math.isfinite(v) for v in found) else None


def number(places: Places, name: str) -> float | None:
    """Return one finite number, or None."""
    found = numbers(places, name, 1)
    return None if found is None else found[0]
