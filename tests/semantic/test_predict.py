"""Prediction: on the input's grid, whatever the way in which the scan is stored."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import torch
from tests_support import dice

from medseg.errors import InputError, UsageError
from medseg.grid import AxisMap, image_grid
from medseg.io.read import read, read_labels
from medseg.ops.reorient import cropped
from medseg.pipeline import SegmentOptions, load_model, segment_steps
from medseg.progress import finish
from medseg.volume import Volume

ORDERS = [AxisMap(o, f) for o in permutations(range(3)) for f in product((False, True), repeat=3)]


@pytest.fixture(scope="module")
def model(trained):
    return load_model(str(trained), device="cpu")


@pytest.fixture(scope="module")
def scan(data_set):
    return read(data_set / "images/case_5.nii.gz")


def segmented(volume, model, **options):
    return finish(segment_steps(volume, model, SegmentOptions(device="cpu", **options)))


@pytest.mark.parametrize("axes", ORDERS[::5], ids=str)
def test_storing_the_scan_in_another_order_moves_no_voxel_of_the_result(scan, model, axes):
    plain = segmented(scan, model).labels
    turned = replace(scan, array=np.ascontiguousarray(axes.apply(scan.array)), grid=scan.grid.mapped(axes))
    result = segmented(turned, model).labels
    assert result.grid.same_as(turned.grid)
    np.testing.assert_array_equal(result.array, axes.apply(plain.array))


def test_a_scan_of_finer_spacing_gives_the_same_structures_on_its_own_grid(scan, model, data_set):
    from medseg.ops.resample import resampled, resampled_labels

    fine = resampled(scan, scan.grid.reshaped((34, 31, 25)), order=1)
    truth = resampled_labels(read_labels(data_set / "labels/case_5.nii.gz"), fine.grid)
    labels = segmented(fine, model).labels
    assert labels.grid.same_as(fine.grid)
    assert dice(labels.array, truth.array, 1) > 0.8
    assert dice(labels.array, truth.array, 2) > 0.8


def test_scaling_the_intensities_changes_nothing(scan, model):
    plain = segmented(scan, model).labels.array
    other = segmented(replace(scan, array=scan.array * 250.0 - 1000.0), model).labels.array
    assert (plain != other).mean() < 1e-3


def test_a_box_is_segmented_in_place_and_nothing_outside(scan, model):
    box = ((4, 18), (2, 16), (1, 13))
    labels = segmented(scan, model, roi=box).labels
    part = cropped(scan, tuple(b[0] for b in box), tuple(b[1] - b[0] for b in box))
    inside = tuple(slice(*b) for b in box)
    assert labels.grid.same_as(scan.grid)
    np.testing.assert_array_equal(labels.array[inside], segmented(part, model).labels.array)
    outside = labels.array.copy()
    outside[inside] = 0
    assert not outside.any()


@pytest.mark.parametrize("box", [((0, 5), (0, 5)), ((5, 5), (0, 5), (0, 5)), ((0, 99), (0, 5), (0, 5))])
def test_a_box_that_does_not_fit_is_refused(scan, model, box):
    with pytest.raises(UsageError, match="--roi"):
        segmented(scan, model, roi=box)


def test_the_maps_are_probabilities_on_the_working_grid_with_names(scan, model):
    maps = segmented(scan, model, save_maps=True).maps
    assert maps.channels == ("background", "class_1", "class_2")
    np.testing.assert_allclose(maps.array.sum(axis=0), 1.0, atol=1e-5)
    assert "".join(maps.grid.axis_codes) == "RAS"
    assert segmented(scan, model).maps is None


def test_not_a_number_in_a_few_voxels_does_not_spread(scan, model):
    array = scan.array.copy()
    array[0, :2, :2, 0] = np.nan
    result = segmented(replace(scan, array=array), model)
    assert "W_NONFINITE_REPLACED" in [w.code for w in result.warnings]
    assert (result.labels.array != segmented(scan, model).labels.array).mean() < 0.01


def test_a_scan_of_another_size_than_the_training_is_flagged(scan, model):
    large = Volume(np.pad(scan.array, [(0, 0), (30, 30), (0, 0), (0, 0)]), scan.grid.cropped((-30, 0, 0), (80, 18, 14)))
    assert "W_OUT_OF_DISTRIBUTION" in [w.code for w in segmented(large, model).warnings]
    assert segmented(scan, model).warnings == ()


def test_one_slice_is_read_and_flagged(scan, model):
    one = cropped(scan, (0, 0, 5), (20, 18, 1))
    result = segmented(one, model)
    assert result.labels.array.shape == (20, 18, 1)
    assert "W_SMALLER_THAN_PATCH" in [w.code for w in result.warnings]


def test_an_image_of_another_kind_is_refused(scan, model):
    with pytest.raises(InputError, match="image space"):
        segmented(Volume(np.zeros((1, 8, 8), np.float32), image_grid((8, 8), (1.0, 1.0), "um")), model)
    with pytest.raises(InputError, match="2 channels"):
        segmented(Volume(np.concatenate([scan.array, scan.array]), scan.grid), model)


def test_mirroring_still_finds_the_structures(scan, model):
    plain, mirrored = (segmented(scan, model, tta=t).labels.array for t in (False, True))
    assert dice(plain, mirrored, 1) > 0.9


def test_closing_between_two_steps_cancels(scan, model):
    steps = segment_steps(scan, model, SegmentOptions(device="cpu"))
    assert next(steps).phase == "preparing"
    assert next(steps).phase == "segmenting"
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


def test_the_number_of_threads_does_not_change_the_labels(scan, model):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = segmented(scan, model).labels.array
        torch.set_num_threads(2)
        two = segmented(scan, model).labels.array
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(one, two)
