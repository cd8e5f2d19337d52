"""What tuning images say about a detector."""

from dataclasses import replace

import numpy as np
import pytest
from detection.bright_parts import card

from medseg.detection.found import Found, Part
from medseg.detection.judge import average_precisions, beside_truth, best_threshold, n_true, of_kind, worth
from medseg.detection.scores import as_text, calibrated, knots_of, threshold_of
from medseg.errors import ModelError

LABELS = np.zeros((40, 200), np.int64)
for k in range(20):
    LABELS[4:14, 10 * k : 10 * k + 8] = 100 + 3 * k


def a_box(k, score, *, row=4.0):
    part = Part(np.array([row, 10.0 * k]), np.array([row + 10.0, 10.0 * k + 8.0]), np.ones((2, 2), np.float32))
    return Found((part,), 1, score)


def judged(n_right, n_wrong):
    right = [a_box(k, 0.6 + 0.01 * k) for k in range(n_right)]
    wrong = [a_box(k, 0.1 + 0.01 * k, row=25.0) for k in range(n_wrong)]
    return beside_truth(right + wrong, LABELS)


def test_perfect_boxes_and_masks_have_full_precision():
    scores = average_precisions([judged(20, 0)])
    assert scores["box_ap"] == scores["mask_ap"] == scores["score"] == pytest.approx(1.0)


def test_half_of_the_objects_found_gives_half_the_precision():
    assert average_precisions([judged(10, 0)])["mask_ap50"] == pytest.approx(51 / 101)


def test_the_threshold_parts_right_from_wrong():
    assert 0.3 < best_threshold([judged(20, 20)]) < 0.6


def test_nothing_found_leaves_the_usual_threshold():
    assert best_threshold([beside_truth([], LABELS)]) == 0.5
    assert average_precisions([beside_truth([], LABELS)])["mask_ap"] == 0.0


def test_tuning_images_without_any_object_leave_the_usual_threshold():
    nothing = [beside_truth([], np.zeros((20, 20), np.int64)), beside_truth([a_box(0, 0.9)], np.zeros((40, 200), int))]
    assert best_threshold(nothing) == 0.5
    assert average_precisions(nothing, ("a", "b"))["mask_ap50"] == 0.0
    assert worth(nothing) == ()


def test_each_class_is_judged_by_its_own_objects():
    labels = np.zeros((40, 200), np.int64)
    labels[4:14, :8], labels[4:14, 10:18], labels[4:14, 20:28] = 1, 2, 3
    found = [a_box(0, 0.9), replace(a_box(1, 0.8), class_id=2), replace(a_box(2, 0.7), class_id=1)]
    seen = beside_truth(found, labels, np.array([1, 2, 2]))
    scores = average_precisions([seen], ("round", "flat"))
    assert scores["mask_ap50 round"] == pytest.approx(1.0)
    assert scores["mask_ap50 flat"] == pytest.approx(51 / 101)
    assert scores["mask_ap50"] == pytest.approx((1.0 + 51 / 101) / 2)
    assert [n_true(of_kind([seen], k)) for k in (1, 2)] == [1, 2]


def test_a_class_and_mirrored_looks_have_entries_of_their_own_where_the_card_tells_them():
    own = card(score_threshold=0.5, score_threshold_2=0.6, mirrored_score_threshold=0.4, calibration="0.1:0 0.9:1")
    assert [threshold_of(own, c) for c in (None, 1, 2)] == [0.5, 0.5, 0.6]
    assert [threshold_of(own, c, mirrored=True) for c in (None, 1, 2)] == [0.4, 0.4, 0.4]
    assert threshold_of(card(score_threshold_2=0.7), 2, mirrored=True) == 0.7
    assert knots_of(own, 2, mirrored=True) == ((0.1, 0.0), (0.9, 1.0))
    both = calibrated([a_box(0, 0.5), replace(a_box(0, 0.5), class_id=2)], {1: ((0.0, 0.0), (1.0, 0.5)), 2: ()})
    assert [f.score for f in both] == [pytest.approx(0.25), 0.5]


def test_a_score_is_worth_the_share_of_right_objects_and_never_falls():
    knots = worth([judged(20, 20)])
    scores, shares = zip(*knots, strict=True)
    assert list(scores) == sorted(scores)
    assert list(shares) == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    low, high = calibrated([a_box(0, 0.12), a_box(1, 0.75)], {1: knots})
    assert (low.score, high.score) == (0.0, 1.0)


def test_too_little_says_nothing():
    assert worth([judged(3, 3)]) == ()
    assert calibrated([a_box(0, 0.3)], {1: ()})[0].score == 0.3


@pytest.mark.parametrize("text", ["0.1", "a:b", "0.9:0.1 0.1:0.9"])
def test_a_damaged_table_is_refused(text):
    with pytest.raises(ModelError, match="the calibration"):
        knots_of(card(calibration=text))


def test_a_damaged_threshold_is_refused():
    with pytest.raises(ModelError, match="score_threshold"):
        threshold_of(card(score_threshold="half"))


def test_the_table_of_a_card_is_read_as_it_was_written():
    assert knots_of(card(calibration=as_text(((0.1, 0.0), (0.9, 0.95))))) == ((0.1, 0.0), (0.9, 0.95))
