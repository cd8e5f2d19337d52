"""One pass over a label image: voxels, box, sums of coordinates and intensities of every id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


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
    ids, rank = ranked(array)
    d = array.ndim
    solid = rank.reshape((1,) * (3 - d) + rank.shape)
    n = len(ids) + 1
    voxels, start, stop, total = _located(solid, n)
    known = slice(1, None)
    return Moments(
        ids,
        voxels[known],
        start[known, 3 - d :],
        stop[known, 3 - d :],
        total[known, 3 - d :] / np.maximum(voxels[known, None], 1),
    )


def intensities(array: npt.NDArray[Any], channel: npt.NDArray[Any]) -> Floats:
    """Return mean, standard deviation, minimum and maximum of an image under each id.

    Values that are not finite are left out.

    Parameters
    ----------
    array : label array
    channel : image array of the same shape

    Returns
    -------
    (n, 4) float64 array
        Rows as in `moments`; NaN where an id covers no finite value. The deviation is that of the population.
    """
    ids, rank = ranked(array)
    return _summarised(rank.reshape(-1), np.ascontiguousarray(channel).reshape(-1), len(ids) + 1)[1:]


def ranked(array: npt.NDArray[Any]) -> tuple[Indices, npt.NDArray[np.int32]]:
    """Return the ids without 0, and the array with each id replaced by its place among them (from 1)."""
    top = int(array.max(initial=0))
    if array.min(initial=0) >= 0 and top < 1 << 24:
        seen = np.zeros(top + 1, np.bool_)
        seen[array.reshape(-1)] = True
        seen[0] = False
        ids = np.flatnonzero(seen)
        place = np.zeros(top + 1, np.int32)
        place[ids] = np.arange(1, len(ids) + 1)
        return ids.astype(np.int64), np.ascontiguousarray(place[array])
    ids = np.unique(array)
    ids = ids[ids != 0]
    ranks = np.where(array == 0, 0, np.searchsorted(ids, array) + 1)
    return ids.astype(np.int64), np.ascontiguousarray(ranks, dtype=np.int32)


@numba.njit(cache=True)
def _located(rank, n):  # type: ignore[no-untyped-def]
    voxels = np.zeros(n, np.int64)
    start = np.full((n, 3), np.iinfo(np.int64).max, np.int64)
    stop = np.zeros((n, 3), np.int64)
    total = np.zeros((n, 3), np.float64)
    for i in range(rank.shape[0]):
        for j in range(rank.shape[1]):
            for k in range(rank.shape[2]):
                r = rank[i, j, k]
                if r == 0:
                    continue
                voxels[r] += 1
                at = (i, j, k)
                for axis in range(3):
                    total[r, axis] += at[axis]
                    start[r, axis] = min(start[r, axis], at[axis])
                    stop[r, axis] = max(stop[r, axis], at[axis] + 1)
    return voxels, start, stop, total


@numba.njit(cache=True)
def _summarised(rank, values, n):  # type: ignore[no-untyped-def]
    # deviations are summed from the first value of each id: large offsets would cancel the digits otherwise
    count = np.zeros(n, np.int64)
    base = np.zeros(n, np.float64)
    sums = np.zeros((n, 2), np.float64)
    out = np.full((n, 4), np.nan, np.float64)
    for v in range(rank.shape[0]):
        r = rank[v]
        value = float(values[v])
        if r == 0 or not np.isfinite(value):
            continue
        if count[r] == 0:
            base[r] = value
            out[r, 2] = value
            out[r, 3] = value
        count[r] += 1
        moved = value - base[r]
        sums[r, 0] += moved
        sums[r, 1] += moved * moved
        out[r, 2] = min(out[r, 2], value)
        out[r, 3] = max(out[r, 3], value)
    for r in range(n):
        if count[r] > 0:
            mean = sums[r, 0] / count[r]
            out[r, 0] = base[r] + mean
            out[r, 1] = np.sqrt(max(0.0, sums[r, 1] / count[r] - mean * mean))
    return out
