"""Who lies beside whom: distance to the nearest object, and how many objects touch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_TWO = 2


def nearest_distances(centres: Floats) -> Floats:
    """Return the distance from each centre to the nearest other; NaN where there is none.

    Parameters
    ----------
    centres : (n, d) float64 array
        World positions.

    Examples
    --------
    >>> nearest_distances(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])).tolist()
    [5.0, 1.0, 1.0]
    """
    from scipy.spatial import cKDTree

    if len(centres) < _TWO:
        return np.full(len(centres), np.nan)
    found: Floats = cKDTree(centres).query(centres, k=2)[0][:, 1]
    return found


def touching(array: npt.NDArray[Any], ids: Indices) -> Indices:
    """Return how many different objects each object shares a face with.

    Parameters
    ----------
    array : (n, m) or (n, m, l) label array
    ids : (k,) int64 array
        All ids of the array, ascending.

    Examples
    --------
    >>> touching(np.array([[1, 2, 0], [1, 3, 9]]), np.array([1, 2, 3, 9])).tolist()
    [2, 2, 3, 1]
    """
    pairs = [np.empty((0, 2), np.int64)]
    for axis in range(array.ndim):
        near, far = _but_last(array, axis), _but_first(array, axis)
        meet = (near != far) & (near != 0) & (far != 0)
        pairs.append(np.unique(np.stack([near[meet], far[meet]], axis=1).astype(np.int64), axis=0))
    both = np.sort(np.concatenate(pairs), axis=1)
    distinct = np.unique(both, axis=0)
    return np.bincount(np.searchsorted(ids, distinct.reshape(-1)), minlength=len(ids)).astype(np.int64)


def _but_last(array: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    return array[(slice(None),) * axis + (slice(None, -1),)]


def _but_first(array: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    return array[(slice(None),) * axis + (slice(1, None),)]
