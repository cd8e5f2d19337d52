"""TIFF: labels and images come back as they were written."""

import numpy as np
import pytest
import tifffile
from tiff_phantom import PLAIN, RNG, STACK

from medseg.errors import MedsegError
from medseg.grid import Grid, image_grid
from medseg.io.read import read_labels
from medseg.io.tiff import read_tiff, write_tiff
from medseg.io.write import write
from medseg.labels import Instances, LabelMap
from medseg.volume import Volume


def grid_of(ndim: int, unit: str = "um") -> Grid:
    spacing = (1.5, 0.325, 0.1083)[-ndim:] if unit == "um" else (1.0,) * ndim
    return image_grid((6, 13, 17)[-ndim:], spacing, unit)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("unit", ["um", "px"])
@pytest.mark.parametrize(
    ("highest", "kind"), [(3, "uint8"), (300, "uint16"), (65_536, "uint32"), (2**32 - 1, "uint32"), (2**40, "int64")]
)
def test_labels_come_back_with_every_number_and_the_pixel_size(tmp_path, ndim, unit, highest, kind):
    grid = grid_of(ndim, unit)
    array = np.zeros(grid.shape, np.int64)
    array[..., 4, 5] = highest
    array[..., 6, 7] = 1
    for value in (LabelMap(array, grid), Instances(array, grid)):
        write_tiff(value, tmp_path / "a.tif")
        read = read_tiff(tmp_path / "a.tif", PLAIN)
        assert read.array.dtype == kind
        np.testing.assert_array_equal(read.array[0], array)
        assert read.grid.same_as(grid)
        assert bool(read.warnings) == (unit == "px")


def test_small_labels_are_written_as_imagej_reads_them(tmp_path):
    write_tiff(LabelMap(STACK, grid_of(3)), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        said = tif.imagej_metadata
        assert said is not None
        assert (said["unit"], said["spacing"], said["slices"]) == ("um", 1.5, 6)
        x = tif.pages[0].tags["XResolution"].value
        assert x[0] / x[1] == pytest.approx(1 / 0.1083)
        np.testing.assert_array_equal(tif.asarray(), STACK)


@pytest.mark.parametrize("kind", ["u1", "u2", "f4", "f8", "i2"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_images_come_back_with_channels_and_pixel_size(tmp_path, kind, n):
    for grid in (grid_of(2), grid_of(3), grid_of(3, "px")):
        names = ("red", "green", "blue")[:n] if n == 3 else tuple(f"channel {c}" for c in range(n))
        array = RNG.integers(0, 100, (n, *grid.shape)).astype(kind)
        write_tiff(Volume(array, grid, names), tmp_path / "a.tif")
        read = read_tiff(tmp_path / "a.tif", PLAIN)
        np.testing.assert_array_equal(read.array, array)
        assert read.array.dtype == kind
        assert read.grid.same_as(grid)
        assert n == 1 or read.channels == names


def test_the_same_labels_give_the_same_bytes(tmp_path):
    for highest in (3, 300, 70_000):
        labels = LabelMap(np.full((13, 17), highest), grid_of(2))
        write_tiff(labels, tmp_path / "a.tif")
        write_tiff(labels, tmp_path / "b.tif")
        assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_what_tiff_cannot_hold_is_not_written_and_no_temporary_name_is_told(tmp_path, oblique_grid):
    values = (
        LabelMap(np.zeros(oblique_grid.shape, np.uint8), oblique_grid),
        LabelMap(np.zeros((1, 4, 5), np.uint8), image_grid((1, 4, 5), (1.0, 1.0, 1.0), "um")),
        Volume(np.zeros((1, 13, 17), np.int64), grid_of(2)),
    )
    for value in values:
        with pytest.raises(MedsegError) as caught:
            write_tiff(value, tmp_path / "a.tif")
        assert (caught.value.code, caught.value.path) == ("E_USAGE", None)
    assert not list(tmp_path.iterdir())


def test_a_whole_run_through_the_public_door_keeps_grid_and_numbers(tmp_path):
    labels = LabelMap(STACK.astype(np.int64) * 7, grid_of(3))
    receipt = write(labels, tmp_path / "a.tif")
    back = read_labels(tmp_path / "a.tif")
    np.testing.assert_array_equal(back.array, labels.array)
    assert back.grid.same_as(labels.grid)
    assert receipt.n_bytes == (tmp_path / "a.tif").stat().st_size
