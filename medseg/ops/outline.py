"""Where the lines of every object begin and end: all that its hull and its longest line depend on."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from medseg.ops.moments import Indices, Labels, Moments, numbered

ABSENT = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False, slots=True)
class Lines:
    """The lines of every object along the last of three axes, plane by plane within the object's box.

    Parameters
    ----------
    first : (k + 1,) int64 array
        Where the lines of each object begin in `low` and `high`.
    depth, rows : (k,) int64 arrays
        Planes of each object, and lines of each plane.
    low, high : int64 arrays
        First and last column of each line; `ABSENT` and minus that where the object has none.
    """

    first: Indices
    depth: Indices
    rows: Indices
    low: Indices
    high: Indices


def lines_of(array: Labels, found: Moments, order: list[int], loops: ModuleType) -> Lines:
    """Find the lines of every object.

    Parameters
    ----------
    array : (n, m) or (n, m, l) label array
        A flat one is a single plane.
    found : Moments
        Of `array`.
    order : list of int
        The axes of `array` as planes, lines and columns, or lines and columns.
    loops : module
        The compiled loops, ``hull_kernels``.
    """
    numbers, place = numbered(array.transpose(order), found.ids)
    flat = 3 - array.ndim
    start, stop = np.zeros((len(found.ids), 3), np.int64), np.ones((len(found.ids), 3), np.int64)
    start[:, flat:], stop[:, flat:] = found.start[:, order], found.stop[:, order]
    depth, rows = (np.ascontiguousarray(stop[:, axis] - start[:, axis]) for axis in (0, 1))
    first = np.append(0, np.cumsum(depth * rows)).astype(np.int64)
    low, high = np.full(first[-1], ABSENT), np.full(first[-1], -ABSENT)
    solid = numbers.reshape((1,) * flat + numbers.shape)
    # place 0 is the background and takes no line
    at = (np.append(0, first[:-1]), np.concatenate([np.zeros((1, 3), np.int64), start]), np.append(0, rows))
    loops.lines(solid, place, *at, low, high)
    return Lines(first, depth, rows, low, high)
