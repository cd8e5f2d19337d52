"""How much tiles overlap may be chosen: fewer tiles, the same image; what cannot be is refused before the work."""

import json

import numpy as np
import pytest

from medseg.errors import UsageError
from medseg.grid import Grid
from medseg.pipeline import SegmentOptions, load_model, segment_steps
from medseg.progress import finish
from medseg.volume import Volume
from medseg.workflow.options import RunOptions
from medseg.workflow.recipe import load_recipe, recipe_of_run, run_of_recipe, save_recipe


@pytest.fixture(scope="module")
def scan():
    image = np.random.default_rng(0).random((1, 40, 44, 36), dtype=np.float32)
    return Volume(image, Grid((40, 44, 36), np.diag([1.0, 1.2, 2.0, 1.0])))


def tiles_of(scan, model, overlap):
    seen = []
    found = finish(segment_steps(scan, model, SegmentOptions(device="cpu", overlap=overlap)), seen.append)
    return max(step.total for step in seen if step.phase == "segmenting"), found


def test_less_overlap_means_fewer_tiles_and_half_is_what_structures_get_by_default(trained, scan):
    model = load_model(str(trained), device="cpu")
    numbers = {overlap: tiles_of(scan, model, overlap) for overlap in (None, 0.75, 0.5, 0.0)}
    assert numbers[0.75][0] > numbers[0.5][0] > numbers[0.0][0]
    assert numbers[None][0] == numbers[0.5][0]
    np.testing.assert_array_equal(numbers[None][1].labels.array, numbers[0.5][1].labels.array)
    assert {found.labels.array.shape for _, found in numbers.values()} == {scan.grid.shape}


@pytest.mark.parametrize("wrong", [-0.1, 0.95, float("nan")])
def test_a_share_that_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError, match="--overlap"):
        SegmentOptions(overlap=wrong)


def test_a_detector_chooses_its_own(scan):
    model = load_model("nuclei_maskrcnn", device="cpu")
    with pytest.raises(UsageError, match="--overlap with nuclei_maskrcnn"):
        next(segment_steps(scan, model, SegmentOptions(overlap=0.1)))


def test_it_survives_its_recipe_and_is_recorded_only_where_it_was_asked_for(tmp_path):
    options = RunOptions(overlap=0.25)
    save_recipe(recipe_of_run(["scans"], "out", options), tmp_path / "r.yaml")
    assert run_of_recipe(load_recipe(tmp_path / "r.yaml"))[2] == options
    assert json.loads(json.dumps(options.as_recorded()))["overlap"] == 0.25
    assert "overlap" not in RunOptions().as_recorded()
