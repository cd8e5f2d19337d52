"""What a plan or a card may ask of a detector, and what is refused in words."""

import pytest
from pydantic import ValidationError

from medseg.errors import ModelError
from medseg.models.card import Architecture
from medseg.nets.build import build
from medseg.nets.maskrcnn.options import MaskRCNNOptions, around
from medseg.nets.shape import Shape

PLAIN = around((8.0, 8.0), filters=(4, 4, 8, 8)).model_dump(mode="json")

SPOILED = {
    "levels that do not fit": ({"kernels": [[3, 3]] * 3}, "per level"),
    "a size of three axes": ({"anchor_sizes": [[[8, 8, 8]], [[8, 8]], [[8, 8]]]}, "per axis"),
    "anchors on a level that is not there": ({"anchor_levels": [2, 3, 9]}, "last level"),
    "anchors above the pyramid": ({"anchor_levels": [0, 1, 2]}, "finest"),
    "one size list too few": ({"anchor_levels": [2, 3]}, "one entry per anchor level"),
    "a pyramid without a way up": ({"finest": 3}, "finest"),
    "overlaps that fall": ({"proposal_overlaps": [0.6, 0.4]}, "rise"),
    "an overlap of three": ({"stages": [3.0]}, "less than or equal to 1"),
    "unequal numbers of sizes": ({"anchor_sizes": [[[8, 8]], [[8, 8], [9, 9]], [[8, 8]]]}, "same number of sizes"),
    "a box head that eats the memory": ({"box_bins": [64, 64], "hidden": 2048}, "million"),
    "an unknown option": ({"import": "os"}, "Extra inputs"),
    "an unknown neck": ({"neck": "giraffe"}, "giraffe"),
    "weights for other classes": ({"class_weights": [1.0, 1.0, 1.0]}, "class weights"),
}


@pytest.mark.parametrize(("change", "word"), SPOILED.values(), ids=SPOILED)
def test_a_wrong_detector_is_refused_in_words(change, word):
    with pytest.raises(ModelError, match=word) as refusal:
        build(Architecture(name="maskrcnn", options={**PLAIN, **change}), shape=Shape(2, 1, 2))
    assert refusal.value.code == "E_BUNDLE_INCOMPATIBLE"


def test_options_for_other_axes_than_the_images_are_refused():
    with pytest.raises(ModelError, match="2 axes"):
        build(Architecture(name="maskrcnn", options=PLAIN), shape=Shape(3, 1, 2))


def test_options_survive_the_card():
    options = around((6.0, 20.0, 24.0), filters=(4, 8, 8, 16), strides=[(1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)])
    assert MaskRCNNOptions.model_validate_json(options.model_dump_json()) == options


def test_anchors_fit_the_diameter_along_each_axis():
    options = around((10.0, 40.0, 40.0), filters=(4, 8, 8, 16, 16))
    sizes = [size for level in options.anchor_sizes for size in level]
    assert all(size[1] == pytest.approx(4 * size[0]) for size in sizes)
    assert min(s[0] for s in sizes) < 5 < 20 < max(s[0] for s in sizes)


def test_options_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        around((8.0, 8.0), filters=(4, 4, 8)).width = 9
