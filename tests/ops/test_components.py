import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage import measure

from medseg.errors import GeometryError
from medseg.grid import Grid, image_grid
from medseg.labels import LabelMap
from medseg.ops.components import cleaned, fill_holes, largest_component, remove_small

MASKS = st.one_of(arrays(bool, (5, 6, 4)), arrays(bool, (9, 7)))


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_the_largest_part_is_one_part_and_none_is_larger(mask):
    kept = largest_component(mask)
    parts, n_parts = measure.label(mask, return_num=True, connectivity=mask.ndim)
    sizes = np.bincount(parts.ravel(), minlength=2)[1:]
    assert kept.sum() == sizes.max()
    assert not (kept & ~mask).any()
    assert measure.label(kept, connectivity=mask.ndim).max() == min(n_parts, 1)


@given(MASKS, st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_small_parts_go_and_parts_of_the_limit_stay(mask, limit):
    parts = measure.label(mask, connectivity=mask.ndim)
    wanted = np.isin(parts, [p.label for p in measure.regionprops(parts) if p.area >= limit])
    np.testing.assert_array_equal(remove_small(mask, limit), wanted)


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_holes_are_those_of_scipy(mask):
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


def test_masks_are_not_changed_and_parts_that_touch_at_a_corner_are_one():
    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    before = mask.copy()
    assert largest_component(mask).sum() == 2
    np.testing.assert_array_equal(mask, before)


def test_a_gap_across_a_face_lets_the_outside_in_but_a_corner_does_not():
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    assert fill_holes(ring)[1, 1]
    ring[2, 1] = False
    assert not fill_holes(ring)[1, 1]


@pytest.fixture
def organs(oblique_grid):
    """Return class 1: a hollow box with class 2 in its hollow and a speck outside; class 2: two parts of equal size."""
    array = np.zeros(oblique_grid.shape, np.uint8)
    array[1:7, 1:7, 1:6] = 1
    array[2:6, 2:6, 2:5] = 0
    array[3, 3, 3] = 2
    array[9, 8, 6] = 1
    array[9, 0, 0] = 2
    return LabelMap(array, oblique_grid, {1: "wall", 2: "core"})


def test_each_class_follows_its_own_rules(organs):
    found = cleaned(organs, keep_largest=(1,), fill_holes=(1,)).array
    assert found[9, 8, 6] == 0
    assert found[3, 3, 3] == 2
    assert (found[1:7, 1:7, 1:6] == 1).sum() == 6 * 6 * 5 - 1
    assert (found == 2).sum() == (organs.array == 2).sum()


def test_a_hole_that_an_unkept_part_left_is_filled(oblique_grid):
    array = np.zeros(oblique_grid.shape, np.int16)
    array[2:7, 2:7, 1:6] = 1
    array[4, 4, 3] = 2
    array[9, :3, 0] = 2
    found = cleaned(LabelMap(array, oblique_grid), keep_largest=(1, 2), fill_holes=(2,)).array
    assert found[4, 4, 3] == 0
    found = cleaned(LabelMap(found, oblique_grid), fill_holes=(1,)).array
    assert found[4, 4, 3] == 1


def test_the_smallest_volume_is_in_cubic_millimetres(organs):
    voxel = organs.grid.voxel_size  # 0.8 * 1.5 * 3.0 = 3.6 mm3
    assert voxel == pytest.approx(3.6)
    assert (cleaned(organs, min_volume_mm3={1: voxel}).array == organs.array).all()
    found = cleaned(organs, min_volume_mm3={1: voxel * 1.01}).array
    assert found[9, 8, 6] == 0
    assert found[1, 1, 1] == 1


def test_a_volume_on_a_flat_picture_is_refused():
    labels = LabelMap(np.ones((3, 3), np.uint8), image_grid((3, 3), (1.0, 1.0), "um"))
    with pytest.raises(GeometryError, match="to give a volume"):
        cleaned(labels, min_volume_mm3={1: 5.0})


def test_names_and_grid_come_along_and_the_input_stays(organs):
    before = organs.array.copy()
    found = cleaned(organs, keep_largest=(1, 2, 77), fill_holes=(0,))
    np.testing.assert_array_equal(organs.array, before)
    assert found.classes == organs.classes
    assert found.grid is organs.grid
    assert found.array.dtype == np.uint8


def test_cleaning_twice_changes_nothing_more(organs):
    rules = {"keep_largest": (1, 2), "fill_holes": (1,), "min_volume_mm3": {2: 1.0}}
    once = cleaned(organs, **rules)
    np.testing.assert_array_equal(cleaned(once, **rules).array, once.array)


def test_an_empty_image_stays_empty():
    labels = LabelMap(np.zeros((3, 3, 3), np.uint8), Grid((3, 3, 3), np.eye(4)))
    assert not cleaned(labels, keep_largest=(1,), fill_holes=(1,), min_volume_mm3={1: 5.0}).array.any()
    for work in (largest_component, fill_holes):
        assert not work(np.zeros((3, 3), bool)).any()
