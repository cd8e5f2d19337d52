"""Two kinds of label images that must not be mixed up: a voxel's class, and a voxel's object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, Notice
from medseg.grid import Grid
from medseg.volume import Source, check_fits


@dataclass(frozen=True, eq=False, slots=True)
class LabelMap:
    """A label image whose numbers are **classes**; 0 is background.

    Parameters
    ----------
    array : (*grid.shape) integer array
    grid : Grid
    classes : dict of int to str
        Name of each class id, without background.
    source : Source, optional
    warnings : tuple of Notice

    Raises
    ------
    GeometryError
        If the array does not fit the grid.
    InputError
        If the array does not hold integers.

    Examples
    --------
    >>> labels = LabelMap(np.ones((2, 2, 2), np.uint8), Grid((2, 2, 2), np.eye(4)), {1: "liver"})
    >>> labels.class_name(1)
    'liver'
    """

    array: npt.NDArray[Any]
    grid: Grid
    classes: dict[int, str] = field(default_factory=dict)
    source: Source | None = None
    warnings: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        check_fits(self.array.shape, self.grid)
        _check_integer(self.array)

    def __repr__(self) -> str:
        return f"LabelMap({self.grid!r}, {self.array.dtype}, {self.classes})"

    def class_name(self, class_id: int) -> str:
        """Return the name of a class, or its number where it has none."""
        return self.classes.get(class_id, f"class {class_id}")


HARMLESS_FLAGS = ("touches_border",)
"""Flags that hint at no mistake: they are shown and counted, but ask for no look."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One object of an `Instances` map.

    Parameters
    ----------
    id : int
        The object's number in the array.
    class_id : int
    score : float
        Confidence in [0, 1].
    is_thing : bool
        False for stuff in a panoptic map.
    flags : tuple of str
        What needs eyes: ``touches_border``, ``likely_merged``, ``likely_fragment`` ...
    """

    id: int
    class_id: int = 1
    score: float = 1.0
    is_thing: bool = True
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Instances:
    """A label image whose numbers are **objects**; 0 is background.

    Parameters
    ----------
    array : (*grid.shape) integer array
    grid : Grid
    segments : tuple of Segment
        One per object id in the array.
    classes : dict of int to str
    source : Source, optional
    warnings : tuple of Notice
    """

    array: npt.NDArray[Any]
    grid: Grid
    segments: tuple[Segment, ...] = ()
    classes: dict[int, str] = field(default_factory=dict)
    source: Source | None = None
    warnings: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        check_fits(self.array.shape, self.grid)
        _check_integer(self.array)

    def __repr__(self) -> str:
        return f"Instances({len(self.segments)} objects, {self.grid!r}, {self.array.dtype})"


def smallest_integer_type(highest: int) -> np.dtype[Any]:
    """Return the smallest unsigned type that holds `highest`: uint8, uint16, uint32 or int64.

    Examples
    --------
    >>> smallest_integer_type(300)
    dtype('uint16')
    """
    for kind in (np.uint8, np.uint16, np.uint32):
        if highest <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.int64)


def _check_integer(array: npt.NDArray[Any]) -> None:
    if array.dtype.kind not in "iu":
        raise InputError(
            "E_LABELS_INVALID",
            found=f"an array of {array.dtype}",
            expected="integers, one per class or object",
            not_done="no label image was made",
            remedy="Apply argmax or a threshold first.",
        )
