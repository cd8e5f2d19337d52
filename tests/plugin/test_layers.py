"""Layers and values: the same voxel at the same place, there and back, without a copy."""

import numpy as np
import pytest

from medseg.errors import MedsegError
from medseg.grid import Grid, image_grid
from medseg.labels import Instances, LabelMap, Segment
from medseg.volume import Volume
from napari_plugin._layers import (
    as_shown,
    contrast,
    index_of,
    instances_from_layer,
    instances_layer,
    labels_from_layer,
    labels_layer,
    layer_place,
    maps_layers,
    present_ids,
    volume_layers,
    world_point,
)


@pytest.fixture
def labels(oblique_grid):
    rng = np.random.default_rng(0)
    return LabelMap(rng.integers(0, 4, oblique_grid.shape).astype(np.uint8), oblique_grid, {1: "a", 2: "b", 3: "c"})


def test_a_voxel_lies_where_it_lay_with_the_signs_of_inferior_posterior_left(oblique_grid):
    volume = Volume(np.random.default_rng(0).normal(size=(1, *oblique_grid.shape)), oblique_grid)
    ((data, attributes, kind),) = volume_layers(volume, "scan")
    index = (3, 5, 2)
    x, y, z = oblique_grid.world(index)
    seen = attributes["affine"] @ [*index[::-1], 1.0]
    np.testing.assert_allclose(seen[:3], (-z, -y, -x))
    assert data[index[::-1]] == volume.array[(0, *index)]
    assert kind == "image"
    assert attributes["units"] == ("mm", "mm", "mm")


def test_no_voxel_is_copied(oblique_grid):
    volume = Volume(np.zeros((2, *oblique_grid.shape), np.float32), oblique_grid)
    layers = volume_layers(volume, "scan")
    assert len(layers) == 2
    assert all(np.shares_memory(data, volume.array) for data, _, _ in layers)


def test_labels_come_back_on_exactly_their_grid(labels):
    data, attributes, kind = labels_layer(labels, "organs")
    back = labels_from_layer(data, attributes)
    assert kind == "labels"
    assert back.grid.same_as(labels.grid, tolerance=0.0)
    assert back.classes == labels.classes
    np.testing.assert_array_equal(back.array, labels.array)


def test_micrographs_keep_their_axes_and_micrometres():
    grid = image_grid((4, 6, 8), (1.5, 0.25, 0.25), "um")
    place = layer_place(grid)
    assert place["units"] == ("um",) * 3
    assert place["axis_labels"] == ("z", "y", "x")
    np.testing.assert_allclose(np.diag(place["affine"]), (1.5, 0.25, 0.25, 1.0))
    labels = LabelMap(np.ones(grid.shape, np.uint16), grid)
    assert labels_from_layer(*labels_layer(labels, "cells")[:2]).grid.same_as(grid)


SPOILED = {
    "moved": lambda a: a.update(translate=np.array([0.0, 1.0, 0.0])),
    "scaled": lambda a: a.update(scale=np.array([1.0, 1.0, 1.1])),
    "other affine": lambda a: a.update(affine=np.eye(4)),
    "no grid": lambda a: a.update(metadata={}),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_layer_that_was_moved_is_never_written(labels, spoil):
    data, attributes, _ = labels_layer(labels, "organs")
    spoil(attributes)
    with pytest.raises(MedsegError) as refusal:
        labels_from_layer(data, attributes)
    assert refusal.value.code == "E_GEOMETRY_MISMATCH"
    assert "nothing was written" in str(refusal.value)


def test_a_layer_that_was_cut_is_never_written(labels):
    data, attributes, _ = labels_layer(labels, "organs")
    with pytest.raises(MedsegError, match="cut"):
        labels_from_layer(data[1:], attributes)


@pytest.mark.parametrize("data", [np.full((4, 4), 7), np.array([[np.nan, 1.0], [2.0, 3.0]]), np.full((2, 2), np.nan)])
def test_contrast_is_always_a_rising_pair(data):
    low, high = contrast(data)
    assert np.isfinite([low, high]).all()
    assert low < high


SIDEWAYS = np.array([[0, 0, 3.0, -40.0], [-1.0, 0, 0, 25.0], [0, -1.2, 0, 12.0], [0, 0, 0, 1]])


def test_a_scan_cut_from_the_side_has_its_axes_in_the_order_of_the_body():
    volume = Volume(np.random.default_rng(0).random((1, 6, 7, 8)), Grid((6, 7, 8), SIDEWAYS))
    ((data, attributes, _),) = volume_layers(volume, "scan")
    # i runs to posterior, j to inferior, k to right
    assert data.shape == (7, 6, 8)
    assert np.shares_memory(data, volume.array)
    np.testing.assert_allclose(np.diag(attributes["affine"]), (1.2, 1.0, -3.0, 1.0))
    assert data[2, 1, 3] == volume.array[0, 1, 2, 3]
    np.testing.assert_array_equal(as_shown(volume.array[0], volume.grid), data)


class Layer:
    """Only what the geometry asks of a layer."""

    def __init__(self, affine, units, metadata):
        self.affine, self.units, self.metadata, self.ndim = affine, units, metadata, len(affine) - 1

    def data_to_world(self, point):
        return tuple((self.affine @ [*point, 1.0])[:-1])


@pytest.mark.parametrize("sideways", [True, False], ids=["cut from the side", "oblique"])
def test_points_of_the_window_and_voxels_of_the_value_are_one_to_one(oblique_grid, sideways):
    grid = Grid((6, 7, 8), SIDEWAYS) if sideways else oblique_grid
    _, attributes, _ = labels_layer(LabelMap(np.zeros(grid.shape, np.uint8), grid), "x")
    layer = Layer(attributes["affine"], attributes["units"], attributes["metadata"])
    for index in ((0, 0, 0), (5, 2, 4), (1, 6, 3)):
        x, y, z = grid.world(index)
        np.testing.assert_allclose(world_point(layer, index), (-z, -y, -x))
        np.testing.assert_allclose(world_point(grid, index), (-z, -y, -x))
        assert index_of(layer, world_point(layer, index)) == index


def test_objects_keep_their_segments_and_maps_their_channels(oblique_grid):
    array = np.zeros(oblique_grid.shape, np.uint16)
    array[1, 1, 1], array[4, 5, 6] = 3, 700
    segments = (Segment(3, 2, 0.5, flags=("likely_merged",)), Segment(5))
    data, attributes, _ = instances_layer(Instances(array, oblique_grid, segments, {2: "lesion"}), "x", model="m")
    back = instances_from_layer(data, attributes)
    assert back.segments == (segments[0], Segment(700))
    assert back.classes == {2: "lesion"}
    assert attributes["metadata"]["medseg"]["model"] == "m"
    assert instances_from_layer(*labels_layer(LabelMap(array, oblique_grid), "y")[:2]) is None
    maps = Volume(np.random.default_rng(0).random((2, *oblique_grid.shape)), oblique_grid, ("inside", "edge"))
    layers = maps_layers(maps, "x")
    assert [a["name"] for _, a, _ in layers] == ["x inside", "x edge"]
    assert {a["contrast_limits"] for _, a, _ in layers} == {(0.0, 1.0)}


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.int64])
def test_ids_are_found_whatever_their_type_and_order(kind):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 100, (20, 30, 7)).astype(kind)
    expected = sorted(set(array.ravel().tolist()) - {0})
    assert present_ids(array) == present_ids(array.T) == present_ids(array[:, ::-1]) == expected
    assert present_ids(np.zeros((3, 3), kind)) == []


def test_far_ids_are_found_too():
    assert present_ids(np.array([[0, 2**40], [5, -1]])) == [5, 2**40]


def test_a_colour_picture_is_one_layer_that_shares_its_memory():
    grid = image_grid((5, 6), (1.0, 1.0), "px")
    picture = Volume(np.zeros((3, 5, 6), np.uint8), grid, ("red", "green", "blue"))
    ((data, attributes, kind),) = volume_layers(picture, "tissue")
    assert (data.shape, kind, attributes["rgb"]) == ((5, 6, 3), "image", True)
    assert np.shares_memory(data, picture.array)


def test_fluorescence_channels_can_be_seen_over_each_other():
    stack = Volume(np.zeros((2, 5, 6), np.uint16), image_grid((5, 6), (1.0, 1.0), "um"), ("DAPI", "GFP"))
    layers = volume_layers(stack, "cells")
    assert [a["name"] for _, a, _ in layers] == ["cells DAPI", "cells GFP"]
    assert {a["blending"] for _, a, _ in layers} == {"additive"}
    assert len({a["colormap"] for _, a, _ in layers}) == 2


def test_labels_saved_as_ome_zarr_open_again_as_labels_that_can_be_drawn_in(oblique_grid, tmp_path):
    from napari_plugin._reader import open_layers
    from napari_plugin._writer import write_labels

    array = np.arange(np.prod(oblique_grid.shape), dtype=np.uint16).reshape(oblique_grid.shape) % 7
    data, attributes, _ = labels_layer(LabelMap(array, oblique_grid), "scan_labels")
    path = str(tmp_path / "scan_labels.ome.zarr")
    assert write_labels(path, data, attributes) == [path]
    ((back, place, kind),) = open_layers(path)
    assert kind == "labels"
    assert isinstance(back, np.ndarray)
    assert np.array_equal(back, data)
    assert np.allclose(place["affine"], attributes["affine"])
