"""Which boxes share something with which: found on a lattice of cells, so that the work grows with the boxes only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_CELLS = 64
"""Cells per box, on the average, above which the lattice is made coarser."""


def sharing_pairs(starts: Floats, stops: Floats) -> Ints:
    """Return the pairs of boxes that share something, in order, the smaller place first.

    A cell is as large as the median box. Every box stands in each cell that it reaches; boxes are compared within
    cells, and a pair counts in the one cell where both have begun.

    Parameters
    ----------
    starts, stops : (k, n) float64 arrays

    Returns
    -------
    (p, 2) int64 array

    Examples
    --------
    >>> starts = np.array([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]])
    >>> sharing_pairs(starts, starts + 2.0).tolist()
    [[0, 1]]
    """
    if len(starts) < 2:
        return np.zeros((0, 2), np.int64)
    low, high = _cells(starts, stops)
    box, cell = _entries(low, high)
    order = np.lexsort(cell.T)
    box, cell = box[order], cell[order]
    first, second = _within_groups((cell[1:] != cell[:-1]).any(axis=1))
    one, two = box[first], box[second]
    real = (cell[first] == np.maximum(low[one], low[two])).all(axis=1)
    real &= ((starts[one] < stops[two]) & (starts[two] < stops[one])).all(axis=1)
    pairs = np.sort(np.stack([one[real], two[real]], axis=1), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def earlier(pairs: Ints, n: int) -> list[npt.NDArray[Any]]:
    """Return for each of `n` boxes the boxes before it that it shares something with.

    Examples
    --------
    >>> [own.tolist() for own in earlier(np.array([[0, 2], [1, 2]]), 3)]
    [[], [], [0, 1]]
    """
    order = np.lexsort((pairs[:, 0], pairs[:, 1]))
    counts = np.bincount(pairs[:, 1], minlength=n)
    return np.split(pairs[order, 0], np.cumsum(counts)[:-1])


def _cells(starts: Floats, stops: Floats) -> tuple[Ints, Ints]:
    """Return the first and the last cell that each box reaches, along each axis."""
    size = np.maximum(np.median(stops - starts, axis=0), 1e-6)
    while True:
        low, high = (np.floor(edges / size).astype(np.int64) for edges in (starts, stops))
        if np.prod(high - low + 1.0, axis=1).sum() <= MOST_CELLS * len(starts):
            return low, high
        size = size * 2.0


def _entries(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Return a box and a cell for each cell that each box reaches."""
    spans = high - low + 1
    counts = spans.prod(axis=1)
    box = np.repeat(np.arange(len(low)), counts)
    rest = np.arange(len(box)) - np.repeat(np.cumsum(counts) - counts, counts)
    cell = np.empty((len(box), low.shape[1]), np.int64)
    for axis in range(low.shape[1]):
        rest, step = np.divmod(rest, spans[box, axis])
        cell[:, axis] = low[box, axis] + step
    return box, cell


def _within_groups(breaks: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return every pair of places between which no break lies."""
    n = len(breaks) + 1
    ends = np.append(np.flatnonzero(breaks) + 1, n)
    place = np.arange(n)
    partners = ends[np.searchsorted(ends, place, side="right")] - place - 1
    first = np.repeat(place, partners)
    shift = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    return first, first + 1 + shift
