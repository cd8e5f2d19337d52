"""The longest straight line in every one of many small objects, in one pass over their ends of lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.ops.compiled import kernels

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

MOST_ENDS = 1500
"""Objects with more ends of lines than this are left to a hull: pairs grow with their square."""


def crowd_diameters(
    array: npt.NDArray[Any], ids: Indices, world_from_index: Floats, *, within_axis: int | None = None
) -> Floats | None:
    """Return the largest distance between the centres of two voxels of each object.

    Parameters
    ----------
    array : (n, m) or (n, m, l) label array
    ids : (k,) int64 array
        All ids of the array, ascending.
    world_from_index : (d+1, d+1) float64 array
    within_axis : int, optional
        Only pairs of one slice across this axis count.

    Returns
    -------
    (k,) float64 array or None
        NaN for objects that are too large for this way; None where there is no compiler, and one by one is as fast.

    Examples
    --------
    >>> found = crowd_diameters(np.array([[1, 1, 0, 7]]), np.array([1, 7]), np.diag([1.0, 3.0, 1.0]))
    >>> found is None or found.tolist() == [3.0, 0.0]
    True
    """
    loops = kernels("feret_kernels")
    if loops is None:
        return None
    along = max((a for a in range(array.ndim) if a != within_axis), key=lambda a: array.shape[a])
    places = np.nonzero(_ends(array, along))
    ranks = np.searchsorted(ids, array[places])
    counts = np.bincount(ranks, minlength=len(ids))
    keys = (ranks,) if within_axis is None else (places[within_axis], ranks)
    order = np.lexsort(keys)
    points = (np.stack([axis[order] for axis in places], axis=1) @ world_from_index[:-1, :-1].T).astype(np.float64)
    sorted_ranks = ranks[order]
    fresh = np.diff(sorted_ranks, prepend=-1) != 0
    if within_axis is not None:
        fresh |= np.diff(places[within_axis][order], prepend=-1) != 0
    small = counts[sorted_ranks] <= MOST_ENDS
    points, owners, fresh = points[small], sorted_ranks[small], fresh[small]
    starts = np.append(np.flatnonzero(fresh), len(points)).astype(np.int64)
    found = np.zeros(len(ids))
    np.maximum.at(found, owners[starts[:-1]], loops.farthest(np.ascontiguousarray(points), starts))
    found[counts > MOST_ENDS] = np.nan
    return found


def _ends(array: npt.NDArray[Any], axis: int) -> npt.NDArray[np.bool_]:
    """Return where a line along an axis enters or leaves an object."""
    change = np.diff(array, axis=axis) != 0
    outer = np.ones_like(array.take([0], axis), dtype=np.bool_)
    before = np.concatenate([outer, change], axis=axis)
    after = np.concatenate([change, outer], axis=axis)
    return np.asarray((before | after) & (array != 0))
