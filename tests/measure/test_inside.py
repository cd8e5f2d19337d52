"""Counting inside an outline: centres, not voxels, and the area that lies in the image."""

import numpy as np
import pytest

from medseg.errors import UsageError
from medseg.grid import image_grid
from medseg.measure.inside import inside_outline

L_SHAPE = np.array([[0, 0], [0, 6], [2, 6], [2, 2], [6, 2], [6, 0]], float)


def test_a_concave_outline_holds_what_lies_in_it_and_its_area_is_exact():
    grid = image_grid((20, 20), (100.0, 50.0), "um")
    centres = np.array([[1.0, 5.0], [5.0, 5.0], [5.0, 1.0], [9.0, 9.0]])
    found = inside_outline(np.array([40, 3, 7, 8]), centres, L_SHAPE, grid)
    assert found.ids == (7, 40)
    assert found.extent_mm == pytest.approx(20 * 0.1 * 0.05)
    assert found.density == pytest.approx(2 / (20 * 0.1 * 0.05))


def test_what_hangs_out_of_the_image_is_no_area():
    grid = image_grid((10, 10), (1.0, 1.0), "mm")
    outline = np.array([[-5.0, -5.0], [-5.0, 4.5], [4.5, 4.5], [4.5, -5.0]])
    found = inside_outline(np.array([1]), np.array([[0.0, 0.0]]), outline, grid)
    assert found.extent_mm == pytest.approx(25.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_in_a_stack_an_outline_reaches_through_all_slices_whichever_way_it_was_drawn(oblique_grid, axis):
    outline = np.insert(np.array([[1.0, 1.0], [1.0, 4.0], [3.0, 4.0], [3.0, 1.0]]), axis, 5.0, axis=1)
    centres = np.insert(np.array([[2.0, 2.0], [2.0, 5.0]]), axis, 0.0, axis=1)
    found = inside_outline(np.array([1, 2]), centres, outline, oblique_grid)
    assert found.ids == (1,)
    assert found.extent_mm == pytest.approx(6 * oblique_grid.shape[axis] * oblique_grid.voxel_size)


def test_without_a_pixel_size_there_is_a_count_but_no_density():
    found = inside_outline(np.array([1]), np.array([[1.0, 1.0]]), L_SHAPE, image_grid((9, 9), (1.0, 1.0), "px"))
    assert found.ids == (1,)
    assert found.density is None


@pytest.mark.parametrize(
    ("outline", "words"),
    [
        (np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), "corners"),
        (np.array([[0.0, 0, 0], [3.0, 4, 0], [0, 4, 4.0]]), "slice"),
    ],
)
def test_what_is_no_outline_in_a_slice_is_refused_in_words(oblique_grid, outline, words):
    with pytest.raises(UsageError, match=words) as refusal:
        inside_outline(np.array([1]), np.zeros((1, 3)), outline, oblique_grid)
    assert "nothing was counted" in str(refusal.value)
