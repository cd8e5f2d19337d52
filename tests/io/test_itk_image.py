"""SimpleITK images in memory and our values: one geometry through every door."""

import numpy as np
import pytest
import SimpleITK as sitk

from medseg.errors import GeometryError
from medseg.grid import image_grid
from medseg.io.itk_image import itk_from_value, volume_from_itk
from medseg.io.read import read
from medseg.io.write import write
from medseg.labels import LabelMap
from medseg.volume import Volume


@pytest.fixture
def volume(oblique_grid):
    return Volume(np.random.default_rng(0).normal(size=(1, *oblique_grid.shape)).astype(np.float32), oblique_grid)


def test_a_volume_comes_back_as_it_was(volume):
    back = volume_from_itk(itk_from_value(volume))
    assert back.grid.same_as(volume.grid)
    np.testing.assert_array_equal(back.array, volume.array)


def test_channels_become_components_and_back(oblique_grid):
    colours = Volume(np.random.default_rng(0).normal(size=(3, *oblique_grid.shape)), oblique_grid)
    image = itk_from_value(colours)
    assert image.GetNumberOfComponentsPerPixel() == 3
    np.testing.assert_array_equal(volume_from_itk(image).array, colours.array)


def test_simpleitk_sees_each_voxel_at_its_place_in_lps(volume):
    index = (3, 7, 2)
    image = itk_from_value(volume)
    x, y, z = volume.grid.world(index)
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), (-x, -y, z), atol=1e-9)
    assert image[index] == volume.array[(0, *index)]


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii.gz"])
def test_the_same_scan_has_one_geometry_through_every_door(volume, tmp_path, suffix):
    sitk.WriteImage(itk_from_value(volume), tmp_path / f"scan{suffix}")
    by_simpleitk = read(tmp_path / f"scan{suffix}")
    write(volume, tmp_path / f"ours{suffix}")
    by_us = volume_from_itk(sitk.ReadImage(tmp_path / f"ours{suffix}"))
    for other in (by_simpleitk, by_us):
        assert other.grid.same_as(volume.grid, tolerance=1e-4)
        np.testing.assert_array_equal(other.array, volume.array)


def test_labels_stay_integers(oblique_grid):
    labels = LabelMap(np.ones(oblique_grid.shape, np.uint16), oblique_grid)
    assert itk_from_value(labels).GetPixelIDTypeAsString() == "16-bit unsigned integer"


def test_flat_images_are_refused_both_ways():
    with pytest.raises(GeometryError, match="2 axes"):
        volume_from_itk(sitk.Image(4, 4, sitk.sitkUInt8))
    with pytest.raises(GeometryError, match="patient space"):
        itk_from_value(Volume(np.zeros((1, 4, 4)), image_grid((4, 4), (1.0, 1.0), "um")))
