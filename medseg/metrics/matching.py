"""Which predicted object is which reference object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.metrics.contingency import Contingency

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Matches:
    """One-to-one pairs of objects.

    Parameters
    ----------
    rows, columns : (k,) int64 arrays
        Places in the contingency's prediction and reference ids.
    iou : (k,) float64 array
    """

    rows: Ints
    columns: Ints
    iou: Floats


def match(found: Contingency, threshold: float = 0.5) -> Matches:
    """Pair objects whose intersection over union is at least `threshold`: most pairs first, then the largest sum.

    Above one half no object can have two partners. At one half or below, objects that compete are assigned optimally,
    each knot of competitors by itself.

    Parameters
    ----------
    found : Contingency
    threshold : float
        In (0, 1].

    Examples
    --------
    >>> one = np.array([1])
    >>> halves = Contingency(np.array([1, 2]), one, np.array([4, 4]), np.array([8]), np.array([0, 1]),
    ...                      np.array([0, 0]), np.array([4, 4]))
    >>> match(halves, 0.5).rows.tolist()
    [0]
    """
    iou = found.iou
    good = iou >= threshold
    rows, columns, iou = found.rows[good], found.columns[good], iou[good]
    if threshold <= 0.5:
        rows, columns, iou = _assigned(rows, columns, iou)
    return Matches(rows, columns, iou)


def _assigned(rows: Ints, columns: Ints, iou: Floats) -> tuple[Ints, Ints, Floats]:
    contested = (np.bincount(rows)[rows] > 1) | (np.bincount(columns)[columns] > 1)
    if not contested.any():
        return rows, columns, iou
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, m = int(rows.max()) + 1, int(columns.max()) + 1
    graph = coo_array((np.ones(len(rows), np.bool_), (rows, columns + n)), shape=(n + m, n + m))
    _, knot = connected_components(graph, directed=False)
    keep = ~contested
    places = np.flatnonzero(np.isin(knot[rows], np.unique(knot[rows[contested]])))
    keep[places] = False
    order = places[np.argsort(knot[rows[places]], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(knot[rows[order]])) + 1):
        keep[members[_best(rows[members], columns[members], iou[members])]] = True
    return rows[keep], columns[keep], iou[keep]


def _best(rows: Ints, columns: Ints, iou: Floats) -> Ints:
    """Return which pairs of a knot are the best assignment."""
    from scipy.optimize import linear_sum_assignment

    row_ids, row = np.unique(rows, return_inverse=True)
    column_ids, column = np.unique(columns, return_inverse=True)
    gain = np.zeros((len(row_ids), len(column_ids)))
    gain[row, column] = min(gain.shape) + iou  # one pair more is worth more than any sum of IoUs
    pair = np.full(gain.shape, -1)
    pair[row, column] = np.arange(len(rows))
    chosen = pair[linear_sum_assignment(gain, maximize=True)]
    return np.asarray(chosen[chosen >= 0], np.int64)
