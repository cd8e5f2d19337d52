"""How many voxels each object of one image shares with each object of another, in one pass over both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.labels import Instances
from medseg.ops.agreement import require_same_grid
from medseg.ops.compiled import over_slabs

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_WORTH_THREADS = 1 << 20


@dataclass(frozen=True, eq=False, slots=True)
class Contingency:
    """Objects of a prediction and of a reference, and the voxels that pairs of them share.

    Parameters
    ----------
    prediction_ids, reference_ids : (n,), (m,) int64 arrays
        Ascending; 0 is left out.
    prediction_voxels, reference_voxels : (n,), (m,) int64 arrays
    rows, columns : (k,) int64 arrays
        Places in `prediction_ids` and `reference_ids` of every pair that shares a voxel.
    shared : (k,) int64 array
    """

    prediction_ids: Ints
    reference_ids: Ints
    prediction_voxels: Ints
    reference_voxels: Ints
    rows: Ints
    columns: Ints
    shared: Ints

    @property
    def iou(self) -> Floats:
        """(k,) intersection over union of each pair, in (0, 1]."""
        union = self.prediction_voxels[self.rows] + self.reference_voxels[self.columns] - self.shared
        quotient: Floats = self.shared / union
        return quotient

    def restricted(self, prediction: npt.NDArray[np.bool_], reference: npt.NDArray[np.bool_]) -> Contingency:
        """Return the contingency of some objects only, chosen by a truth value per object."""
        kept = prediction[self.rows] & reference[self.columns]
        new_row, new_column = np.cumsum(prediction) - 1, np.cumsum(reference) - 1
        return Contingency(
            self.prediction_ids[prediction],
            self.reference_ids[reference],
            self.prediction_voxels[prediction],
            self.reference_voxels[reference],
            new_row[self.rows[kept]],
            new_column[self.columns[kept]],
            self.shared[kept],
        )


def contingency(prediction: Instances, reference: Instances) -> Contingency:
    """Count the voxels that objects share.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> grid = image_grid((1, 4), (1.0, 1.0), "px")
    >>> found = contingency(Instances(np.array([[7, 7, 7, 0]]), grid), Instances(np.array([[0, 2, 2, 2]]), grid))
    >>> found.prediction_ids.tolist(), found.reference_ids.tolist(), found.shared.tolist(), found.iou.tolist()
    ([7], [2], [2], [0.5])
    """
    require_same_grid(
        prediction.grid, reference.grid, what="prediction and reference", not_done="they were not compared"
    )
    fortran = prediction.array.flags.f_contiguous and reference.array.flags.f_contiguous
    first, second = (_flat(i.array, fortran) for i in (prediction, reference))
    return _assembled(_pairs(first, second))


def _flat(array: npt.NDArray[Any], fortran: bool) -> npt.NDArray[Any]:
    flat = np.ravel(array, order="F" if fortran else "C")
    return flat if flat.dtype.itemsize >= 2 else flat.astype(np.uint16)  # fewer kinds of loops to compile


def _pairs(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Ints:
    from medseg.metrics.contingency_kernels import count_pairs

    if first.size < _WORTH_THREADS:
        return np.asarray(count_pairs(first, second, 0, first.size))
    found: list[Ints] = []
    over_slabs(lambda start, stop: found.append(count_pairs(first, second, start, stop)), first.size)
    return np.concatenate(found)


def _assembled(pairs: Ints) -> Contingency:
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    new = np.flatnonzero(np.append(True, (np.diff(pairs[:, :2], axis=0) != 0).any(axis=1)) if len(pairs) else [])
    counts = np.add.reduceat(pairs[:, 2], new) if len(pairs) else np.zeros(0, np.int64)
    a, b = pairs[new, 0], pairs[new, 1]
    prediction_ids, row = np.unique(a, return_inverse=True)
    reference_ids, column = np.unique(b, return_inverse=True)
    prediction_voxels = np.bincount(row, weights=counts, minlength=len(prediction_ids)).astype(np.int64)
    reference_voxels = np.bincount(column, weights=counts, minlength=len(reference_ids)).astype(np.int64)
    both = (a != 0) & (b != 0)
    shift = [int((ids == 0).any()) for ids in (prediction_ids, reference_ids)]
    return Contingency(
        prediction_ids[prediction_ids != 0],
        reference_ids[reference_ids != 0],
        prediction_voxels[prediction_ids != 0],
        reference_voxels[reference_ids != 0],
        row[both] - shift[0],
        column[both] - shift[1],
        counts[both],
    )


def things(found: Contingency, prediction: Instances, reference: Instances) -> Contingency:
    """Return the contingency without stuff segments, which are no objects to count."""
    keep = [_is_thing(ids, i) for ids, i in ((found.prediction_ids, prediction), (found.reference_ids, reference))]
    if keep[0].all() and keep[1].all():
        return found
    return found.restricted(*keep)


def _is_thing(ids: Ints, instances: Instances) -> npt.NDArray[np.bool_]:
    stuff = [s.id for s in instances.segments if not s.is_thing]
    return ~np.isin(ids, np.array(stuff, np.int64))


def class_of(ids: Ints, instances: Instances) -> Ints:
    """Return the class of each id; 1 for ids that no segment describes."""
    known: dict[int, int] = {s.id: s.class_id for s in instances.segments}
    return np.array([known.get(i, 1) for i in ids.tolist()], np.int64)
