import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.confidence.expect import expectations, expected_dice, low_notice, lower_bound
from medseg.models.bundle import read_card
from medseg.models.card import Confidence, ModelCard, Reliability
from medseg.models.registry import find
from medseg.ops.rim import Rim
from medseg.prediction import Expectation

CURVE = Reliability(intercept=4.0, slope=-2.0, widening=1.5, limit=0.8, always_there=True)
SELDOM = CURVE.model_copy(update={"always_there": False})


def known(**curves):
    structures = {int(name[1:]): curve for name, curve in curves.items()}
    return Confidence(structures=structures, share=0.9, n_cases=9, n_looks=99, ways=("noise",))


@pytest.fixture(scope="module")
def card():
    return read_card(find("hippocampus"))


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_wider_rim_never_promises_more(a, b):
    narrow, wide = sorted((a, b))
    assert expected_dice(wide, CURVE) <= expected_dice(narrow, CURVE)
    low = [lower_bound(expected_dice(own, CURVE), CURVE.widening) for own in (narrow, wide)]
    assert low[1] <= low[0]


@given(st.floats(0, 1), st.floats(0, 50))
def test_the_bound_lies_between_nothing_and_what_is_expected(dice, widening):
    assert 0 <= lower_bound(dice, widening) <= dice


def test_a_card_that_tells_nothing_gives_nothing(card):
    silent = card.model_copy(update={"confidence": None})
    assert expectations(silent, (Rim(9, 1.0),) * 3, {1, 2}) == ()


def test_a_card_of_before_still_loads(card):
    old = card.as_json()
    del old["confidence"]
    assert ModelCard.model_validate(old).confidence is None


def test_a_structure_that_is_always_there_and_was_not_found_is_expected_to_be_wrong(card):
    told = card.model_copy(update={"confidence": known(_1=CURVE, _2=SELDOM)})
    rims = (Rim(9, 1.0), Rim(0, 0.0), Rim(0, 0.0))
    assert expectations(told, rims, ()) == (Expectation(1, 0.0, 0.0),)
    assert expectations(told, rims, (), whole=False) == ()


def test_a_structure_that_was_cleaned_away_is_not_there(card):
    told = card.model_copy(update={"confidence": known(_1=CURVE, _2=SELDOM)})
    rims = (Rim(9, 1.0), Rim(5, 0.5), Rim(5, 0.5))
    assert [own.dice for own in expectations(told, rims, {2})] == [0.0, float(expected_dice(0.5, SELDOM))]


def test_a_rim_of_any_width_gives_a_number_that_does_not_say_it_was_not_found(card):
    told = card.model_copy(update={"confidence": known(_1=CURVE)})
    found = expectations(told, (Rim(9, 1.0), Rim(3, 1e9), Rim(0, 0.0)), {1})
    assert 0 < found[0].dice < 1e-6
    assert "not found" not in low_notice(told.confidence, told.classes, found).text


def test_a_structure_without_a_curve_has_no_number(card):
    told = card.model_copy(update={"confidence": known(_2=CURVE)})
    assert [own.class_id for own in expectations(told, (Rim(9, 1.0),) * 3, {1, 2})] == [2]


def test_the_warning_names_the_worst_structure_first_with_its_numbers():
    found = (Expectation(1, 0.7, 0.5), Expectation(2, 0.0, 0.0), Expectation(3, 0.9, 0.8))
    notice = low_notice(known(_1=CURVE, _2=CURVE, _3=CURVE), {1: "liver", 2: "spleen", 3: "kidney"}, found)
    assert notice.code == "W_LOW_CONFIDENCE"
    assert notice.text.index("spleen (not found") < notice.text.index("liver (a Dice of about 0.70")
    assert "kidney" not in notice.text
    assert "at least 0.50" in notice.text


def test_what_is_above_its_limit_is_not_warned_of():
    assert low_notice(known(_1=CURVE), {1: "liver"}, (Expectation(1, 0.81, 0.7),)) is None


def test_curves_that_would_rise_are_refused():
    with pytest.raises(ValueError, match="slope"):
        Reliability(intercept=0.0, slope=0.1, widening=1.0, limit=0.8, always_there=True)
    assert np.isfinite(CURVE.slope)
