"""Where two label images differ, voxel by voxel and object by object: hits, misses and false alarms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.labels import Instances, LabelMap
from medseg.metrics.contingency import Contingency, contingency, things
from medseg.metrics.matching import Matches, match
from medseg.ops.agreement import require_same_grid

HIT, MISSED, FALSE_ALARM = 1, 2, 3
NAMES = {HIT: "hit", MISSED: "missed", FALSE_ALARM: "false alarm"}

Ints = npt.NDArray[np.int64]
_NOBODY = (-1, 0.0)


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is not as it should be.

    Parameters
    ----------
    kind : str
        ``missed``, ``merged`` (a reference swallowed with others by one prediction), ``split`` (a reference in
        pieces), ``false alarm``, or ``found`` for a pair that overlaps enough, however well.
    reference_id, prediction_id : int or None
        The pair; for an object without a partner the one that it shares most with, None where there is none.
    iou : float
        Of these two; 0 without a partner.
    voxels : int
        Of the reference, or of the prediction for a false alarm.
    """

    kind: str
    reference_id: int | None
    prediction_id: int | None
    iou: float
    voxels: int


def class_difference(prediction: LabelMap, reference: LabelMap) -> LabelMap:
    """Return a map of hits (the same class), misses (the reference's class is not there) and false alarms.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> grid = image_grid((1, 4), (1.0, 1.0), "px")
    >>> truth = LabelMap(np.array([[1, 1, 2, 0]]), grid)
    >>> class_difference(LabelMap(np.array([[1, 0, 1, 1]]), grid), truth).array.tolist()
    [[1, 2, 2, 3]]
    """
    require_same_grid(
        prediction.grid, reference.grid, what="prediction and reference", not_done="they were not compared"
    )
    return LabelMap(_drawn(prediction.array, reference.array, lambda ids: ids), reference.grid, dict(NAMES))


def object_difference(
    prediction: Instances, reference: Instances, threshold: float = 0.5
) -> tuple[LabelMap, tuple[Difference, ...]]:
    """Return a map of hits, misses and false alarms, and what became of every object.

    A voxel is a hit where the object of the prediction is the partner of the object of the reference.

    Parameters
    ----------
    prediction, reference : Instances
        On the same grid; stuff is left out.
    threshold : float
        Least intersection over union of partners.

    Returns
    -------
    labels : LabelMap
    differences : tuple of Difference
        The worst first: by IoU, then the largest.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).
    """
    table = things(contingency(prediction, reference), prediction, reference)
    pairs = match(table, threshold)
    partner = np.full(len(table.prediction_ids), -1, np.int64)
    partner[pairs.rows] = table.reference_ids[pairs.columns]

    def as_reference(ids: npt.NDArray[Any]) -> Ints:
        """Return the number of each object's partner; -1 without one, 0 for background."""
        if not len(table.prediction_ids):
            return np.where(ids == 0, 0, -1)
        place = np.minimum(np.searchsorted(table.prediction_ids, ids), len(table.prediction_ids) - 1)
        known = table.prediction_ids[place] == ids
        return np.where(ids == 0, 0, np.where(known, partner[place], -1))

    drawn = _drawn(prediction.array, reference.array, as_reference)
    found = sorted(_differences(table, pairs), key=lambda d: (d.iou, -d.voxels, d.reference_id or 0))
    return LabelMap(drawn, reference.grid, dict(NAMES)), tuple(found)


def _drawn(
    prediction: npt.NDArray[Any], reference: npt.NDArray[Any], as_reference: Callable[[Any], Any]
) -> npt.NDArray[np.uint8]:
    # in the memory order of the reference, slice by slice: no second copy of a large image
    drawn = np.zeros_like(reference, dtype=np.uint8)
    axis = int(np.argmax(np.abs(reference.strides)))
    for at in range(reference.shape[axis]):
        here = (slice(None),) * axis + (at,)
        truth = reference[here]
        found = as_reference(prediction[here])
        drawn[here] = np.select(
            [(truth != 0) & (found == truth), truth != 0, found != 0], [HIT, MISSED, FALSE_ALARM], 0
        )
    return drawn


def _differences(table: Contingency, pairs: Matches) -> list[Difference]:
    of_reference = {int(c): (int(r), float(i)) for r, c, i in zip(pairs.rows, pairs.columns, pairs.iou, strict=True)}
    best_of_reference = _best(table.columns, table.rows, table.iou)
    best_of_prediction = _best(table.rows, table.columns, table.iou)
    merged, split = _merged(table), _split(table)
    found = []
    for column, (number, voxels) in enumerate(zip(table.reference_ids, table.reference_voxels, strict=True)):
        row, iou = of_reference.get(column) or best_of_reference.get(column, _NOBODY)
        kind = "found" if column in of_reference else "missed"
        kind = "merged" if column in merged and kind == "missed" else "split" if column in split else kind
        other = None if row < 0 else int(table.prediction_ids[row])
        found.append(Difference(kind, int(number), other, iou, int(voxels)))
    matched = {row for row, _ in of_reference.values()}
    explained = _in_pieces(table) | _swallowing(table)
    for row, (number, voxels) in enumerate(zip(table.prediction_ids, table.prediction_voxels, strict=True)):
        if row not in matched and row not in explained:
            partner, iou = best_of_prediction.get(row, _NOBODY)
            other = None if partner < 0 else int(table.reference_ids[partner])
            found.append(Difference("false alarm", other, int(number), iou, int(voxels)))
    return found


def _best(of: Ints, others: Ints, iou: npt.NDArray[np.float64]) -> dict[int, tuple[int, float]]:
    order = np.lexsort((others, -iou, of))
    first = order[np.flatnonzero(np.diff(of[order], prepend=-1))]
    return {int(of[k]): (int(others[k]), float(iou[k])) for k in first}


def _inside_prediction(table: Contingency) -> npt.NDArray[np.bool_]:
    return np.asarray(2 * table.shared > table.reference_voxels[table.columns], np.bool_)


def _inside_reference(table: Contingency) -> npt.NDArray[np.bool_]:
    return np.asarray(2 * table.shared > table.prediction_voxels[table.rows], np.bool_)


def _swallowing(table: Contingency) -> set[int]:
    rows = table.rows[_inside_prediction(table)]
    return {int(row) for row in np.flatnonzero(np.bincount(rows, minlength=1) > 1)}


def _merged(table: Contingency) -> set[int]:
    inside = _inside_prediction(table)
    many = np.isin(table.rows, np.array(sorted(_swallowing(table)), np.int64))
    return {int(column) for column in table.columns[inside & many]}


def _split(table: Contingency) -> set[int]:
    columns = table.columns[_inside_reference(table)]
    return {int(column) for column in np.flatnonzero(np.bincount(columns, minlength=1) > 1)}


def _in_pieces(table: Contingency) -> set[int]:
    inside = _inside_reference(table)
    cut = np.isin(table.columns, np.array(sorted(_split(table)), np.int64))
    return {int(row) for row in table.rows[inside & cut]}
