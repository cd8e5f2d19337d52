"""How many voxels the convex hull of every object holds: what solidity is measured against."""

from __future__ import annotations

import numpy as np

from medseg.ops.compiled import kernels
from medseg.ops.moments import Floats, Indices, Labels, Moments, memory_order, numbered
from medseg.ops.outline import ABSENT, lines_of

_HAIR = 1e-7
_FLAT = 1e-4
"""Flat objects are thickened by this share of a voxel, so that they have a hull; no further voxel centre gets in."""


def hull_voxels(array: Labels, found: Moments) -> Indices:
    """Return how many voxel centres lie in the convex hull of the voxel centres of each object.

    Counting centres keeps the ratio exact: an object without dents has as many voxels as its hull, whatever its size.

    Parameters
    ----------
    array : (n, m) or (n, m, l) label array
    found : Moments
        Of `array`.

    Returns
    -------
    (k,) int64 array
        At least the voxels of each object.

    Examples
    --------
    >>> from medseg.ops.moments import moments
    >>> corner = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]])
    >>> hull_voxels(corner, moments(corner)).tolist()
    [6]
    """
    if array.ndim == 2:
        return _in_the_plane(array, found)
    loops = kernels("hull_kernels")
    if loops is None:
        return np.array([_one(array, found, row) for row in range(len(found.ids))], np.int64)
    lines = lines_of(array, found, memory_order(array), loops)
    at = (lines.first, lines.depth, lines.rows, lines.low, lines.high)
    held: Indices = loops.hulls(*at)
    for row in np.flatnonzero(held == 0):  # flat: the hull has no inside
        held[row] = _one(array, found, int(row))
    return held


def _in_the_plane(array: Labels, found: Moments) -> Indices:
    loops = kernels("shape_kernels")
    if loops is None:
        return np.array([_one(array, found, row) for row in range(len(found.ids))], np.int64)
    numbers, place = numbered(array, found.ids)
    rows = found.stop[:, 0] - found.start[:, 0]
    first = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
    low, high = np.full(first[-1], ABSENT), np.full(first[-1], -ABSENT)
    # place 0 is the background and takes no row
    loops.profiles(numbers, place, np.append(0, first[:-1]), np.append(0, found.start[:, 0]), low, high)
    counted: Indices = loops.hull_pixels(first, low, high, int(rows.max(initial=1)))
    return counted


def _one(array: Labels, found: Moments, row: int) -> int:
    box = tuple(slice(int(a), int(b)) for a, b in zip(found.start[row], found.stop[row], strict=True))
    mask = array[box] == found.ids[row]
    inside = np.argwhere(mask)
    if len(inside) <= 2:
        return len(inside) if len(inside) < 2 else int(np.gcd.reduce(np.abs(inside[1] - inside[0]))) + 1
    # along the last axis only the outermost voxels of each line can be corners
    starts = np.unique(inside[:, :-1], axis=0, return_index=True)[1]
    ends = np.concatenate([inside[starts], inside[np.append(starts[1:], len(inside)) - 1]])
    return _lattice_points(_facets(ends.astype(np.float64)), mask.shape)


def _facets(points: Floats) -> Floats:
    """Return the outward planes of the hull: normals and offsets, at most 0 inside."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return np.unique(ConvexHull(points).equations.round(12), axis=0)
    except QhullError:
        moves = np.concatenate([np.eye(points.shape[1]), -np.eye(points.shape[1])]) * _FLAT
        return np.asarray(ConvexHull((points[:, None] + moves).reshape(-1, points.shape[1])).equations)


def _lattice_points(facets: Floats, shape: tuple[int, ...]) -> int:
    """Count the whole-number points inside all planes, line by line along the last axis."""
    lines = np.indices(shape[:-1]).reshape(len(shape) - 1, -1).T
    slope = facets[:, -2]
    rest = lines @ facets[:, :-2].T + facets[:, -1]
    upright, rising, falling = np.abs(slope) <= _HAIR, slope > _HAIR, slope < -_HAIR
    high = (-rest[:, rising] / slope[rising]).min(axis=1, initial=np.inf)
    low = (-rest[:, falling] / slope[falling]).max(axis=1, initial=-np.inf)
    counts = np.floor(np.minimum(high, shape[-1]) + _HAIR) - np.ceil(np.maximum(low, -1.0) - _HAIR) + 1
    inside = (rest[:, upright] <= _HAIR).all(axis=1)
    return int(np.where(inside, np.maximum(counts, 0), 0).sum())
