"""Which way up: a mark at the patient's left lies on the picture's right, however the scan is stored."""

import numpy as np
import pytest

from medseg.grid import Grid, image_grid
from medseg.report.views import IMAGE_VIEWS, PATIENT_VIEWS, slices_through, views_of


def _marked(codes: str, toward: str) -> tuple[np.ndarray, Grid]:
    """Return a RAS array and grid made of a scan stored as `codes`, with its outermost layer `toward` lit."""
    ras = Grid((6, 7, 8), np.diag([1.0, 1.5, 2.0, 1.0]))
    array = np.zeros(ras.shape)
    axis, last = {"R": (0, -1), "L": (0, 0), "A": (1, -1), "P": (1, 0), "S": (2, -1), "I": (2, 0)}[toward]
    np.moveaxis(array, axis, 0)[last] = 1
    stored_axes = ras.axes_to(codes)
    stored, grid = stored_axes.apply(array), ras.mapped(stored_axes)
    back = grid.axes_to("RAS")
    return back.apply(stored), grid.mapped(back)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
@pytest.mark.parametrize("view", PATIENT_VIEWS, ids=lambda v: v.name)
def test_each_letter_stands_at_the_side_where_that_part_of_the_patient_lies(codes, view):
    for side, place in enumerate((np.s_[:, 0], np.s_[:, -1], np.s_[0], np.s_[-1])):
        grid = _marked(codes, "R")[1]
        letter = view.letters(grid)[side]
        array, grid = _marked(codes, letter)
        picture = view.slice_of(array, grid.shape[view.across] // 2)
        assert picture[place].all(), f"{view.name}: {letter}"
        assert picture.sum() == picture[place].sum()


def test_the_orientation_is_the_radiological_one():
    grid = Grid((5, 6, 7), np.eye(4))
    assert {v.name: v.letters(grid) for v in PATIENT_VIEWS} == {
        "axial": ("R", "L", "A", "P"),
        "coronal": ("R", "L", "S", "I"),
        "sagittal": ("A", "P", "S", "I"),
    }


def test_an_oblique_scan_names_the_second_axis_it_leans_to(oblique_grid):
    ras = oblique_grid.mapped(oblique_grid.axes_to("RAS"))
    left, right, top, bottom = PATIENT_VIEWS[0].letters(ras)
    assert (left, right, top, bottom) == ("RA", "LP", "AL", "PR")


def test_a_slice_position_is_its_world_coordinate():
    affine = np.diag([1.0, 1.0, 2.5, 1.0])
    affine[2, 3] = -10.0
    grid = Grid((5, 6, 9), affine)
    assert [PATIENT_VIEWS[0].place(grid, k) for k in (0, 4, 8)] == ["I 10.0 mm", "S 0.0 mm", "S 10.0 mm"]
    stack = image_grid((5, 6, 7), (2.0, 0.5, 0.5), "um")
    assert IMAGE_VIEWS[0].place(stack, 3) == "z = 6 µm (slice 4)"


def test_a_picture_of_a_stack_keeps_the_array_the_way_it_lies():
    array = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(IMAGE_VIEWS[0].slice_of(array, 1), array[1])
    np.testing.assert_array_equal(IMAGE_VIEWS[1].slice_of(array, 1), array[:, 1])
    np.testing.assert_array_equal(IMAGE_VIEWS[2].slice_of(array, 1), array[:, :, 1])


def test_views_that_would_be_a_line_are_left_out():
    assert [v.name for v in views_of(Grid((200, 200, 2), np.eye(4)))] == ["axial"]
    assert [v.name for v in views_of(Grid((200, 200, 1), np.diag([1.0, 1.0, 90.0, 1.0])))] == ["axial"]
    assert len(views_of(Grid((200, 200, 20), np.eye(4)))) == 3


def test_the_first_slice_is_the_fullest_and_the_others_run_through_the_structure():
    labels = np.zeros((4, 4, 30), np.uint8)
    labels[0, 0, 5:25] = 1
    labels[:, :, 11] = 2
    first, *others = slices_through(labels, 2, 3)
    assert first == 11
    assert others == sorted(set(others))
    assert all(5 <= at < 25 for at in others)


def test_a_class_that_the_fullest_slice_lacks_is_shown_in_another():
    labels = np.zeros((9, 9, 30), np.uint8)
    labels[2:8, 2:8, 10:20] = 1
    labels[0, 0, 3:6] = 2
    labels[8, 8, 27] = 7
    chosen = slices_through(labels, 2, 3)
    assert 10 <= chosen[0] < 20
    assert set(np.unique(labels[:, :, list(chosen)])) == {0, 1, 2, 7}


def test_many_objects_are_cut_where_most_of_them_lie():
    labels = np.zeros((5, 5, 9), np.int64)
    labels[1:3, 1:3, 2:7] = 100_000
    labels[:, :, 4] = 2**40
    assert slices_through(labels, 2, 3)[0] == 4


def test_without_labels_the_slices_spread_over_the_image():
    chosen = slices_through(np.zeros((3, 3, 9), np.uint8), 2, 3)
    assert chosen[0] == 4
    assert len(set(chosen)) == 3


def test_a_structure_in_one_slice_gives_that_slice_once():
    labels = np.zeros((3, 3, 9), np.uint8)
    labels[1, 1, 7] = 1
    assert slices_through(labels, 2, 3) == (7,)
