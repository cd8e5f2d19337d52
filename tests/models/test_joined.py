"""Models that answer as one must look at the same thing in the same way; the set has a card of its own."""

import pytest

from medseg.errors import UsageError
from medseg.models.card import Architecture, ModelCard, Postprocessing
from medseg.models.joined import joined_card, joined_sha256
from medseg.models.registry import listed

CARDS = {card.name: card for card in listed()}
ONE, CELLS = CARDS["hippocampus"], CARDS["nuclei"]
OTHER_RANGE = ONE.input.normalisation.model_copy(update={"scheme": "percentile"})


def spoiled(card=ONE, *, split=None, **of_input):
    changes = {"name": "other", "input": card.input.model_copy(update=of_input)}
    return card.model_copy(update=changes | ({} if split is None else {"split": {**card.split, **split}}))


DIFFERENT = {
    "the task": (ONE, CELLS),
    "the classes": (ONE, ONE.model_copy(update={"name": "other", "classes": {1: "anterior", 2: "tail"}})),
    "the channels": (ONE, spoiled(channels=("T2",))),
    "the orientation": (ONE, spoiled(orientation="LPS")),
    "the spacing": (ONE, spoiled(spacing=(1.0, 1.0, 2.0))),
    "the patch": (ONE, spoiled(patch=(32, 32, 32))),
    "the intensities": (ONE, spoiled(normalisation=OTHER_RANGE)),
    "the mirrored axes": (ONE, spoiled(mirror_axes=(2,))),
    "the diameter of the objects": (CELLS, spoiled(CELLS, split={"diameter": 9.0})),
    "the norms of the network": (
        CELLS,
        spoiled(CELLS).model_copy(
            update={"architecture": Architecture(name="dynunet", options={**CELLS.architecture.options, "norm": "odd"})}
        ),
    ),
}


@pytest.mark.parametrize(("what", "pair"), DIFFERENT.items(), ids=DIFFERENT)
def test_models_that_do_not_fit_are_refused_with_what_differs(what, pair):
    with pytest.raises(UsageError, match=what) as refusal:
        joined_card(pair)
    assert "--plan" in refusal.value.remedy


def test_detectors_are_refused_in_words():
    with pytest.raises(UsageError, match="objects, which cannot be averaged"):
        joined_card([CARDS["nuclei_maskrcnn"]] * 2)


def test_one_card_stays_as_it_is_and_a_set_with_itself_keeps_what_decides():
    assert joined_card([ONE]) is ONE
    twice = joined_card([CELLS, CELLS, CELLS])
    for name in ("task", "architecture", "input", "classes", "outputs", "postprocessing", "split", "licence"):
        assert getattr(twice, name) == getattr(CELLS, name), name
    assert twice.scores == ()


def test_a_set_does_not_tell_what_to_expect_of_its_results_for_nobody_has_measured_it():
    assert ONE.confidence is not None
    assert joined_card([ONE, spoiled()]).confidence is None


def test_a_set_has_a_valid_card_and_one_identity_in_any_order():
    card = joined_card([ONE, spoiled()])
    assert ModelCard.model_validate(card.model_dump()) == card
    assert card.name == "hippocampus-and-other"
    assert len({joined_sha256(hashes) for hashes in (["a", "b", "c"], ["c", "a", "b"], ["b", "c"], ["a", "b"])}) == 3


def test_only_what_all_members_agreed_on_is_cleaned_away():
    cleanings = [
        Postprocessing(keep_largest=(1, 2), fill_holes=(1,), min_volume_mm3={1: 20.0, 2: 5.0}),
        Postprocessing(keep_largest=(2,), fill_holes=(2,), min_volume_mm3={1: 5.0}),
    ]
    cards = [ONE.model_copy(update={"postprocessing": own}) for own in cleanings]
    found = joined_card(cards).postprocessing
    assert found == Postprocessing(keep_largest=(2,), min_volume_mm3={1: 5.0})


def test_tuned_numbers_are_averaged_and_the_widest_network_predicts_the_memory():
    wide = CELLS.architecture.model_copy(update={"options": {**CELLS.architecture.options, "filters": [512, 512, 512]}})
    other = spoiled(CELLS, split={"seed_threshold": 0.2}).model_copy(update={"architecture": wide})
    mine = CELLS.model_copy(update={"split": {**CELLS.split, "seed_threshold": 0.4}})
    card = joined_card([mine, other])
    assert card.split["seed_threshold"] == pytest.approx(0.3)
    assert card.architecture == wide
