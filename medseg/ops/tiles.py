"""Where the tiles of a large image lie, and how much each of their voxels counts."""

from __future__ import annotations

from itertools import pairwise, product
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError

LARGEST_OVERLAP = 0.9
SMALLEST_WEIGHT = 1e-3
"""Weights of one axis are never smaller: the product over three axes then stays a normal float32."""


def starts(length: int, patch: int, overlap: float) -> tuple[int, ...]:
    """Return where tiles begin along one axis, evenly spread from border to border.

    Parameters
    ----------
    length : int
        Voxels along the axis.
    patch : int
        Voxels of a tile along the axis.
    overlap : float
        Least share of a tile that its neighbour covers too, in [0, 0.9]; the step is at least one voxel.

    Returns
    -------
    tuple of int
        Ascending; the last tile ends at the border. One start at 0 where the tile is as long as the axis or longer.

    Raises
    ------
    UsageError
        If the lengths are not positive or the overlap is out of range.

    Examples
    --------
    >>> starts(10, 4, 0.5)
    (0, 2, 4, 6)
    >>> starts(3, 4, 0.5)
    (0,)
    """
    if length < 1 or patch < 1 or not 0 <= overlap <= LARGEST_OVERLAP:
        raise UsageError(
            "E_USAGE",
            found=f"a length of {length}, a tile of {patch} voxels and an overlap of {overlap}",
            expected=f"positive lengths and an overlap of 0 to {LARGEST_OVERLAP}",
            not_done="the image was not divided into tiles",
            remedy="Choose another tile size or overlap.",
        )
    if length <= patch:
        return (0,)
    step = max(1, floor(patch * (1 - overlap) + 1e-9))
    gaps = ceil((length - patch) / step)
    return tuple((i * (length - patch) + gaps // 2) // gaps for i in range(gaps + 1))


def tiles(shape: tuple[int, ...], patch: tuple[int, ...], overlap: float) -> tuple[tuple[slice, ...], ...]:
    """Return the boxes that together cover every voxel; the first axis changes slowest.

    Parameters
    ----------
    shape, patch : (n,) ints
    overlap : float
        As for `starts`, the same along each axis.

    Returns
    -------
    tuple of tuple of slice
        Each as large as `patch`, or as the image where that is smaller.

    Examples
    --------
    >>> tiles((4, 3), (2, 5), 0.0)
    ((slice(0, 2, None), slice(0, 3, None)), (slice(2, 4, None), slice(0, 3, None)))
    """
    axes = [
        [slice(s, min(s + p, n)) for s in starts(n, p, overlap)] for n, p in zip(shape, patch, strict=True)
    ]  # fmt: skip
    return tuple(product(*axes))


def outer_axis(shape: tuple[int, ...], patch: tuple[int, ...]) -> int:
    """Return which of the first (0) and the last axis (-1) makes a row of tiles the smaller part of the image.

    Examples
    --------
    >>> outer_axis((20, 30, 90), (10, 10, 10)), outer_axis((90, 30, 20), (10, 10, 10))
    (-1, 0)
    """
    return -1 if shape[-1] * patch[0] > shape[0] * patch[-1] else 0


class Row(NamedTuple):
    """The places of tiles that begin alike along one axis, where that is, and where the next row begins."""

    places: list[tuple[int, ...]]
    start: int
    stop: int


def rows_along(axis_starts: list[tuple[int, ...]], shape: tuple[int, ...], axis: int | None) -> list[Row]:
    """Return the places of all tiles in rows that follow each other along an axis; without one, all are one row.

    Parameters
    ----------
    axis_starts : list of tuples of int
        Where tiles begin, along each axis.
    shape : tuple of int
        Of the whole grid; the last row ends where it ends.
    axis : int, optional

    Examples
    --------
    >>> rows_along([(0, 2), (0, 3)], (4, 6), -1)
    [Row(places=[(0, 0), (2, 0)], start=0, stop=3), Row(places=[(0, 3), (2, 3)], start=3, stop=6)]
    """
    if axis is None:
        return [Row(list(product(*axis_starts)), 0, shape[0])]
    rows = []
    for start, stop in pairwise((*axis_starts[axis], shape[axis])):
        begins = list(axis_starts)
        begins[axis] = (start,)
        rows.append(Row(list(product(*begins)), start, stop))
    return rows


def gaussian(n: int, sigma_scale: float = 0.125) -> npt.NDArray[np.float32]:
    """Return the weight of each voxel along one axis of a tile: highest in the middle, never zero.

    Parameters
    ----------
    n : int
        Voxels of the tile along the axis.
    sigma_scale : float
        Standard deviation as a share of `n`.

    Returns
    -------
    (n,) float32 array
        Symmetric, in [0.001, 1]. The weight in a tile is the product over its axes.

    Examples
    --------
    >>> gaussian(4).round(1).tolist()
    [0.0, 0.6000000238418579, 0.6000000238418579, 0.0]
    """
    distance = (np.arange(n) - (n - 1) / 2) / (sigma_scale * n)
    return np.maximum(np.exp(-0.5 * distance**2), SMALLEST_WEIGHT).astype(np.float32)
