import numpy as np
import pytest

from medseg.grid import Grid
from medseg.labels import Instances
from medseg.metrics.lesions import lesion_scores, pooled_lesions

GRID = Grid((1, 2, 12), np.diag([1.0, 2.0, 0.5, 1.0]))  # a voxel is 1 mm3


def lesions(row):
    return Instances(np.array([[row, row]]), GRID)


TRUTH = lesions([1, 1, 0, 2, 2, 2, 0, 3, 3, 3, 3, 3])
FOUND = lesions([1, 0, 0, 2, 2, 2, 5, 5, 0, 0, 9, 0])


def test_any_shared_voxel_detects_and_false_alarms_touch_nothing():
    scores = lesion_scores(FOUND, TRUTH)
    assert (scores.total.n_reference, scores.total.n_detected, scores.total.n_false) == (3, 3, 0)
    false = lesion_scores(lesions([0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0]), TRUTH)
    assert (false.sensitivity, false.precision, false.f1, false.false_per_scan) == (0.0, 0.0, 0.0, 2.0)


def test_a_share_may_be_asked_for_and_pieces_add_up():
    detected = [lesion_scores(FOUND, TRUTH, min_share=s).total.n_detected for s in (0.0, 0.4, 0.5, 0.6, 1.0)]
    assert detected == [3, 3, 2, 1, 1]


def test_bands_are_volumes_in_mm3():
    scores = lesion_scores(FOUND, TRUTH, volume_edges=(5.0, 10.0), min_share=0.5)
    rows = [(b.low, b.high, b.n_reference, b.n_detected) for b in scores.bands]
    assert rows == [(0.0, 5.0, 1, 1), (5.0, 10.0, 1, 1), (10.0, float("inf"), 1, 0)]
    assert scores.as_dict()["by_volume"][2]["sensitivity"] == 0.0


def test_a_scan_without_lesions_has_no_sensitivity_and_counts_its_false_alarms():
    nothing = lesions([0] * 12)
    scores = lesion_scores(FOUND, nothing)
    assert (scores.sensitivity, scores.f1, scores.false_per_scan) == (None, None, 4.0)
    assert lesion_scores(nothing, nothing).precision is None


def test_scans_are_added_up():
    many = pooled_lesions([lesion_scores(FOUND, TRUTH), lesion_scores(FOUND, lesions([0] * 12))])
    assert (many.n_scans, many.sensitivity, many.false_per_scan) == (2, 1.0, 2.0)
    assert many.precision == pytest.approx(4 / 8)
