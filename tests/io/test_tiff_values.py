"""TIFF: colours, number types and compressions keep their values."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from tiff_phantom import FLAT, PLAIN, RNG, STACK, codes, refusal_of

from medseg.io.options import ReadOptions
from medseg.io.tiff import probe_tiff, read_tiff


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_is_three_channels_at_full_depth(tmp_path, dtype, planar):
    rgb = RNG.integers(0, np.iinfo(dtype).max, (13, 17, 3), dtype=dtype)
    stored = rgb if planar == "contig" else np.moveaxis(rgb, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    read = read_tiff(tmp_path / "a.tif", PLAIN)
    assert (read.channels, read.array.dtype, read.grid.ndim) == (("red", "green", "blue"), dtype, 2)
    np.testing.assert_array_equal(read.array, np.moveaxis(rgb, -1, 0))
    green = read_tiff(tmp_path / "a.tif", ReadOptions(channel="green"))
    np.testing.assert_array_equal(green.array[0], rgb[..., 1])


@pytest.mark.parametrize("n_colours", [1, 3])
def test_transparency_is_left_out_and_named(tmp_path, n_colours):
    pixels = RNG.integers(0, 255, (13, 17, n_colours + 1), dtype=np.uint8)
    kind = "rgb" if n_colours == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind, extrasamples=["unassalpha"], planarconfig="contig")
    read = read_tiff(tmp_path / "a.tif", PLAIN)
    assert "W_ALPHA_DROPPED" in codes(read)
    np.testing.assert_array_equal(read.array, np.moveaxis(pixels[..., :n_colours], -1, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_white_is_zero_is_turned_round(tmp_path, dtype):
    stored = RNG.integers(0, np.iinfo(dtype).max, (13, 17), dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    read = read_tiff(tmp_path / "a.tif", PLAIN)
    assert codes(read).count("W_INVERTED_PHOTOMETRIC") == 1
    assert "W_INVERTED_PHOTOMETRIC" in [n.code for n in probe_tiff(tmp_path / "a.tif", PLAIN).warnings]
    np.testing.assert_array_equal(read.array[0], np.iinfo(dtype).max - stored)


def palette_file(path: Path, text: str = "") -> tuple[np.ndarray, np.ndarray]:
    index = RNG.integers(0, 256, (13, 17), dtype=np.uint8)
    table = RNG.integers(0, 256, (3, 256), dtype=np.uint16) * 257
    tifffile.imwrite(
        path, index, photometric="palette", colormap=table, description=text.encode() or None, metadata=None
    )
    return index, (table // 257).astype(np.uint8)


def test_a_palette_is_looked_up_unless_the_stored_numbers_are_asked_for(tmp_path):
    index, table = palette_file(tmp_path / "a.tif")
    read = read_tiff(tmp_path / "a.tif", PLAIN)
    np.testing.assert_array_equal(read.array, table[:, index])
    assert read.channels == ("red", "green", "blue")
    stored = read_tiff(tmp_path / "a.tif", ReadOptions(channel="index"))
    np.testing.assert_array_equal(stored.array[0], index)


def test_a_palette_in_an_imagej_file_is_only_a_way_to_show_the_numbers(tmp_path):
    index, _ = palette_file(tmp_path / "a.tif", "ImageJ=1.53t\n")
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", PLAIN).array[0], index)


def test_one_bit_pixels_are_zeros_and_ones(tmp_path):
    bits = FLAT > 30_000
    tifffile.imwrite(tmp_path / "a.tif", bits, photometric="minisblack")
    read = read_tiff(tmp_path / "a.tif", PLAIN)
    assert read.array.dtype == np.uint8
    np.testing.assert_array_equal(read.array[0], bits)


@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "i4", "u4", "u8", "i8"])
def test_every_number_type_is_kept_and_nan_stays(tmp_path, kind):
    stored = STACK.astype(kind)
    if kind[0] == "f":
        stored[2, 3, 4] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", byteorder=">", compression="zlib")
    read = read_tiff(tmp_path / "a.tif", PLAIN)
    assert read.array.dtype == kind
    np.testing.assert_array_equal(read.array[0], stored)


@pytest.mark.parametrize("coding", ["zlib", "lzw", "packbits", "zstd", "lzma", None])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_common_compressions_tiles_and_bigtiff_are_read(tmp_path, coding, tile, bigtiff):
    tifffile.imwrite(
        tmp_path / "a.tif", STACK, photometric="minisblack", compression=coding, tile=tile, bigtiff=bigtiff
    )
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", PLAIN).array[0], STACK)


def test_numbers_that_are_no_grey_values_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FLAT.astype(np.complex64))
    assert refusal_of(tmp_path / "a.tif").code == "E_INPUT_FORMAT"
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((4, 5, 4), np.uint8), photometric="separated")
    assert refusal_of(tmp_path / "b.tif").code == "E_INPUT_FORMAT"
    tifffile.imwrite(tmp_path / "c.tif", FLAT, extratags=[(34412, 1, 4, b"abcd", True)])
    assert "Zeiss" in refusal_of(tmp_path / "c.tif").found


@pytest.mark.data
def test_every_tiff_of_the_packs_agrees_with_the_library(data_pack):
    files = sorted(data_pack("cells3d").rglob("*.tif")) + sorted((data_pack("dsb2018") / "labels").glob("*.tif"))[::40]
    for path in files:
        np.testing.assert_array_equal(read_tiff(path, PLAIN).array[0], tifffile.imread(path))
    for path in sorted((data_pack("nifti_odd") / "png_tif_modes").glob("*.tif")):
        theirs = tifffile.imread(path, key=0)
        planes = theirs[np.newaxis] if theirs.ndim == 2 else np.moveaxis(theirs, -1, 0)[:3]
        read = read_tiff(path, PLAIN)
        np.testing.assert_array_equal(read.array, planes)
        assert read.array.dtype == theirs.dtype
        assert ("rgba" in path.name) == ("W_ALPHA_DROPPED" in codes(read))
