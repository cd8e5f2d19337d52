"""TIFF: pixel sizes in micrometres, channels that stay channels, and no page lost in silence."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from medseg.errors import MedsegError, SeriesAmbiguousError
from medseg.grid import Grid, image_grid
from medseg.io.options import ReadOptions
from medseg.io.read import read_labels
from medseg.io.tiff import probe_tiff, read_tiff, write_tiff
from medseg.io.write import write
from medseg.labels import Instances, LabelMap
from medseg.volume import Volume

PLAIN = ReadOptions()
RNG = np.random.default_rng(5)
FLAT = RNG.integers(0, 60_000, (13, 17), dtype=np.uint16)
STACK = RNG.integers(0, 60_000, (6, 13, 17), dtype=np.uint16)


def refusal_of(path: Path, options: ReadOptions = PLAIN) -> MedsegError:
    with pytest.raises(MedsegError) as caught:
        read_tiff(path, options)
    assert all((caught.value.found, caught.value.expected, caught.value.not_done, caught.value.remedy))
    return caught.value


def codes(volume: Volume) -> list[str]:
    return [notice.code for notice in volume.warnings]


def described(path: Path, text: str, pages: np.ndarray = STACK, **tags: object) -> Path:
    """Write pages with exactly this image description."""
    with tifffile.TiffWriter(path) as writer:
        for number, page in enumerate(pages):
            description = text.encode() if number == 0 else b""
            writer.write(page, description=description, metadata=None, contiguous=False, **tags)
    return path


def imagej(path: Path, *lines: str, pages: np.ndarray = STACK, per_unit: float = 4.0) -> Path:
    text = "\n".join(("ImageJ=1.53t", f"images={len(pages)}", *lines, ""))
    return described(path, text, pages, resolution=(per_unit, per_unit / 2), resolutionunit="NONE")


# --- pixel size -------------------------------------------------------------------------------------------------


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


# --- channels, slices, time -------------------------------------------------------------------------------------


def hyperstack(path: Path, order: str = "TZCYX", *, ome: bool) -> np.ndarray:
    array = RNG.integers(0, 60_000, (2, 3, 4, 13, 17), dtype=np.uint16)
    kind = {"ome": True} if ome else {"imagej": True}
    stored = array if order == "TZCYX" else array.transpose(0, 2, 1, 3, 4)
    tifffile.imwrite(path, stored, photometric="minisblack", metadata={"axes": order}, **kind)
    return array


@pytest.mark.parametrize(("order", "ome"), [("TZCYX", False), ("TZCYX", True), ("TCZYX", True)])
def test_time_slices_and_channels_are_told_apart(tmp_path, order, ome):
    array = hyperstack(tmp_path / "a.tif", order, ome=ome)
    assert refusal_of(tmp_path / "a.tif").code == "E_DIMENSIONS_UNSUPPORTED"
    for t in range(2):
        read = read_tiff(tmp_path / "a.tif", ReadOptions(frame=t))
        np.testing.assert_array_equal(read.array, array[t].transpose(1, 0, 2, 3))
    assert refusal_of(tmp_path / "a.tif", ReadOptions(frame=2)).code == "E_DIMENSIONS_UNSUPPORTED"


def test_one_channel_is_picked_by_number_or_name(tmp_path):
    array = hyperstack(tmp_path / "a.tif", ome=True)
    for channel in (2, "2"):
        read = read_tiff(tmp_path / "a.tif", ReadOptions(frame=0, channel=channel))
        np.testing.assert_array_equal(read.array[0], array[0, :, 2])
        assert read.channels == ("2",)
    for channel in (4, -1, "DAPI"):
        assert refusal_of(tmp_path / "a.tif", ReadOptions(frame=0, channel=channel)).code == "E_USAGE"


def test_axes_in_a_plain_note_are_obeyed(tmp_path):
    two = np.stack([STACK, STACK + 1])
    tifffile.imwrite(tmp_path / "a.tif", two, photometric="minisblack", metadata={"axes": "CZYX"})
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", PLAIN).array, two)
    tifffile.imwrite(tmp_path / "b.tif", two, photometric="minisblack", metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(read_tiff(tmp_path / "b.tif", PLAIN).array, two.transpose(1, 0, 2, 3))
    tifffile.imwrite(tmp_path / "c.tif", two, photometric="minisblack", metadata={"axes": "HZYX"})
    assert refusal_of(tmp_path / "c.tif").code == "E_DIMENSIONS_UNSUPPORTED"


def test_many_unnamed_pages_are_slices_and_few_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "six.tif", STACK, photometric="minisblack")
    read = read_tiff(tmp_path / "six.tif", PLAIN)
    np.testing.assert_array_equal(read.array[0], STACK)
    assert read.source.details["axes_assumed"]
    tifffile.imwrite(tmp_path / "three.tif", STACK[:3], photometric="minisblack")
    refusal = refusal_of(tmp_path / "three.tif")
    assert refusal.code == "E_DIMENSIONS_UNSUPPORTED"
    assert "--frame" in refusal.remedy
    one = read_tiff(tmp_path / "three.tif", ReadOptions(frame=1))
    np.testing.assert_array_equal(one.array[0], STACK[1])
    slices = read_tiff(tmp_path / "three.tif", ReadOptions(pixel_size=(2.0, 0.5, 0.5)))
    np.testing.assert_array_equal(slices.array[0], STACK[:3])
    tifffile.imwrite(tmp_path / "four_d.tif", np.stack([STACK, STACK]), photometric="minisblack")
    assert refusal_of(tmp_path / "four_d.tif").code == "E_DIMENSIONS_UNSUPPORTED"


def test_unlike_pages_are_refused_and_a_preview_is_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(FLAT, metadata=None)
        writer.write(FLAT[::2], metadata=None)
    assert refusal_of(tmp_path / "a.tif").code == "E_DIMENSIONS_UNSUPPORTED"
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(FLAT, metadata=None)
        writer.write(FLAT[::2], metadata=None, subfiletype=1)
    read = read_tiff(tmp_path / "b.tif", PLAIN)
    np.testing.assert_array_equal(read.array[0], FLAT)
    assert read.source.details["previews_left_out"] == "1"


# --- colours ----------------------------------------------------------------------------------------------------


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


# --- damage and danger ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["imagej", "ome", "plain", "big"])
def test_a_file_cut_anywhere_is_refused_and_never_fewer_pages(tmp_path, kind):
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    how = {"imagej": {"imagej": True}, "ome": {"ome": True}, "plain": {}, "big": {"bigtiff": True}}[kind]
    tifffile.imwrite(whole, STACK, photometric="minisblack", compression="zlib", **how)
    data = whole.read_bytes()
    for length in np.linspace(1, len(data) - 2, 64).astype(int):
        cut.write_bytes(data[:length])
        assert refusal_of(cut).code in ("E_INPUT_UNREADABLE", "E_INPUT_FORMAT"), length


@pytest.mark.parametrize(
    ("text", "n"), [("ImageJ=1.53t\nimages=7\nslices=7\n", 6), (json.dumps({"shape": [7, 13, 17]}), 6)]
)
def test_fewer_pages_than_described_are_refused(tmp_path, text, n):
    assert refusal_of(described(tmp_path / "a.tif", text, STACK[:n])).code == "E_INPUT_UNREADABLE"


def test_damaged_compressed_pixels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FLAT, compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        where = tif.pages[0].dataoffsets[0]
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[where + 40] ^= 0xFF
    (tmp_path / "a.tif").write_bytes(data)
    assert refusal_of(tmp_path / "a.tif").code == "E_INPUT_UNREADABLE"


def ifd(*entries: tuple[int, int, int, int], link: int = 0) -> bytes:
    return (
        struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + struct.pack("<I", link)
    )


def little_tiff(*, width: int = 4, height: int = 4, link: int = 0, extra: tuple = (), offset: int = 4096) -> bytes:
    entries = sorted(
        [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, offset),
         (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 16), *extra]
    )  # fmt: skip
    head = b"II*\0" + struct.pack("<I", 8) + ifd(*entries, link=link)
    return head.ljust(4096, b"\0") + bytes(range(16))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (little_tiff(link=8), "E_INPUT_UNREADABLE"),
        (little_tiff().replace(struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 273, 99, 1)), "E_INPUT_UNREADABLE"),
        (little_tiff().replace(struct.pack("<HHI", 279, 4, 1), struct.pack("<HHI", 279, 99, 1)), "E_INPUT_UNREADABLE"),
        (little_tiff().replace(struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 273, 11, 1)), "E_INPUT_UNREADABLE"),
        (little_tiff(link=999_999), "E_INPUT_UNREADABLE"),
        (little_tiff(width=65_000, height=65_000), "E_TOO_LARGE"),
        (little_tiff(width=0), "E_INPUT_UNREADABLE"),
        (little_tiff(offset=4097), "E_INPUT_UNREADABLE"),
        (little_tiff(offset=0), "E_INPUT_UNREADABLE"),
        (little_tiff(extra=((270, 2, 2**31, 8),)), "E_INPUT_UNREADABLE"),
        (little_tiff(extra=((270, 2, 100_000, 4000),)), "E_INPUT_UNREADABLE"),
        (b"II*\0" + struct.pack("<I", 0), "E_INPUT_UNREADABLE"),
        (b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 65_535), "E_INPUT_UNREADABLE"),
        (b"II\x99\0" + bytes(20), "E_INPUT_FORMAT"),
    ],
)
def test_lies_in_page_headers_are_refused(tmp_path, data, code):
    (tmp_path / "a.tif").write_bytes(data)
    assert refusal_of(tmp_path / "a.tif").code == code
    with pytest.raises(MedsegError):
        probe_tiff(tmp_path / "a.tif", PLAIN)


def test_the_little_file_that_is_spoiled_above_is_itself_readable(tmp_path):
    (tmp_path / "a.tif").write_bytes(little_tiff())
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", PLAIN).array.ravel(), np.arange(16))


def test_flipped_bytes_never_crash_the_reader(tmp_path):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, STACK, ome=True, photometric="minisblack", compression="zlib")
    data = buffer.getvalue()
    path = tmp_path / "a.tif"
    rng = np.random.default_rng(1)
    n_refused = 0
    for at in (*range(400), *rng.integers(0, len(data), 200)):
        spoiled = bytearray(data)
        spoiled[at] ^= int(rng.integers(1, 256))
        path.write_bytes(spoiled)
        try:
            assert read_tiff(path, ReadOptions(max_bytes=1 << 24)).grid.n_voxels > 0
        except MedsegError:
            n_refused += 1
    assert n_refused > 100


def test_the_librarys_remarks_do_not_reach_the_terminal(tmp_path, capfd):
    text = struct.pack("<HHII", 305, 2, 100, 999_999)  # a program's name that lies outside the file
    data = little_tiff(extra=((305, 2, 100, 999_999),))
    assert text in data
    (tmp_path / "a.tif").write_bytes(data)
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", PLAIN).array.ravel(), np.arange(16))
    assert capfd.readouterr() == ("", "")


def test_a_tile_larger_than_the_limit_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FLAT, tile=(4096, 4096))
    assert refusal_of(tmp_path / "a.tif", ReadOptions(max_bytes=1 << 20)).code == "E_TOO_LARGE"


def test_an_imagej_stack_kept_as_one_page_is_read_whole(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, truncate=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert len(tif.pages) == 1
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", PLAIN).array[0], STACK)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[:-30])
    assert refusal_of(tmp_path / "a.tif").code == "E_INPUT_UNREADABLE"


# --- OME-XML ----------------------------------------------------------------------------------------------------


def ome(path: Path, inner: str, *, size: str = 'SizeZ="6" SizeC="1" SizeT="1"', root: str = "", head: str = "") -> Path:
    text = (
        f'<?xml version="1.0"?>{head}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" {root}>'
        '<Image ID="Image:0">'
        f'<Pixels DimensionOrder="XYZCT" Type="uint16" SizeX="17" SizeY="13" {size}>{inner}</Pixels></Image></OME>'
    )
    return described(path, text)


def test_planes_are_found_where_the_xml_says_they_are(tmp_path):
    backwards = "".join(f'<TiffData FirstZ="{z}" IFD="{5 - z}" PlaneCount="1"/>' for z in range(6))
    np.testing.assert_array_equal(read_tiff(ome(tmp_path / "a.tif", backwards), PLAIN).array[0], STACK[::-1])


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ('<TiffData FirstZ="0" IFD="0" PlaneCount="5"/>', "E_INPUT_UNREADABLE"),
        ('<TiffData FirstZ="0" IFD="2" PlaneCount="6"/>', "E_INPUT_UNREADABLE"),
        ('<TiffData FirstZ="9" IFD="0"/>', "E_INPUT_UNREADABLE"),
        ('<TiffData FirstZ="x" IFD="0"/>', "E_INPUT_UNREADABLE"),
        ('<TiffData IFD="0"><UUID FileName="../b.ome.tif">u</UUID></TiffData>', "E_PATH_UNSAFE"),
        ('<TiffData IFD="0"><UUID FileName="/tmp/b.ome.tif">u</UUID></TiffData>', "E_PATH_UNSAFE"),
        ('<TiffData IFD="0"><UUID FileName="C:\\b.tif">u</UUID></TiffData>', "E_PATH_UNSAFE"),
        ('<TiffData><UUID FileName="b.tif">u</UUID></TiffData><TiffData><UUID FileName="c.tif">v</UUID></TiffData>',
         "E_INPUT_FORMAT"),
        ("<broken", "E_INPUT_UNREADABLE"),
    ],
)  # fmt: skip
def test_planes_that_are_elsewhere_or_nowhere_are_refused(tmp_path, inner, code):
    assert refusal_of(ome(tmp_path / "a.tif", inner)).code == code


def test_an_ome_file_that_was_renamed_is_still_its_own(tmp_path):
    named = '<TiffData><UUID FileName="old name.ome.tif">urn:uuid:1</UUID></TiffData>'
    path = ome(tmp_path / "new.tif", named, root='UUID="urn:uuid:1"')
    np.testing.assert_array_equal(read_tiff(path, PLAIN).array[0], STACK)


def test_more_planes_than_pages_and_entities_are_refused(tmp_path):
    path = ome(tmp_path / "a.tif", "", size='SizeZ="7" SizeC="1" SizeT="1"')
    assert refusal_of(path).code == "E_INPUT_UNREADABLE"
    path = ome(tmp_path / "b.tif", "", head='<!DOCTYPE x [<!ENTITY a "aaaa">]>')
    assert refusal_of(path).code == "E_UNSAFE_CONTENT"


def test_several_images_in_one_file_are_listed_to_choose_from(tmp_path):
    pixels = '<Pixels DimensionOrder="XYZCT" Type="uint16" SizeX="17" SizeY="13" SizeZ="3" SizeC="1" SizeT="1">'
    images = "".join(
        f'<Image ID="Image:{i}">{pixels}<TiffData IFD="{3 * i}" PlaneCount="3"/></Pixels></Image>' for i in range(2)
    )
    path = described(tmp_path / "a.tif", f'<?xml version="1.0"?><OME xmlns="x">{images}</OME>')
    with pytest.raises(SeriesAmbiguousError) as caught:
        read_tiff(path, PLAIN)
    assert [key for key, _ in caught.value.choices] == ["Image:0", "Image:1"]
    np.testing.assert_array_equal(read_tiff(path, ReadOptions(series="Image:1")).array[0], STACK[3:])


# --- writing ----------------------------------------------------------------------------------------------------


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


# --- real files -------------------------------------------------------------------------------------------------


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
