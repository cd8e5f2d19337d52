"""Targets: depth, outline and way to the centre of every object, in voxels of the finest axis."""

import numpy as np
import pytest

from medseg.instance.targets import BOUNDARY_WIDTH, classes_of, object_maps, outlines

SPACING_3D = (2.0, 0.5, 0.5)


def touching_discs() -> np.ndarray:
    """Return two discs of radius 9 that touch, one bigger disc cut by the border."""
    y, x = np.indices((48, 64))
    labels = np.zeros((48, 64), np.uint16)
    labels[(y - 24) ** 2 + (x - 14) ** 2 <= 81] = 7
    labels[((y - 24) ** 2 + (x - 32) ** 2 <= 81) & (labels == 0)] = 3
    labels[((y - 40) ** 2 + (x - 62) ** 2 <= 150) & (labels == 0)] = 40_000
    return labels


def touching_balls() -> np.ndarray:
    """Return two balls of radius 5 that touch along x, on voxels four times as high as wide."""
    z, y, x = np.indices((12, 40, 60)) * np.array(SPACING_3D).reshape(3, 1, 1, 1)
    labels = np.zeros((12, 40, 60), np.uint8)
    labels[(z - 11) ** 2 + (y - 10) ** 2 + (x - 9) ** 2 <= 25] = 1
    labels[((z - 11) ** 2 + (y - 10) ** 2 + (x - 19) ** 2 <= 25) & (labels == 0)] = 2
    return labels


@pytest.mark.parametrize(("labels", "spacing"), [(touching_discs(), (1.0, 1.0)), (touching_balls(), SPACING_3D)])
def test_one_transform_gives_the_same_depth_as_one_transform_per_object(labels, spacing):
    from scipy.ndimage import distance_transform_edt

    steps = [s / min(spacing) for s in spacing]
    maps = object_maps(labels, spacing)
    rim = outlines(labels)
    for i in np.unique(labels)[1:]:
        own = labels == i
        alone = distance_transform_edt(~(rim & own), sampling=steps) + 0.5
        assert np.allclose(maps.distance[own], alone[own], atol=1e-4)


def test_touching_objects_are_parted_by_boundary_though_no_background_lies_between():
    from scipy.ndimage import label

    labels = touching_discs()
    classes = classes_of(labels, object_maps(labels, (1.0, 1.0)).distance)
    assert label(labels > 0)[1] == 2
    assert label(classes == 1)[1] == 3
    assert np.array_equal(classes > 0, labels > 0)


def test_the_border_of_the_image_is_no_outline():
    labels = touching_discs()
    classes = classes_of(labels, object_maps(labels, (1.0, 1.0)).distance)
    assert classes[40, 63] == 1
    assert not outlines(labels)[40, 63]


def test_depth_relative_to_the_object_reaches_one_in_each_object():
    labels = touching_discs()
    relative = object_maps(labels, (1.0, 1.0)).relative
    assert all(relative[labels == i].max() == pytest.approx(1.0) for i in (7, 3, 40_000))
    assert relative[labels == 0].max() == 0.0


@pytest.mark.parametrize(("labels", "spacing"), [(touching_discs(), (1.0, 1.0)), (touching_balls(), SPACING_3D)])
def test_every_voxel_points_to_the_centre_of_mass_of_its_object(labels, spacing):
    steps = np.array(spacing) / min(spacing)
    offsets = object_maps(labels, spacing).offsets
    for i in np.unique(labels)[1:]:
        places = np.argwhere(labels == i)
        reached = places * steps + offsets[:, labels == i].T
        assert np.allclose(reached, places.mean(axis=0) * steps, atol=1e-3)
    assert np.abs(offsets[:, labels == 0]).max() == 0.0


def test_lengths_do_not_depend_on_the_unit_but_on_the_shape_of_the_voxels():
    labels = touching_balls()
    in_um, in_nm = object_maps(labels, SPACING_3D), object_maps(labels, tuple(1000 * s for s in SPACING_3D))
    assert np.allclose(in_um.distance, in_nm.distance)
    flat = object_maps(labels, (1.0, 1.0, 1.0))
    assert in_um.distance.max() > 1.5 * flat.distance.max()


def test_an_object_that_fills_the_image_has_no_outline_and_no_boundary():
    labels = np.full((9, 9), 4)
    maps = object_maps(labels, (1.0, 1.0))
    assert (classes_of(labels, maps.distance) == 1).all()
    assert (maps.relative == 1.0).all()


def test_an_empty_image_has_empty_maps():
    maps = object_maps(np.zeros((5, 6), int), (1.0, 1.0))
    assert not maps.distance.any()
    assert not maps.offsets.any()
    assert not maps.relative.any()


def test_objects_thinner_than_the_boundary_are_boundary_throughout():
    labels = np.zeros((9, 30), int)
    labels[4, 2:28] = 1
    distance = object_maps(labels, (1.0, 1.0)).distance
    assert distance.max() < BOUNDARY_WIDTH
    assert set(np.unique(classes_of(labels, distance))) == {0, 2}
