"""Layers and values: the same voxel at the same place, there and back, without a copy."""

import numpy as np
import pytest

from medseg.errors import MedsegError
from medseg.grid import image_grid
from medseg.labels import LabelMap
from medseg.volume import Volume
from napari_plugin._layers import contrast, labels_from_layer, labels_layer, layer_place, volume_layers


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
