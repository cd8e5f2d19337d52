"""One prediction against one reference in memory: scores, a map of the differences, and the worst places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError
from medseg.instance.watershed import components_steps
from medseg.labels import Instances, LabelMap
from medseg.metrics.difference import FALSE_ALARM, HIT, NAMES, class_difference, object_difference
from medseg.metrics.instances import InstanceScores, instance_scores
from medseg.metrics.overlap import overlap
from medseg.metrics.surface import all_surface_distances
from medseg.ops.agreement import require_same_grid
from medseg.ops.moments import Moments, moments
from medseg.progress import Progress, Steps
from medseg.workflow.evaluation import ClassScores

MOST = 500
"""So many of the worst places are told."""
TOLERANCE_MM = 2.0

Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Something that went wrong, and where.

    Parameters
    ----------
    what : str
        ``missed``, ``false alarm``, ``merged``, ``split`` or ``found`` (a pair that overlaps badly).
    name : str
        Of the class; empty for objects.
    reference_id, prediction_id : int or None
        The objects, for objects.
    iou : float or None
    size : float
        In the grid's unit to the power of its axes: voxels of the difference, or of the object.
    box : tuple of slice
    """

    what: str
    name: str
    reference_id: int | None
    prediction_id: int | None
    iou: float | None
    size: float
    box: Box


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    Parameters
    ----------
    classes : tuple of ClassScores
        Empty for objects.
    objects : InstanceScores or None
        None for structures.
    difference : LabelMap
        Classes hit, missed and false alarm.
    worst : tuple of Place
        The worst first, at most `MOST`.
    """

    classes: tuple[ClassScores, ...]
    objects: InstanceScores | None
    difference: LabelMap
    worst: tuple[Place, ...]


def compare_steps(
    prediction: LabelMap, reference: LabelMap, *, kind: str = "semantic", tolerance_mm: float = TOLERANCE_MM
) -> Steps[Comparison]:
    """Compare two label images, yielding on the way.

    Parameters
    ----------
    prediction, reference : LabelMap
        On the same grid.
    kind : {"semantic", "instances"}
        What a voxel's number means: a class, or an object.
    tolerance_mm : float
        Distance that still counts as agreement for the normalised surface Dice.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).
    UsageError
        If the kind is not known (E_USAGE).
    """
    require_same_grid(
        prediction.grid, reference.grid, what="prediction and reference", not_done="they were not compared"
    )
    if kind == "semantic":
        return _structures(prediction, reference, tolerance_mm)
    if kind == "instances":
        return _objects(prediction, reference)
    raise UsageError(
        "E_USAGE",
        found=f"kind {kind!r}",
        expected="'semantic' or 'instances'",
        not_done="they were not compared",
        remedy="Choose structures or objects.",
    )


def _structures(prediction: LabelMap, reference: LabelMap, tolerance_mm: float) -> Steps[Comparison]:
    yield Progress("counting voxels", 0, 4)
    shared = overlap(prediction, reference)
    scores = []
    total = len(shared) + 3
    for done, class_id in enumerate(shared, start=1):
        yield Progress(f"surfaces of {shared[class_id].name}", done, total)
        surface = all_surface_distances(prediction, reference, (class_id,))[class_id]
        scores.append(ClassScores.of(shared[class_id], surface, tolerance_mm))
    yield Progress("drawing the differences", total - 2, total)
    drawn = class_difference(prediction, reference)
    yield Progress("finding the largest differences", total - 1, total)
    wrong = replace(drawn, array=np.where(drawn.array == HIT, 0, drawn.array).astype(np.uint8))
    parts = yield from components_steps(wrong)
    worst = _largest(parts, prediction, reference)
    yield Progress("compared", total, total)
    return Comparison(tuple(scores), None, drawn, worst)


def _objects(prediction: LabelMap, reference: LabelMap) -> Steps[Comparison]:
    found, truth = (Instances(m.array, m.grid) for m in (prediction, reference))
    yield Progress("pairing objects", 0, 3)
    scores = instance_scores(found, truth)
    yield Progress("drawing the differences", 1, 3)
    drawn, differences = object_difference(found, truth)
    yield Progress("placing the worst objects", 2, 3)
    places = {"reference": _placed(truth), "prediction": _placed(found)}
    worst = []
    for one in differences[:MOST]:
        side = "prediction" if one.kind == "false alarm" else "reference"
        number = one.prediction_id if one.kind == "false alarm" else one.reference_id
        box = places[side][number or 0]
        size = one.voxels * reference.grid.voxel_size
        worst.append(Place(one.kind, "", one.reference_id, one.prediction_id, one.iou, size, box))
    yield Progress("compared", 3, 3)
    return Comparison((), scores, drawn, tuple(worst))


def _largest(parts: Instances, prediction: LabelMap, reference: LabelMap) -> tuple[Place, ...]:
    found = moments(np.asarray(parts.array))
    kinds = {segment.id: segment.class_id for segment in parts.segments}
    worst = []
    for row in np.argsort(-found.voxels, kind="stable")[:MOST]:
        number, box = int(found.ids[row]), _box(found, int(row))
        side = prediction if kinds[number] == FALSE_ALARM else reference
        held = np.asarray(side.array[box])[np.asarray(parts.array[box]) == number]
        name = (reference.classes or prediction.classes).get(_most(held), f"class {_most(held)}")
        size = float(found.voxels[row] * reference.grid.voxel_size)
        worst.append(Place(NAMES[kinds[number]], name, None, None, None, size, box))
    return tuple(worst)


def _placed(instances: Instances) -> dict[int, Box]:
    found = moments(np.asarray(instances.array))
    return {int(number): _box(found, row) for row, number in enumerate(found.ids)}


def _box(found: Moments, row: int) -> Box:
    return tuple(slice(int(a), int(b)) for a, b in zip(found.start[row], found.stop[row], strict=True))


def _most(values: npt.NDArray[Any]) -> int:
    ids, counts = np.unique(values, return_counts=True)
    return int(ids[np.argmax(counts)])
