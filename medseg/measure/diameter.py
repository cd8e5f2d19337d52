"""The longest straight line between two voxel centres of a structure, exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_FEW = 48
_CHUNK = 1024


def longest_diameter(mask: Mask, world_from_index: Floats) -> float:
    """Return the largest distance between the centres of two voxels of a mask, in the unit of the world.

    Parameters
    ----------
    mask : (n, m) or (n, m, l) bool array
        With at least one voxel set.
    world_from_index : (d+1, d+1) float64 array

    Returns
    -------
    float
        0 for a single voxel.

    Examples
    --------
    >>> longest_diameter(np.ones((1, 2, 3), bool), np.diag([1.0, 3.0, 2.0, 1.0]))
    5.0
    """
    return farthest_pair(_line_ends(mask), world_from_index[:-1, :-1])


def longest_slice_diameter(mask: Mask, world_from_index: Floats, axis: int) -> float:
    """Return the largest distance within one slice of the mask across `axis`, in the unit of the world."""
    columns = np.delete(world_from_index[:-1, :-1], axis, axis=1)
    slices = np.moveaxis(mask, axis, 0)
    best = 0.0
    for layer in slices:
        if not layer.any():
            continue
        points = _line_ends(layer)
        reach = (points.max(axis=0) - points.min(axis=0)) * np.sqrt((columns**2).sum(axis=0))
        if float(np.hypot(*reach)) * (1 + 1e-3) > best:  # no pair can be farther than its box: most slices end here
            best = max(best, farthest_pair(points, columns))
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


def _line_ends(mask: Mask) -> Indices:
    """Return the first and the last voxel of every line along the longest axis; no other can be a hull corner."""
    axis = int(np.argmax(mask.shape))
    lines = np.moveaxis(mask, axis, -1)
    occupied = np.argwhere(lines.any(axis=-1))
    picked = lines[tuple(occupied.T)]
    first = picked.argmax(axis=-1)
    last = picked.shape[-1] - 1 - picked[:, ::-1].argmax(axis=-1)
    ends = np.concatenate([np.column_stack([occupied, first]), np.column_stack([occupied, last])])
    return np.insert(ends[:, :-1], axis, ends[:, -1], axis=1).astype(np.int64)
