from itertools import permutations, product

import numpy as np
import pytest

from medseg.errors import GeometryError, Notice
from medseg.grid import Grid, image_grid
from medseg.labels import Instances, LabelMap
from medseg.ops.reorient import cropped, reoriented
from medseg.volume import Volume

ALL_CODES = ["".join(c) for p in permutations(("LR", "PA", "IS")) for c in product(*p)]


@pytest.fixture
def volume(oblique_grid):
    array = np.random.default_rng(1).normal(size=(2, *oblique_grid.shape)).astype(np.float32)
    return Volume(array, oblique_grid, ("t1", "t2"), warnings=(Notice("W_UNITS_ASSUMED_MM", "none given"),))


@pytest.mark.parametrize("codes", ALL_CODES)
def test_every_one_of_48_axis_orders_keeps_each_voxel_at_its_place_in_the_world(volume, codes):
    turned = reoriented(volume, codes)
    assert "".join(turned.grid.axis_codes) == codes
    for index in [(0, 0, 0), (10, 8, 6), (3, 7, 2)]:
        new = np.rint(turned.grid.index(volume.grid.world(index))).astype(int)
        np.testing.assert_allclose(turned.grid.world(new), volume.grid.world(index), atol=1e-9)
        np.testing.assert_array_equal(turned.array[(slice(None), *new)], volume.array[(slice(None), *index)])


@pytest.mark.parametrize("codes", ALL_CODES)
def test_there_and_back_again_is_the_same_image_on_the_same_grid(volume, codes):
    back = reoriented(reoriented(volume, codes), "".join(volume.grid.axis_codes))
    assert back.grid.same_as(volume.grid)
    np.testing.assert_array_equal(back.array, volume.array)


def test_reorienting_copies_nothing_and_keeps_names_and_notices(volume):
    turned = reoriented(volume, "SAR")
    assert np.shares_memory(turned.array, volume.array)
    assert turned.channels == ("t1", "t2")
    assert turned.warnings == volume.warnings


def test_label_maps_and_instances_stay_what_they_are(oblique_grid):
    array = np.arange(oblique_grid.n_voxels, dtype=np.int64).reshape(oblique_grid.shape)
    for value in (LabelMap(array, oblique_grid, {1: "liver"}), Instances(array, oblique_grid)):
        turned = reoriented(value, "SRA")
        assert type(turned) is type(value)
        assert turned.classes == value.classes
        assert turned.array.shape == turned.grid.shape


@pytest.mark.parametrize("codes", ["RA", "RRS", "RAX", "ras", "RASS", ""])
def test_an_impossible_orientation_is_refused(volume, codes):
    with pytest.raises(GeometryError, match="three of R/L, A/P, S/I"):
        reoriented(volume, codes)


def test_a_micrograph_has_no_patient_orientation():
    grid = image_grid((4, 5, 6), (2.0, 1.0, 1.0), "um")
    with pytest.raises(GeometryError, match="image space"):
        reoriented(Volume(np.zeros((1, 4, 5, 6)), grid), "RAS")


@pytest.mark.parametrize(
    ("start", "shape"),
    [((2, 1, 3), (4, 5, 2)), ((-3, 0, 5), (20, 4, 4)), ((0, 0, 0), (11, 9, 7)), ((50, 0, 0), (2, 3, 3))],
)
def test_cutting_and_padding_keep_every_voxel_at_its_place(volume, start, shape):
    box = cropped(volume, start, shape, fill=-7)
    assert box.array.shape == (2, *shape)
    for new in np.ndindex(*shape):
        old = np.rint(volume.grid.index(box.grid.world(new))).astype(int)
        inside = ((old >= 0) & (old < volume.grid.shape)).all()
        wanted = volume.array[(slice(None), *old)] if inside else [-7, -7]
        np.testing.assert_array_equal(box.array[(slice(None), *new)], wanted)


def test_a_box_inside_the_image_is_a_view(volume):
    assert np.shares_memory(cropped(volume, (1, 1, 1), (3, 3, 3)).array, volume.array)


def test_padding_and_cutting_back_is_the_same_image_on_the_same_grid(volume):
    padded = cropped(volume, (-2, -3, -1), (15, 15, 9))
    back = cropped(padded, (2, 3, 1), volume.grid.shape)
    assert back.grid.same_as(volume.grid)
    np.testing.assert_array_equal(back.array, volume.array)


def test_a_2d_picture_is_cut_too():
    picture = Volume(np.arange(12).reshape(1, 3, 4), image_grid((3, 4), (0.5, 0.25), "um"))
    box = cropped(picture, (1, -1), (2, 3))
    np.testing.assert_array_equal(box.array, [[[0, 4, 5], [0, 8, 9]]])
    assert box.grid.origin == (0.5, -0.25)


def test_a_fill_that_does_not_fit_the_type_is_an_error():
    labels = LabelMap(np.zeros((2, 2, 2), np.uint8), Grid((2, 2, 2), np.eye(4)))
    with pytest.raises(OverflowError):
        cropped(labels, (-1, 0, 0), (3, 2, 2), fill=-1)
