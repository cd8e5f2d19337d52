"""The longest straight line between two voxel centres of a structure, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.ops.line_ends import line_ends

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_FEW = 48
_CHUNK = 1024


def longest_diameter(array: npt.NDArray[Any], number: int, world_from_index: Floats) -> float:
    """Return the largest distance between the centres of two voxels of an id, in the unit of the world.

    Parameters
    ----------
    array : (n, m) or (n, m, l) label array
        Holds `number` at least once.
    number : int
    world_from_index : (d+1, d+1) float64 array

    Returns
    -------
    float
        0 for a single voxel.

    Examples
    --------
    >>> longest_diameter(np.ones((1, 2, 3), int), 1, np.diag([1.0, 3.0, 2.0, 1.0]))
    5.0
    """
    axis = int(np.argmax(array.shape))
    return farthest_pair(line_ends(array, number, axis), world_from_index[:-1, :-1])


def longest_slice_diameter(array: npt.NDArray[Any], number: int, world_from_index: Floats, axis: int) -> float:
    """Return the largest distance within one slice across `axis`, in the unit of the world.

    Parameters are those of `longest_diameter`, and the axis that the slices are stacked along.
    """
    columns = np.delete(world_from_index[:-1, :-1], axis, axis=1)
    along = max((a for a in range(array.ndim) if a != axis), key=lambda a: array.shape[a])
    points = line_ends(array, number, along)
    points = points[np.argsort(points[:, axis], kind="stable")]
    starts = np.flatnonzero(np.diff(points[:, axis], prepend=-1))
    flat = np.delete(points, axis, axis=1)
    low, high = np.minimum.reduceat(flat, starts), np.maximum.reduceat(flat, starts)
    reach = np.sqrt((((high - low) * np.sqrt((columns**2).sum(axis=0))) ** 2).sum(axis=1))
    stops = np.append(starts[1:], len(points))
    best = 0.0
    for row in np.argsort(-reach):
        # no pair is farther apart than its box is long (axes may lean by a thousandth): most slices end here
        if reach[row] * (1 + 2e-3) <= best:
            break
        best = max(best, farthest_pair(flat[starts[row] : stops[row]], columns))
    return best


def farthest_pair(points: Indices, columns: Floats) -> float:
    """Return the largest distance between two points.

    Parameters
    ----------
    points : (n, d) int array
        Voxel indices, n >= 1.
    columns : (w, d) float64 array
        World vector of one step along each index axis.
    """
    corners = points if len(points) <= _FEW else points[_hull(points)]
    world = (corners - corners[0]) @ columns.T
    farthest = 0.0
    for start in range(0, len(world), _CHUNK):
        gaps = world[start : start + _CHUNK, None] - world[None]
        farthest = max(farthest, float(np.einsum("abw,abw->ab", gaps, gaps).max()))
    return float(np.sqrt(farthest))


def _hull(points: Indices) -> npt.NDArray[np.int64]:
    """Return which points span the convex hull, also where all lie in a plane or on a line."""
    from scipy.spatial import ConvexHull

    moved = (points - points[0]).astype(np.float64)
    # affine maps keep a hull, and whole-number indices tell a flat structure from a thin one without any tolerance game
    _, sizes, axes = np.linalg.svd(moved.T @ moved)
    rank = int((sizes > sizes[0] * 1e-12).sum()) if sizes[0] > 0 else 0
    if rank == 0:
        return np.zeros(1, np.int64)
    flat = moved @ axes[:rank].T
    if rank == 1:
        return np.array([flat[:, 0].argmin(), flat[:, 0].argmax()])
    return np.asarray(ConvexHull(flat).vertices, np.int64)
