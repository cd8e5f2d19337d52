"""Exchange, flip and cut axes of a value; its grid follows, so that no voxel moves in the world."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from medseg.labels import Instances, LabelMap
from medseg.volume import Volume

Placed = TypeVar("Placed", Volume, LabelMap, Instances)


def reoriented(value: Placed, codes: str) -> Placed:
    """Return `value` with its axes pointing along `codes`, such as "RAS", as a view of the same memory.

    Parameters
    ----------
    value : Volume, LabelMap or Instances
        In patient space; an oblique grid takes the nearest exchange and flips, nothing is interpolated.
    codes : str
        One of R/L, A/P and S/I for each axis, in any order.

    Raises
    ------
    GeometryError
        If the grid is not in patient space or `codes` does not name each axis once.

    Examples
    --------
    >>> from medseg.grid import Grid
    >>> volume = Volume(np.zeros((1, 4, 5, 6)), Grid((4, 5, 6), np.diag([-1.0, 1, 2, 1])))
    >>> reoriented(volume, "SAR").grid
    Grid(6x5x4, 2x1x1 mm, SAR, patient)
    """
    axes = value.grid.axes_to(codes)
    return replace(value, array=axes.apply(value.array), grid=value.grid.mapped(axes))


def cropped(value: Placed, start: tuple[int, ...], shape: tuple[int, ...], fill: float = 0) -> Placed:
    """Return the box of `shape` voxels that begins at index `start`; what lies outside the image is `fill`.

    Parameters
    ----------
    value : Volume, LabelMap or Instances
    start : (n,) ints
        May be negative: the image is padded there.
    shape : (n,) ints
    fill : number
        Must fit the type of the array.

    Returns
    -------
    same type as `value`
        A view where the box lies inside the image.
    """
    grid = value.grid.cropped(start, shape)
    return replace(value, array=_cut(value.array, start, grid.shape, fill), grid=grid)


def _cut(array: npt.NDArray[Any], start: tuple[int, ...], shape: tuple[int, ...], fill: float) -> npt.NDArray[Any]:
    lead = array.shape[: array.ndim - len(shape)]
    lows = [min(max(s, 0), n) for s, n in zip(start, array.shape[len(lead) :], strict=True)]
    highs = [min(max(s + m, 0), n) for s, m, n in zip(start, shape, array.shape[len(lead) :], strict=True)]
    box: tuple[Any, ...] = (..., *(slice(a, max(a, b)) for a, b in zip(lows, highs, strict=True)))
    inside = array[box]
    if inside.shape[len(lead) :] == shape:
        return inside
    padded = np.full((*lead, *shape), fill, dtype=array.dtype)
    if inside.size:
        box = (..., *(slice(a - s, b - s) for a, b, s in zip(lows, highs, start, strict=True)))
        padded[box] = inside
    return padded
