"""One pass over a label image: voxels, box, sums of coordinates and intensities of every id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.ops.compiled import kernels

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Labels = npt.NDArray[Any]

_LARGEST_TABLE = 1 << 24


@dataclass(frozen=True, slots=True)
class Moments:
    """What one pass found; row r belongs to ``ids[r]``, ids ascend, background is left out.

    Parameters
    ----------
    ids : (n,) int64 array
    voxels : (n,) int64 array
    start, stop : (n, d) int64 arrays
        Box, ``stop`` exclusive.
    centroid : (n, d) float64 array
        Mean voxel index.
    """

    ids: Indices
    voxels: Indices
    start: Indices
    stop: Indices
    centroid: Floats


def moments(array: npt.NDArray[Any]) -> Moments:
    """Count and locate every id of a 2-D or 3-D label array.

    Examples
    --------
    >>> found = moments(np.array([[0, 7], [0, 7]]))
    >>> found.ids.tolist(), found.voxels.tolist(), found.centroid.tolist()
    ([7], [2], [[0.5, 1.0]])
    """
    order = memory_order(array)
    ids, numbers, place = placed(array.transpose(order))
    solid = numbers.reshape((1,) * (3 - array.ndim) + numbers.shape)
    loops = kernels("moments_kernels")
    locate = _located if loops is None else loops.located
    voxels, start, stop, total = (column[1:] for column in locate(solid, place, len(ids) + 1))
    axes = [order.index(a) + 3 - array.ndim for a in range(array.ndim)]
    return Moments(ids, voxels, start[:, axes], stop[:, axes], total[:, axes] / voxels[:, None])


def intensities(array: npt.NDArray[Any], channel: npt.NDArray[Any], ids: Indices | None = None) -> Floats:
    """Return mean, standard deviation, minimum and maximum of an image under each id.

    Values that are not finite are left out.

    Parameters
    ----------
    array : label array
    channel : image array of the same shape
    ids : (n,) int64 array, optional
        All ids of the array, ascending, where they are known.

    Returns
    -------
    (n, 4) float64 array
        Rows as in `moments`; NaN where an id covers no finite value. The deviation is that of the population.
    """
    order = memory_order(array)
    turned = array.transpose(order)
    if ids is None:
        ids, numbers, place = placed(turned)
    else:
        numbers, place = numbered(turned, ids)
    values = np.ascontiguousarray(channel.transpose(order))
    loops = kernels("moments_kernels")
    summarise = _summarised if loops is None else loops.summarised
    found: Floats = summarise(numbers.reshape(-1), place, values.reshape(-1), len(ids) + 1)[1:]
    return found


def placed(array: npt.NDArray[Any]) -> tuple[Indices, npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Return the ids without 0, an array of numbers, and a table from each number to the id's place, from 1.

    The numbers are the ids themselves unless those are so large that the table would be too.
    """
    top = int(array.max(initial=0))
    if array.min(initial=0) >= 0 and top < _LARGEST_TABLE:
        seen = _seen(array, top)
        seen[0] = False
        ids = np.flatnonzero(seen)
        place = np.zeros(top + 1, np.int32)
        place[ids] = np.arange(1, len(ids) + 1)
        return ids.astype(np.int64), np.ascontiguousarray(array), place
    ids = np.unique(array)
    ids = ids[ids != 0]
    ranks = np.where(array == 0, 0, np.searchsorted(ids, array) + 1)
    return ids.astype(np.int64), np.ascontiguousarray(ranks), np.arange(len(ids) + 1, dtype=np.int32)


def numbered(array: npt.NDArray[Any], ids: Indices) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Do what `placed` does for an array whose ids are known: nothing is searched."""
    if len(ids) and (ids[0] < 0 or ids[-1] >= _LARGEST_TABLE):
        return placed(array)[1:]
    place = np.zeros(int(ids[-1]) + 1 if len(ids) else 1, np.int32)
    place[ids] = np.arange(1, len(ids) + 1)
    return np.ascontiguousarray(array), place


def _seen(array: npt.NDArray[Any], top: int) -> npt.NDArray[np.bool_]:
    seen = np.zeros(top + 1, np.bool_)
    loops = kernels("moments_kernels")
    if loops is None:
        seen[array.reshape(-1)] = True
    else:
        loops.mark(np.ascontiguousarray(array).reshape(-1), seen)
    return seen


def memory_order(array: npt.NDArray[Any]) -> list[int]:
    """Return the axes from the slowest to the fastest: a walk across the memory takes several times longer."""
    return sorted(range(array.ndim), key=lambda a: -abs(array.strides[a]))


def _located(numbers: npt.NDArray[Any], place: npt.NDArray[np.int32], n: int) -> tuple[npt.NDArray[Any], ...]:
    """Do without the compiler what `moments_kernels.located` does."""
    rank = place[numbers]
    index = np.nonzero(rank)
    labels = rank[index]
    voxels = np.bincount(labels, minlength=n)
    start, stop = np.full((n, 3), np.iinfo(np.int64).max), np.zeros((n, 3), np.int64)
    total = np.stack([np.bincount(labels, weights=axis, minlength=n) for axis in index], axis=1)
    for axis, values in enumerate(index):
        np.minimum.at(start[:, axis], labels, values)
        np.maximum.at(stop[:, axis], labels, values + 1)
    return voxels, start, stop, total


def _summarised(numbers: npt.NDArray[Any], place: npt.NDArray[np.int32], values: npt.NDArray[Any], n: int) -> Floats:
    """Do without the compiler what `moments_kernels.summarised` does."""
    rank = place[numbers]
    known = (rank != 0) & np.isfinite(values)
    labels, lit = rank[known], values[known].astype(np.float64)
    count = np.bincount(labels, minlength=n)
    out = np.full((n, 4), np.nan)
    seen = count > 0
    divisor = np.maximum(count, 1)
    mean = np.bincount(labels, weights=lit, minlength=n) / divisor
    spread = np.bincount(labels, weights=(lit - mean[labels]) ** 2, minlength=n) / divisor
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, labels, lit)
    np.maximum.at(high, labels, lit)
    out[seen] = np.stack([mean, np.sqrt(spread), low, high], axis=1)[seen]
    return out
