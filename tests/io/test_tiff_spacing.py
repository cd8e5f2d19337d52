"""TIFF: pixel sizes in micrometres, or none and a word on why."""

import numpy as np
import pytest
import tifffile
from tiff_phantom import FLAT, PLAIN, STACK, codes, imagej, refusal_of

from medseg.io.options import ReadOptions
from medseg.io.tiff import read_tiff


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        (r"\u00B5m", 1.0), ("µm", 1.0), ("um", 1.0), ("micron", 1.0), ("microns", 1.0), ("nm", 1e-3), ("mm", 1e3),
        ("cm", 1e4),
    ],
)  # fmt: skip
def test_each_unit_that_imagej_writes_becomes_micrometres(tmp_path, unit, um):
    per_unit = 4.0 * um
    path = imagej(tmp_path / "a.tif", "slices=6", f"unit={unit}", f"spacing={1.5 / um}", per_unit=per_unit)
    read = read_tiff(path, PLAIN)
    np.testing.assert_allclose(read.grid.spacing, (1.5, 0.5, 0.25), rtol=1e-6)
    assert read.grid.unit == "um"
    assert not read.warnings
    np.testing.assert_array_equal(read.array[0], STACK)


def test_imagej_may_give_each_axis_its_own_unit(tmp_path):
    path = imagej(tmp_path / "a.tif", "slices=6", "unit=nm", "yunit=nm", "zunit=um", "spacing=1.5", per_unit=0.004)
    np.testing.assert_allclose(read_tiff(path, PLAIN).grid.spacing, (1.5, 0.5, 0.25))


def test_imagej_leaves_out_a_slice_distance_of_one(tmp_path):
    assert read_tiff(imagej(tmp_path / "a.tif", "slices=6", "unit=um"), PLAIN).grid.spacing == (1.0, 0.5, 0.25)


def test_a_slice_distance_that_another_program_left_out_is_not_invented(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4, 4), metadata={"axes": "ZYX", "unit": "um"})
    read = read_tiff(tmp_path / "a.tif", PLAIN)
    assert (read.grid.unit, codes(read)) == ("px", ["W_SPACING_UNTRUSTED"])


@pytest.mark.parametrize("choice", [{"frame": 1}, {"series": "1"}])
def test_a_page_that_is_chosen_keeps_its_own_pixel_size(tmp_path, choice):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for size, per_cm in ((40, 40_000), (10, 10_000)):
            values = np.ones((size, size), np.uint8)
            file.write(values, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER", metadata=None)
    read = read_tiff(tmp_path / "a.tif", ReadOptions(**choice))
    assert read.grid.shape == (10, 10)
    np.testing.assert_allclose(read.grid.spacing, (1.0, 1.0))


@pytest.mark.parametrize("unit", ["pixel", "inch", "furlong", ""])
def test_a_unit_that_is_no_microscopes_gives_pixels(tmp_path, unit):
    read = read_tiff(imagej(tmp_path / "a.tif", "slices=6", f"unit={unit}", "spacing=2"), PLAIN)
    assert (read.grid.unit, codes(read)) == ("px", ["W_SPACING_UNTRUSTED"])


@pytest.mark.parametrize(
    ("resolution", "unit"), [((72, 72), 2), ((96, 96), 2), ((300, 300), 2), ((28.35, 28.35), 3), ((40_000, 40_000), 1)]
)
def test_a_screens_or_printers_resolution_is_no_pixel_size(tmp_path, resolution, unit):
    tifffile.imwrite(tmp_path / "a.tif", FLAT, resolution=resolution, resolutionunit=unit)
    read = read_tiff(tmp_path / "a.tif", PLAIN)
    assert (read.grid.unit, read.grid.spacing, codes(read)) == ("px", (1.0, 1.0), ["W_SPACING_UNTRUSTED"])


def test_a_microscopes_resolution_in_plain_tags_is_believed(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FLAT, resolution=(40_000, 20_000), resolutionunit="CENTIMETER")
    read = read_tiff(tmp_path / "a.tif", PLAIN)
    np.testing.assert_allclose(read.grid.spacing, (0.5, 0.25))
    assert not read.warnings


def test_the_users_pixel_size_overrides_the_file(tmp_path):
    path = imagej(tmp_path / "a.tif", "slices=6", "unit=um", "spacing=2")
    assert read_tiff(path, ReadOptions(pixel_size=(3.0, 0.2, 0.1))).grid.spacing == (3.0, 0.2, 0.1)
    assert read_tiff(path, ReadOptions(pixel_size=(0.7,))).grid.spacing == (0.7, 0.7, 0.7)
    for wrong in ((1.0, 2.0), (0.0,), (float("nan"),)):
        assert refusal_of(path, ReadOptions(pixel_size=wrong)).code == "E_USAGE"


def test_ome_units_may_differ_by_axis(tmp_path):
    said = {"axes": "CZYX", "PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.0005,
            "PhysicalSizeYUnit": "mm", "PhysicalSizeZ": 1.5, "Channel": {"Name": ["DAPI", "actin"]}}  # fmt: skip
    two = np.stack([STACK, STACK[::-1]])
    tifffile.imwrite(tmp_path / "a.ome.tif", two, ome=True, photometric="minisblack", metadata=said)
    read = read_tiff(tmp_path / "a.ome.tif", PLAIN)
    np.testing.assert_allclose(read.grid.spacing, (1.5, 0.5, 0.25))
    assert (read.grid.unit, read.channels, codes(read)) == ("um", ("DAPI", "actin"), [])
    np.testing.assert_array_equal(read.array, two)
