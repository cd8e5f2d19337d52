"""Layers that napari or another plugin opened: where they lie is taken from their transforms and units."""

import numpy as np
import pytest

pytest.importorskip("napari")
from napari.layers import Image, Labels

from medseg.errors import MedsegError
from napari_plugin._foreign import matrix_in, matrix_of
from napari_plugin._layers import instances_of, label_map_of, volume_from_layer

pytestmark = [pytest.mark.gl, pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")]


def test_scale_and_units_become_a_grid_and_no_voxel_is_copied():
    data = np.zeros((4, 5, 6), np.uint16)
    volume = volume_from_layer(Image(data, scale=(2, 0.5, 0.25), translate=(1, 2, 3), units="um"))
    assert volume.grid.spacing == (2.0, 0.5, 0.25)
    assert volume.grid.origin == (1.0, 2.0, 3.0)
    assert (volume.grid.unit, volume.grid.space) == ("um", "image")
    assert np.shares_memory(volume.array, data)


@pytest.mark.parametrize(
    ("units", "unit", "spacing"),
    [
        (None, "px", (1.0, 2.0)),
        ("pixel", "px", (1.0, 2.0)),
        ("nm", "um", (0.001, 0.002)),
        (("mm", "um"), "um", (1000.0, 2.0)),
        ("mm", "mm", (1.0, 2.0)),
        (("um", "pixel"), "px", (1.0, 2.0)),
    ],
)
def test_units_are_converted_and_pixels_stay_pixels(units, unit, spacing):
    grid = volume_from_layer(Image(np.zeros((4, 5)), scale=(1, 2), units=units)).grid
    assert grid.unit == unit
    assert grid.spacing == pytest.approx(spacing)


def test_a_turned_layer_keeps_its_turn():
    layer = Image(np.zeros((4, 5)), rotate=30, scale=(2, 1), units="um")
    grid = volume_from_layer(layer).grid
    np.testing.assert_allclose(grid.world((3, 4)), layer.data_to_world((3, 4)))
    assert grid.spacing == pytest.approx((2.0, 1.0))


def test_colours_are_three_channels():
    data = np.zeros((4, 5, 4), np.uint8)
    volume = volume_from_layer(Image(data, rgb=True))
    assert volume.channels == ("red", "green", "blue")
    assert volume.array.shape == (3, 4, 5)
    assert np.shares_memory(volume.array, data)


def test_of_several_levels_the_finest_counts():
    levels = [np.zeros((8, 8)), np.zeros((4, 4))]
    assert volume_from_layer(Image(levels, multiscale=True)).grid.shape == (8, 8)


@pytest.mark.parametrize(
    ("shape", "transform", "code"),
    [
        ((2, 3, 4, 5), {}, "E_DIMENSIONS_UNSUPPORTED"),
        ((4, 5), {"shear": [0.5]}, "E_GEOMETRY_INVALID"),
    ],
)
def test_what_is_no_grid_is_refused_in_words(shape, transform, code):
    with pytest.raises(MedsegError) as refusal:
        volume_from_layer(Image(np.zeros(shape), name="odd", **transform))
    assert "'odd'" in str(refusal.value)
    assert refusal.value.code == code


def test_drawn_labels_are_classes_or_objects():
    data = np.zeros((4, 5), np.int32)
    data[1], data[3] = 2, 9
    layer = Labels(data)
    assert label_map_of(layer).classes == {}
    assert [s.id for s in instances_of(layer).segments] == [2, 9]


def test_the_attributes_of_a_layer_say_the_same_as_the_layer():
    layer = Image(
        np.zeros((4, 5, 6)),
        scale=(2, 3, 4),
        rotate=(10, 20, 30),
        shear=(0.1, 0.2, 0.3),
        translate=(5, 6, 7),
        affine=np.array([[0, 1, 0, 3], [1, 0, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1.0]]),
    )
    np.testing.assert_allclose(matrix_in(layer.as_layer_data_tuple()[1], 3), matrix_of(layer), atol=1e-9)
