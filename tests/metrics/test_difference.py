"""Hits, misses and false alarms, voxel by voxel, and what became of each object."""

import numpy as np
import pytest

from medseg.errors import GeometryError
from medseg.grid import image_grid
from medseg.labels import Instances, LabelMap, Segment
from medseg.metrics.difference import FALSE_ALARM, HIT, MISSED, class_difference, object_difference

GRID = image_grid((6, 40), (2.0, 1.0), "um")


def _row(**spans):
    """Return objects of four rows each, by number: from a column up to another."""
    array = np.zeros(GRID.shape, np.int32)
    for name, (start, stop) in spans.items():
        array[1:5, start:stop] = int(name[1:])
    return array


REFERENCE = _row(r5=(1, 7), r9=(9, 13), r10=(13, 17), r30=(20, 26), r31=(30, 32))
PREDICTION = _row(p2=(1, 6), p3=(9, 17), p7=(20, 23), p8=(23, 26), p4=(36, 39))
"""5 found as 2; 9 and 10 merged into 3; 30 split into 7 and 8; 31 missed; 4 a false alarm."""


def test_every_object_is_told_by_its_number_and_its_fate():
    drawn, told = object_difference(Instances(PREDICTION, GRID), Instances(REFERENCE, GRID))
    fates = {(d.kind, d.reference_id, d.prediction_id): round(d.iou, 2) for d in told}
    assert fates == {
        ("missed", 31, None): 0.0,
        ("false alarm", None, 4): 0.0,
        ("found", 9, 3): 0.5,
        ("merged", 10, 3): 0.5,
        ("split", 30, 7): 0.5,
        ("found", 5, 2): 0.83,
    }
    assert [d.iou for d in told] == sorted(d.iou for d in told)
    assert told[0].kind == "false alarm"  # of equal ones the largest first
    assert drawn.classes == {HIT: "hit", MISSED: "missed", FALSE_ALARM: "false alarm"}


def test_a_voxel_is_a_hit_only_where_the_partner_lies():
    drawn, _ = object_difference(Instances(PREDICTION, GRID), Instances(REFERENCE, GRID))
    line = "".join("." if v == 0 else "hmf"[v - 1] for v in drawn.array[2])
    assert line == ".hhhhhm..hhhhmmmm...hhhmmm....mm....fff."


def test_classes_are_compared_as_they_are_and_background_is_none():
    truth = LabelMap(np.array([[1, 1, 2, 0, 0]]), image_grid((1, 5), (1.0, 1.0), "px"), {1: "a", 2: "b"})
    found = LabelMap(np.array([[1, 0, 1, 2, 0]]), truth.grid)
    assert class_difference(found, truth).array.tolist() == [[HIT, MISSED, MISSED, FALSE_ALARM, 0]]


@pytest.mark.parametrize("order", ["C", "F"])
def test_stuff_is_neither_hit_nor_missed_by_things_and_memory_order_does_not_matter(order):
    array = np.asarray(REFERENCE, order=order)
    reference = Instances(array, GRID, (Segment(31, is_thing=False),))
    _, told = object_difference(Instances(np.asarray(PREDICTION), GRID), reference)
    assert 31 not in {d.reference_id for d in told}


def test_an_empty_prediction_misses_everything_and_an_empty_reference_makes_false_alarms():
    nothing = Instances(np.zeros(GRID.shape, np.int32), GRID)
    drawn, told = object_difference(nothing, Instances(REFERENCE, GRID))
    assert {d.kind for d in told} == {"missed"}
    assert set(np.unique(drawn.array)) == {0, MISSED}
    drawn, told = object_difference(Instances(PREDICTION, GRID), nothing)
    assert {d.kind for d in told} == {"false alarm"}
    assert set(np.unique(drawn.array)) == {0, FALSE_ALARM}


def test_different_grids_are_refused():
    other = LabelMap(PREDICTION, image_grid(GRID.shape, (1.0, 1.0), "um"))
    with pytest.raises(GeometryError, match="spacing"):
        class_difference(other, LabelMap(REFERENCE, GRID))
