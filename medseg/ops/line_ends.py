"""The first and the last voxel of an id on every line of an array: no other voxel can be a corner of its hull."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.ops.compiled import kernels

Indices = npt.NDArray[np.int64]


def line_ends(array: npt.NDArray[Any], number: int, axis: int) -> Indices:
    """Return where an id begins and ends on every line along one axis.

    Parameters
    ----------
    array : 2-D or 3-D label array
    number : int
        The id; any value other than it is outside.
    axis : int
        Direction of the lines.

    Returns
    -------
    (n, d) int64 array
        Voxel indices; a line with a single voxel gives it twice.

    Examples
    --------
    >>> line_ends(np.array([[0, 5, 5, 5], [0, 0, 5, 0]]), 5, axis=1).tolist()
    [[0, 1], [1, 2], [0, 3], [1, 2]]
    """
    loops = kernels("line_kernels")
    if loops is None:
        occupied, first, last = _ends(np.moveaxis(array == number, axis, -1))
    else:
        solid = array.reshape((1,) * (3 - array.ndim) + array.shape)
        # walked as it lies in memory: scans come in either order, and a walk across it is several times slower
        order = sorted(range(3), key=lambda a: -abs(solid.strides[a]))
        place = order.index(axis + 3 - array.ndim)
        starts, stops = loops.line_ends(solid.transpose(order), number, place)
        rest = [a for a in order if a != order[place]]
        if rest != sorted(rest):
            starts, stops = starts.T, stops.T
        if array.ndim == 2:
            starts, stops = starts[0], stops[0]
        occupied = np.argwhere(stops >= 0)
        first, last = starts[stops >= 0], stops[stops >= 0]
    ends = [np.insert(occupied, axis, at, axis=1) for at in (first, last)]
    return np.concatenate(ends).astype(np.int64)


def _ends(lines: npt.NDArray[np.bool_]) -> tuple[Indices, Indices, Indices]:
    occupied = np.argwhere(lines.any(axis=-1))
    picked = lines[tuple(occupied.T)]
    return occupied, picked.argmax(axis=-1), picked.shape[-1] - 1 - picked[:, ::-1].argmax(axis=-1)
