"""Some numbers of the splitting are chosen, the others stay as they were tuned."""

from dataclasses import fields

import pytest

from medseg.cli.splitting import OPTIONS
from medseg.errors import UsageError
from medseg.instance.choice import SplitChoice, settled
from medseg.instance.options import SplitOptions
from medseg.workflow.recipe import SplittingRecipe

TUNED = SplitOptions(decoder="distance", seed_threshold=0.4, min_depth=0.3, min_size=20.0)


def test_every_number_can_be_chosen_on_the_command_line_and_in_a_recipe():
    names = [field.name for field in fields(SplitOptions)]
    assert [field.name for field in fields(SplitChoice)] == names
    assert list(OPTIONS) == names
    assert list(SplittingRecipe.model_fields) == names


@pytest.mark.parametrize("name", [field.name for field in fields(SplitOptions) if field.name != "decoder"])
def test_a_number_that_is_chosen_takes_the_place_of_the_tuned_one_and_no_other(name):
    found = settled(SplitChoice(**{name: 0.75}), TUNED).as_dict()
    assert found == {**TUNED.as_dict(), name: 0.75}


def test_zero_is_a_choice_too():
    assert settled(SplitChoice(min_size=0.0), TUNED).min_size == 0.0
    assert SplitChoice(min_size=0.0).as_dict() == {"min_size": 0.0}


def test_nothing_and_everything_are_choices():
    assert settled(None, TUNED) is TUNED
    assert settled(SplitOptions(), TUNED) == SplitOptions()
    assert settled(SplitChoice(), TUNED) == TUNED


@pytest.mark.parametrize(
    "wrong",
    [{"decoder": "magic"}, {"min_depth": 1.5}, {"seed_threshold": float("nan")}, {"min_size": -1.0},
     {"smoothing": float("inf")}],
)  # fmt: skip
def test_a_number_out_of_range_is_refused(wrong):
    with pytest.raises(UsageError, match="E_USAGE"):
        SplitChoice(**wrong)


def test_what_a_way_makes_no_use_of_is_named():
    every = SplitChoice("distance", 0.5, 0.5, 0.2, 1.0, 1.0, 1.0)
    assert every.unused("watershed", mask=False) == ()
    assert every.unused("watershed", mask=True) == ("decoder", "foreground_threshold", "seed_threshold", "smoothing")
    assert SplitChoice(min_size=3.0, foreground_threshold=0.4).unused("components", mask=False) == ()
    assert SplitChoice(min_size=3.0).unused("none", mask=True) == ("min_size",)
