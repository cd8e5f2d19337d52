"""Whether a model suits an image is known before anything is computed, and agrees with what prediction refuses."""

import numpy as np
import pytest

from medseg.errors import MedsegError
from medseg.grid import Grid, image_grid
from medseg.models.fits import extent_notice, misfit, n_channels, wants
from medseg.models.registry import listed
from medseg.pipeline import load_model, segment_steps
from medseg.progress import finish
from medseg.volume import Volume

SCAN = Grid((35, 50, 35), np.eye(4))
CARDS = {card.name: card for card in listed()}


def volume(grid, channels=1):
    return Volume(np.zeros((channels, *grid.shape), np.float32), grid)


CASES = {
    ("hippocampus", "scan"): (volume(SCAN), ""),
    ("hippocampus", "two channels"): (volume(SCAN, 2), "2 channels"),
    ("hippocampus", "picture"): (volume(image_grid((16, 16), (1.0, 1.0), "px")), "a 2-D image"),
    ("hippocampus", "stack"): (volume(image_grid((8, 16, 16), (1.0, 1.0, 1.0), "um")), "micrographs"),
    ("nuclei", "grey"): (volume(image_grid((32, 32), (1.0, 1.0), "px")), ""),
    ("nuclei", "colour"): (volume(image_grid((32, 32), (1.0, 1.0), "px"), 3), ""),
    ("nuclei", "two channels"): (volume(image_grid((32, 32), (1.0, 1.0), "um"), 2), "2 channels"),
    ("nuclei_maskrcnn", "grey"): (volume(image_grid((32, 32), (1.0, 1.0), "px")), ""),
    ("nuclei_maskrcnn", "colour"): (volume(image_grid((32, 32), (1.0, 1.0), "px"), 3), ""),
    ("nuclei_maskrcnn", "two channels"): (volume(image_grid((32, 32), (1.0, 1.0), "um"), 2), "2 channels"),
    ("nuclei_maskrcnn", "stack"): (volume(image_grid((8, 16, 16), (1.0, 1.0, 1.0), "um")), ""),
}


@pytest.mark.parametrize(("key", "case"), CASES.items(), ids=[" ".join(key) for key in CASES])
def test_what_is_told_before_is_what_prediction_refuses(key, case):
    image, reason = case
    found = misfit(CARDS[key[0]], image)
    assert (found is None) == (reason == "")
    steps = segment_steps(image, load_model(key[0], device="cpu"))
    if found is None:
        assert finish(steps).labels.grid == image.grid
        return
    assert reason in found.found
    with pytest.raises(MedsegError) as refusal:
        finish(steps)
    assert refusal.value.code == found.code


@pytest.mark.parametrize(("modality", "fits"), [("", True), ("MR", True), ("CT", False), ("PT", False)])
def test_a_scan_of_another_kind_does_not_fit(modality, fits):
    assert (misfit(CARDS["hippocampus"], volume(SCAN), modality=modality) is None) == fits


def test_a_whole_head_for_a_model_of_crops_is_told_whatever_its_orientation():
    head = Grid((240, 180, 200), np.diag([1.0, 1.0, 1.0, 1.0]))
    said = extent_notice(CARDS["hippocampus"], head)
    assert "240 mm" in said
    turned = head.mapped(head.axes_to("PIR"))
    assert extent_notice(CARDS["hippocampus"], turned) == said
    assert extent_notice(CARDS["hippocampus"], SCAN) is None


def test_a_card_says_what_it_wants_in_words():
    assert wants(CARDS["hippocampus"]) == "a 3-D scan of a patient"
    assert n_channels(CARDS["nuclei"]) == (1, 3)
