"""What tuning images say about a detector."""

import numpy as np
import pytest
from detection.bright_parts import card

from medseg.detection.found import Found, Part
from medseg.detection.judge import average_precisions, beside_truth, best_threshold, worth
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


def test_a_score_is_worth_the_share_of_right_objects_and_never_falls():
    knots = worth([judged(20, 20)])
    scores, shares = zip(*knots, strict=True)
    assert list(scores) == sorted(scores)
    assert list(shares) == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    low, high = calibrated([a_box(0, 0.12), a_box(1, 0.75)], knots)
    assert (low.score, high.score) == (0.0, 1.0)


def test_too_little_says_nothing():
    assert worth([judged(3, 3)]) == ()
    assert calibrated([a_box(0, 0.3)], ())[0].score == 0.3


@pytest.mark.parametrize("text", ["0.1", "a:b", "0.9:0.1 0.1:0.9"])
def test_a_damaged_table_is_refused(text):
    with pytest.raises(ModelError, match="the calibration"):
        knots_of(card(calibration=text))


def test_a_damaged_threshold_is_refused():
    with pytest.raises(ModelError, match="score_threshold"):
        threshold_of(card(score_threshold="half"))


def test_the_table_of_a_card_is_read_as_it_was_written():
    assert knots_of(card(calibration=as_text(((0.1, 0.0), (0.9, 0.95))))) == ((0.1, 0.0), (0.9, 0.95))
