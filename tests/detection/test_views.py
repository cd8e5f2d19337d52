"""What mirrored looks agree on."""

import numpy as np
import pytest

from medseg.detection.found import Found, Part
from medseg.detection.views import agreed


def box(low, high, score, kind=1):
    part = Part(np.array(low, float), np.array(high, float), np.full((2, 2), score, np.float32))
    return Found((part,), kind, score)


def test_one_look_is_taken_as_it_is():
    look = [box([0, 0], [4, 4], 0.7)]
    assert agreed([look], threshold=0.9) == look


def test_boxes_that_agree_are_averaged_by_their_scores():
    (one,) = agreed([[box([0, 0], [4, 4], 0.9)], [box([0, 0], [4, 5], 0.3)]], threshold=0.1)
    assert one.score == pytest.approx(0.6)
    assert one.stop.tolist() == [4.0, pytest.approx(4.25)]
    np.testing.assert_allclose(one.parts[0].grid, 0.75, atol=1e-6)


def test_an_object_that_one_of_two_looks_sees_is_worth_half_its_score():
    (one,) = agreed([[box([0, 0], [4, 4], 0.9)], []], threshold=0.4)
    assert one.score == pytest.approx(0.45)
    assert agreed([[box([0, 0], [4, 4], 0.9)], []], threshold=0.5) == []


def test_two_objects_of_one_look_stay_two():
    found = agreed([[box([0, 0], [4, 4], 0.9), box([0, 1], [4, 5], 0.8)], [box([0, 0], [4, 4], 0.9)]], threshold=0.1)
    assert len(found) == 2


def test_objects_of_other_classes_do_not_agree():
    assert len(agreed([[box([0, 0], [4, 4], 0.9)], [box([0, 0], [4, 4], 0.9, 2)]], threshold=0.1)) == 2
