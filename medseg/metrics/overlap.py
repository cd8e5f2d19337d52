"""How much of each class two label maps share: Dice, intersection over union, volume error, pixel accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.grid import Grid
from medseg.labels import LabelMap
from medseg.ops.agreement import require_same_grid

ACCURACY_NOTE = "pixel accuracy counts background and hides errors in rare classes; judge by Dice"
_SLAB = 1 << 22
_DENSE = 1 << 16


@dataclass(frozen=True, slots=True)
class ClassOverlap:
    """What a prediction and a reference share of one class.

    Parameters
    ----------
    class_id : int
    name : str
    prediction_voxels, reference_voxels, shared_voxels : int
    dice, iou : float or None
        In [0, 1]. None where neither map holds the class: nothing was there to find, so nothing is scored.
        0 where only one of them holds it.
    volume_error_ml : float or None
        Prediction minus reference; None for images without a physical volume.
    volume_error_percent : float or None
        The same as a share of the reference; None where the reference is empty.
    note : str
        Why a value is None; empty otherwise.
    """

    class_id: int
    name: str
    prediction_voxels: int
    reference_voxels: int
    shared_voxels: int
    dice: float | None
    iou: float | None
    volume_error_ml: float | None
    volume_error_percent: float | None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, for JSON and tables."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean that says over how many values it was taken; `value` is None where there were none."""

    value: float | None
    n: int


def overlap(prediction: LabelMap, reference: LabelMap) -> dict[int, ClassOverlap]:
    """Compare two label maps class by class.

    Parameters
    ----------
    prediction, reference : LabelMap
        On the same grid. Every class that one of them holds or names is compared, background (0) is not.

    Returns
    -------
    dict of int to ClassOverlap
        By ascending class id.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).

    Examples
    --------
    >>> grid = Grid((1, 1, 4), np.eye(4))
    >>> truth = LabelMap(np.array([[[1, 1, 0, 0]]], np.uint8), grid, {1: "liver"})
    >>> found = LabelMap(np.array([[[1, 0, 0, 0]]], np.uint8), grid)
    >>> round(overlap(found, truth)[1].dice, 3)
    0.667
    """
    ids, table = _confusion(prediction, reference)
    named = {c for c in (*prediction.classes, *reference.classes) if c != 0}
    found = {int(c): n for n, c in enumerate(ids) if c != 0}
    scores = {}
    for class_id in sorted(named | set(found)):
        n = found.get(class_id)
        counts = (0, 0, 0) if n is None else (int(table[n].sum()), int(table[:, n].sum()), int(table[n, n]))
        name = reference.classes.get(class_id) or prediction.class_name(class_id)
        scores[class_id] = _scored(class_id, name, counts, reference.grid)
    return scores


def pixel_accuracy(prediction: LabelMap, reference: LabelMap) -> float:
    """Return the share of voxels, background included, with the same class in both maps.

    It misleads for rare classes: a map of nothing but background scores .99 where a lesion fills one per cent.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).
    """
    _check(prediction, reference)
    return float(np.count_nonzero(prediction.array == reference.array) / reference.grid.n_voxels)


def mean_iou(scores: dict[int, ClassOverlap]) -> Mean:
    """Return the mean intersection over union of the classes that have one, background left out."""
    return mean(score.iou for score in scores.values())


def mean(values: Iterable[float | None]) -> Mean:
    """Return the mean of the values that are numbers, and how many they are.

    Examples
    --------
    >>> mean([0.5, None, 1.0])
    Mean(value=0.75, n=2)
    """
    known = [float(v) for v in values if v is not None and np.isfinite(v)]
    return Mean(float(np.mean(known)) if known else None, len(known))


def _scored(class_id: int, name: str, counts: tuple[int, int, int], grid: Grid) -> ClassOverlap:
    predicted, true, shared = counts
    both = predicted + true
    volumetric = grid.ndim == 3 and grid.unit != "px"
    notes = []
    if not both:
        notes.append("neither map holds this class: Dice and IoU are not defined and not counted")
    elif not true:
        notes.append("the reference does not hold this class")
    elif not predicted:
        notes.append("the prediction does not hold this class")
    return ClassOverlap(
        class_id=class_id,
        name=name,
        prediction_voxels=predicted,
        reference_voxels=true,
        shared_voxels=shared,
        dice=2 * shared / both if both else None,
        iou=shared / (both - shared) if both else None,
        volume_error_ml=(predicted - true) * grid.voxel_volume_ml if volumetric else None,
        volume_error_percent=100.0 * (predicted - true) / true if true else None,
        note="; ".join(notes),
    )


def _check(prediction: LabelMap, reference: LabelMap) -> None:
    require_same_grid(
        prediction.grid,
        reference.grid,
        what="prediction and reference",
        not_done="they were not compared",
    )


def _confusion(prediction: LabelMap, reference: LabelMap) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the ids of both maps and how many voxels are id a in the prediction and id b in the reference."""
    _check(prediction, reference)
    # one memory order for both, so that pairs stay pairs and nothing is copied for files of equal layout
    fortran = prediction.array.flags.f_contiguous and reference.array.flags.f_contiguous
    a, b = (np.ravel(m.array, order="F" if fortran else "C") for m in (prediction, reference))
    ids = np.union1d(_ids(a), _ids(b))
    table = np.zeros(len(ids) ** 2, np.int64)
    for start in range(0, a.size, _SLAB):
        part = slice(start, start + _SLAB)
        key = _rank(a[part], ids) * len(ids) + _rank(b[part], ids)
        table += np.bincount(key, minlength=len(table))
    return ids, table.reshape(len(ids), len(ids))


def _ids(flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if flat.min() >= 0 and flat.max() < _DENSE:
        counts = sum(
            np.bincount(flat[s : s + _SLAB], minlength=_DENSE).astype(np.int64) for s in range(0, flat.size, _SLAB)
        )
        return np.flatnonzero(counts)
    return np.unique(flat).astype(np.int64)


def _rank(values: npt.NDArray[Any], ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if ids[0] >= 0 and ids[-1] < _DENSE:
        table = np.zeros(int(ids[-1]) + 1, np.int64)
        table[ids] = np.arange(len(ids))
        return table[values]
    return np.searchsorted(ids, values).astype(np.int64)
