"""An image that is unlike those of the training is noticed, with the reason; one that is like them is not."""

import json
from dataclasses import replace

import numpy as np
import pytest

from medseg.grid import Grid
from medseg.likeness import LEAST_CASES, learned, reasons_unlike
from medseg.models.card import Fingerprint, ModelCard
from medseg.models.registry import listed
from medseg.ops.appearance import appearance
from medseg.ops.reorient import cropped, reoriented
from medseg.volume import Volume

SHAPE = (24, 20, 16)
HIPPOCAMPUS = next(card for card in listed() if card.name == "hippocampus")


def scan(seed, *, dark=0.0, bright=1.0):
    """Return a scan that is brighter to the front and above, with a dark ball, in units of its own."""
    rng = np.random.default_rng(seed)
    affine = np.diag([-1.0, 1.2, 2.0, 1.0])
    affine[:3, 3] = (12.0, -30.0, 7.5)
    i, j, k = (axis / n for axis, n in zip(np.indices(SHAPE), SHAPE, strict=True))
    centre = rng.uniform(0.2, 0.3, 3)
    ball = sum((a - c) ** 2 for a, c in zip((i, j, k), centre, strict=True)) < 0.03
    array = 2.0 * j**2 + 1.5 * k - 2.0 * ball + rng.normal(0, 0.15, SHAPE)
    return Volume((dark + 100.0 * bright * (array + 3.0))[None].astype(np.float32), Grid(SHAPE, affine))


def card_for(volumes, mirror_axes=(0,), modality="MR", channels=("0",)):
    looks = [appearance(v, "RAS") for v in volumes]
    extent = tuple(n * s for n, s in zip(SHAPE, (1.0, 1.2, 2.0), strict=True))
    known = Fingerprint(
        spacing_low=(1.0, 1.2, 2.0),
        spacing_high=(1.0, 1.2, 2.0),
        extent_low=extent,
        extent_high=extent,
        appearance=learned(looks, mirror_axes),
    )
    spec = HIPPOCAMPUS.input.model_copy(update={"mirror_axes": mirror_axes, "modality": modality, "channels": channels})
    return HIPPOCAMPUS.model_copy(update={"fingerprint": known, "input": spec})


@pytest.fixture(scope="module")
def card():
    return card_for([scan(seed, bright=1 + seed % 4) for seed in range(30)])


def flipped(volume, axis):
    return replace(volume, array=np.flip(volume.array, axis + 1))


def test_a_new_scan_of_the_same_kind_passes_in_any_orientation_and_unit(card):
    for seed in range(100, 120):
        own = scan(seed, bright=7.0)
        assert reasons_unlike(card, own) == ()
        assert reasons_unlike(card, reoriented(own, "PIR")) == ()


@pytest.mark.parametrize(("axis", "words"), [(1, "front and back"), (2, "head and feet")])
def test_a_scan_that_is_turned_without_its_header_knowing_is_told_with_the_sides(card, axis, words):
    assert any(words in reason for reason in reasons_unlike(card, flipped(scan(100), axis)))


def test_the_axis_that_was_mirrored_in_training_has_no_wrong_side(card):
    assert reasons_unlike(card, flipped(scan(100), 0)) == ()


def test_left_and_right_are_told_apart_by_a_model_that_was_not_mirrored():
    def sided(seed):
        own = scan(seed)
        return replace(own, array=own.array + np.linspace(0, 200, SHAPE[0], dtype=np.float32)[:, None, None])

    card = card_for([sided(seed) for seed in range(12)], mirror_axes=())
    assert reasons_unlike(card, sided(50)) == ()
    assert "left and right" in reasons_unlike(card, flipped(sided(50), 0))[0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_scan_whose_rest_is_blank_looks_truncated(card, axis):
    array = np.moveaxis(scan(100).array.copy(), axis + 1, 0)
    array[len(array) // 2 :] = 0
    spoilt = replace(scan(100), array=np.moveaxis(array, 0, axis + 1))
    assert any("50 % of the image are blank" in reason for reason in reasons_unlike(card, spoilt))


@pytest.mark.parametrize("axis", [1, 2])
def test_half_a_scan_is_noticed(card, axis):
    shape = tuple(n // 2 if k == axis else n for k, n in enumerate(SHAPE))
    assert reasons_unlike(card, cropped(scan(100), (0, 0, 0), shape))


def hounsfield(seed, lowest):
    own = scan(seed).array
    scaled = (own - own.min()) / (own.max() - own.min())
    return replace(scan(seed), array=np.rint(lowest + scaled * (300 - lowest)).astype(np.int16))


@pytest.mark.parametrize("lowest", [-1000, -150])
def test_a_ct_for_a_model_of_mr_is_called_a_ct(card, lowest):
    reasons = reasons_unlike(card, hounsfield(100, lowest))
    assert reasons[0].startswith("the values look like CT (Hounsfield units), the model was trained on MR")


def test_an_mr_scan_for_a_model_of_ct_is_told_too():
    card = card_for([hounsfield(seed, -1000) for seed in range(12)], modality="CT")
    assert reasons_unlike(card, hounsfield(50, -1000)) == ()
    assert reasons_unlike(card, scan(50))[0].startswith("the values do not look like CT")


def test_a_contrast_that_no_training_image_had_is_told(card):
    own = scan(100)
    lit = own.array.copy()
    lit[:, ::2, ::2, ::4] *= 20
    assert any(
        "contrast" in reason or "bright and dark" in reason for reason in reasons_unlike(card, replace(own, array=lit))
    )


def test_thick_slices_are_told_with_their_axis(card):
    own = scan(100)
    thick = Volume(own.array[..., ::4], Grid((24, 20, 4), own.grid.world_from_index @ np.diag([1, 1, 4.0, 1])))
    assert any("8 mm long from feet to head" in reason for reason in reasons_unlike(card, thick))


def test_too_few_training_images_teach_nothing():
    looks = [appearance(scan(seed), "RAS") for seed in range(LEAST_CASES)]
    assert learned(looks[:-1]) == ()
    assert len(learned(looks)) == 1


def test_every_channel_has_its_own_range_and_its_own_name():
    def both(seed, second):
        return Volume(np.concatenate([scan(seed).array, second.array]), scan(seed).grid, ("t1", "t2"))

    card = card_for([both(seed, scan(seed + 500)) for seed in range(12)], channels=("t1", "t2"))
    assert reasons_unlike(card, both(50, scan(550))) == ()
    (reason,) = reasons_unlike(card, both(50, flipped(scan(550), 2)))
    assert reason.startswith("channel t2: head and feet")


def test_a_card_from_before_still_loads_and_asks_only_for_the_extent(card):
    plain = json.loads(card.model_dump_json())
    del plain["fingerprint"]["appearance"]
    old = ModelCard.model_validate(plain)
    assert reasons_unlike(old, flipped(scan(100), 2)) == ()
    assert reasons_unlike(old.model_copy(update={"fingerprint": None}), scan(100)) == ()


def test_the_looks_survive_the_card_file(card):
    assert ModelCard.model_validate_json(card.model_dump_json()) == card


def test_the_embedded_model_knows_the_looks_of_its_training():
    (usual,) = HIPPOCAMPUS.fingerprint.appearance
    assert usual.layout_fit_low > 0.5
    assert usual.turned_gain_high < 0


@pytest.mark.data
def test_held_out_cases_pass_and_the_same_cases_spoilt_do_not(data_pack):
    from medseg.io.read import read

    own = read(data_pack("hippocampus") / "images" / "hippocampus_001.nii.gz")
    assert reasons_unlike(HIPPOCAMPUS, own) == ()
    assert "head and feet" in reasons_unlike(HIPPOCAMPUS, flipped(own, 2))[0]
