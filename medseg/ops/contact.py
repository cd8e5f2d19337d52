"""Which objects share a face."""

from __future__ import annotations

import numpy as np

from medseg.ops.compiled import kernels
from medseg.ops.moments import Indices, Labels, memory_order, numbered


def touching(array: Labels, ids: Indices) -> Indices:
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
    numbers, place = numbered(array.transpose(memory_order(array)), ids)
    solid = numbers.reshape((1,) * (3 - array.ndim) + numbers.shape)
    n = len(ids) + 1
    loops = kernels("contact_kernels")
    pairs = np.unique(_meetings(solid, place, n) if loops is None else loops.meetings(solid, place, n))
    return np.bincount(np.concatenate([pairs // n, pairs % n]), minlength=n)[1:].astype(np.int64)


def _meetings(numbers: Labels, place: np.ndarray[tuple[int], np.dtype[np.int32]], n: int) -> Indices:
    """Do without the compiler what `contact_kernels.meetings` does."""
    rank = place[numbers].astype(np.int64)
    pairs = [np.empty(0, np.int64)]
    for axis in range(rank.ndim):
        ahead = np.moveaxis(rank, axis, 0)
        near, far = ahead[:-1], ahead[1:]
        meet = (near != far) & (near != 0) & (far != 0)
        pairs.append(np.unique(np.minimum(near, far)[meet] * n + np.maximum(near, far)[meet]))
    return np.concatenate(pairs)
