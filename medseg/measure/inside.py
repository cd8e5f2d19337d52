"""Objects whose centre lies inside a drawn outline: how many there are, and how densely they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError
from medseg.grid import Grid

Floats = npt.NDArray[np.float64]

_MM_PER_UNIT = {"mm": 1.0, "um": 1e-3}
_FEWEST = 3
_ON_SLICE = 0.6
"""How far, in slices, the corners of an outline may lie from one slice and still be drawn in it."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What lies inside an outline.

    Parameters
    ----------
    ids : tuple of int
        Objects with their centre inside, ascending.
    extent_mm : float or None
        Area in mm2 (2-D) or volume in mm3 (3-D: the outline through all slices) of the part that lies in the image;
        None where the pixel size is not known.
    """

    ids: tuple[int, ...]
    extent_mm: float | None

    @property
    def density(self) -> float | None:
        """Objects per mm2 or mm3."""
        return len(self.ids) / self.extent_mm if self.extent_mm else None


def inside_outline(ids: npt.NDArray[Any], centres: Floats, outline: Floats, grid: Grid) -> Inside:
    """Find the objects whose centre lies inside an outline; in a stack the outline reaches through all slices.

    Parameters
    ----------
    ids : (n,) int array
    centres : (n, d) float64 array
        Centres as voxel indices.
    outline : (k, d) float64 array
        Corners in order, as voxel indices; in 3-D all on one slice across one of the axes.
    grid : Grid
        Of the image.

    Raises
    ------
    UsageError
        If the outline has fewer than 3 corners, or was not drawn in one slice (E_USAGE).

    Examples
    --------
    >>> grid = Grid((10, 10), np.eye(3), "mm", "image")
    >>> square = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [4.0, 0.0]])
    >>> found = inside_outline(np.array([3, 8]), np.array([[1.0, 2.0], [6.0, 2.0]]), square, grid)
    >>> found.ids, found.extent_mm
    ((3,), 16.0)
    """
    from skimage.measure import points_in_poly

    if len(outline) < _FEWEST:
        raise _refused(f"an outline of {len(outline)} corners", "at least 3 corners")
    across = _across(outline) if grid.ndim == _FEWEST else None
    plane = [a for a in range(grid.ndim) if a != across]
    flat = np.asarray(outline, np.float64)[:, plane]
    hit = np.zeros(len(ids), np.bool_) if not len(ids) else points_in_poly(np.asarray(centres)[:, plane], flat)
    extent = None
    if grid.unit in _MM_PER_UNIT:
        within = _clipped(flat, [grid.shape[a] for a in plane])
        size = _area(within) * (1 if across is None else grid.shape[across])
        extent = size * grid.voxel_size * _MM_PER_UNIT[grid.unit] ** grid.ndim
    return Inside(tuple(sorted(int(i) for i in np.asarray(ids)[hit])), extent)


def _across(outline: Floats) -> int:
    spread = np.ptp(outline, axis=0)
    axis = int(np.argmin(spread))
    if spread[axis] > _ON_SLICE:
        raise _refused("an outline that runs through several slices", "corners in one slice of the labels")
    return axis


def _clipped(flat: Floats, lengths: list[int]) -> Floats:
    """Return the part of a polygon inside the image, whose faces lie half a voxel beyond its outer centres."""
    for axis, length in enumerate(lengths):
        for limit, sign in ((-0.5, 1.0), (length - 0.5, -1.0)):
            flat = _cut(flat, axis, limit, sign)
    return flat


def _cut(flat: Floats, axis: int, limit: float, sign: float) -> Floats:
    kept: list[Floats] = []
    for here, there in zip(flat, np.roll(flat, -1, axis=0), strict=True):
        a, b = sign * (here[axis] - limit), sign * (there[axis] - limit)
        if a >= 0:
            kept.append(here)
        if (a >= 0) != (b >= 0):
            kept.append(here + (there - here) * (a / (a - b)))
    return np.array(kept).reshape(-1, 2)


def _area(flat: Floats) -> float:
    if len(flat) < _FEWEST:
        return 0.0
    y, x = (flat - flat[0]).T
    return float(abs(np.dot(y, np.roll(x, -1)) - np.dot(x, np.roll(y, -1))) / 2.0)


def _refused(found: str, expected: str) -> UsageError:
    return UsageError(
        "E_USAGE",
        found=found,
        expected=expected,
        not_done="nothing was counted",
        remedy="Draw a rectangle, ellipse or polygon in one slice of the labels.",
    )
