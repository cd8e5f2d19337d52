"""Computed volumes of touching cells: the same seed gives the same bytes, and the truth is one piece per cell."""

import numpy as np
from scipy import ndimage

from medseg.samples.ellipsoids import touching_cells

SMALL = {"shape": (16, 48, 48), "n": 30, "diameter": 12.0}


def test_equal_seeds_give_equal_bytes_and_others_do_not():
    (one, truth), (two, same), (other, _) = (touching_cells(seed, **SMALL) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.array, two.array)
    np.testing.assert_array_equal(truth.array, same.array)
    assert (one.array != other.array).any()


def test_every_cell_is_one_piece_and_numbers_have_no_gaps():
    _, truth = touching_cells(1, **SMALL)
    ids = np.unique(truth.array)[1:]
    assert ids.tolist() == list(range(1, len(truth.segments) + 1))
    assert len(ids) > 12
    assert all(ndimage.label(truth.array == i)[1] == 1 for i in ids)
    assert np.bincount(truth.array.ravel())[1:].min() >= 8


def test_cells_touch_so_that_connected_parts_are_fewer():
    _, truth = touching_cells(0, **SMALL)
    assert ndimage.label(truth.array > 0)[1] < 0.5 * len(truth.segments)


def test_spacing_is_that_of_the_grid_and_cells_are_round_in_micrometres():
    volume, truth = touching_cells(2, (24, 96, 96), (3.0, 1.0, 1.0), 20, diameter=20.0)
    assert volume.grid.spacing == truth.grid.spacing == (3.0, 1.0, 1.0)
    assert volume.grid.unit == "um"
    inner = [
        b
        for b in ndimage.find_objects(truth.array)
        if all(s.start > 0 and s.stop < n for s, n in zip(b, (24, 96, 96), strict=True))
    ]
    height = np.mean([(b[0].stop - b[0].start) * 3.0 for b in inner])
    width = np.mean([b[1].stop - b[1].start for b in inner])
    assert 0.75 < height / width < 1.35


def test_cells_are_brighter_than_the_ground():
    volume, truth = touching_cells(5, **SMALL)
    image = volume.array[0].astype(float)
    assert image[truth.array > 0].mean() > image[truth.array == 0].mean() + 3 * image[truth.array == 0].std() / 2
