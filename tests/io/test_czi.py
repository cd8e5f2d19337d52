"""CZI: scenes, mosaics, stacks, compressions; and what a damaged or foreign file is told."""

import struct

import imagecodecs
import numpy as np
import pytest
from czi_phantom import XML, WrittenTile, write_czi

from medseg.errors import InputError, MedsegError, SeriesAmbiguousError
from medseg.io.options import ReadOptions
from medseg.io.probe import probe
from medseg.io.read import read, read_with

RNG = np.random.default_rng(7)
STACK = RNG.integers(0, 60_000, (2, 2, 3, 9, 11)).astype(np.uint16)
"""Values by time, channel and slice."""


def tiles_of(values, **more):
    """Return one tile per plane; they lie away from the origin, as on a stage."""
    n_t, n_c, n_z = values.shape[:3]
    return [
        WrittenTile(values[t, c, z], {"X": -40, "Y": 25, "C": c, "Z": z, "T": t}, **more)
        for t in range(n_t)
        for c in range(n_c)
        for z in range(n_z)
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cells.czi"


def test_a_stack_comes_with_its_channels_and_micrometres(path):
    volume = read(write_czi(path, tiles_of(STACK[:1])))
    assert volume.channels == ("DAPI", "GFP")
    assert volume.grid.unit == "um"
    np.testing.assert_allclose(volume.grid.spacing, (1.5, 0.3, 0.25))
    np.testing.assert_array_equal(volume.array, STACK[0])
    assert volume.warnings == ()


def test_one_of_several_time_points_is_chosen_by_frame(path):
    write_czi(path, tiles_of(STACK))
    with pytest.raises(InputError, match="Choose one with --frame 0 to --frame 1") as caught:
        probe(path)
    assert caught.value.code == "E_DIMENSIONS_UNSUPPORTED"
    found = probe(path, options=ReadOptions(frame=1))
    assert (found.n_frames, found.grid.shape, found.n_bytes) == (2, (3, 9, 11), 2 * 3 * 9 * 11 * 2)
    np.testing.assert_array_equal(read(path, frame=1).array, STACK[1])
    np.testing.assert_array_equal(read(path, frame=1, channel="GFP").array, STACK[1, 1:])


def test_scenes_of_different_sizes_are_chosen_by_series(path):
    first = [WrittenTile(STACK[0, 0, 0], {"X": 0, "Y": 0, "C": 0, "S": 0})]
    second = [WrittenTile(STACK[1, 0, 0, 2:, 3:], {"X": 100, "Y": 7, "C": 0, "S": 1})]
    write_czi(path, first + second)
    with pytest.raises(SeriesAmbiguousError) as caught:
        probe(path)
    assert [key for key, _ in caught.value.choices] == ["0", "1"]
    assert "well B1" in caught.value.choices[1][1]
    volume = read(path, series="1")
    np.testing.assert_array_equal(volume.array[0], STACK[1, 0, 0, 2:, 3:])
    assert volume.source.details["series"] == "1"
    assert [s.shape for s in probe(path, options=ReadOptions(series="0")).series] == [(9, 11), (7, 8)]


def test_a_mosaic_is_put_together_where_the_stage_was_and_its_previews_are_left_out(path):
    left, right = STACK[0, 0, 0], STACK[0, 1, 0]
    tiles = [
        WrittenTile(right, {"X": 8, "Y": 2, "C": 0, "M": 1}),
        WrittenTile(left, {"X": 0, "Y": 0, "C": 0, "M": 0}),
        WrittenTile(left[::2, ::2], {"X": 0, "Y": 0, "C": 0, "M": 0}, n_stored=4),
    ]
    array = read(write_czi(path, tiles)).array[0]
    assert array.shape == (11, 19)
    np.testing.assert_array_equal(array[2:, 8:], right)  # the later tile lies above
    np.testing.assert_array_equal(array[:9, :8], left[:, :8])
    assert (array[9:, :8] == 0).all()


def test_what_no_tile_covers_is_told_and_overlaps_hide_nothing_of_it(path):
    values = STACK[0, 0, 0]  # 9 x 11
    places = {"M": 0, "X": 0, "Y": 0}, {"M": 1, "X": 8, "Y": 2}, {"M": 2, "X": 8, "Y": 2}
    write_czi(path, [WrittenTile(values, place | {"C": c}) for c in (0, 1) for place in places])
    bare = 11 * 19 - (2 * 9 * 11 - 7 * 3)
    (notice,) = probe(path).warnings
    assert notice.code == "W_CHUNKS_MISSING"
    assert f"{100 * bare / (11 * 19):.2g} % of the image" in notice.text
    assert read(path).warnings == (notice,)


def test_a_channel_with_fewer_tiles_than_the_others_is_told_only_where_it_is_read(path):
    values = STACK[0, 0, 0]
    whole = [WrittenTile(values, {"X": x, "Y": 0, "C": 0, "M": m}) for m, x in enumerate((0, 9))]
    write_czi(path, [*whole, WrittenTile(values, {"X": 0, "Y": 0, "C": 1, "M": 0})])
    assert [w.code for w in read(path).warnings] == ["W_CHUNKS_MISSING"]
    assert read(path, channel="DAPI").warnings == ()


def split_halves(values):
    low_first = values.astype("<u2").tobytes()
    return low_first[0::2] + low_first[1::2]


PACKED = {
    "zstd": (5, lambda a: imagecodecs.zstd_encode(a.tobytes())),
    "zstd with a header": (6, lambda a: b"\x01" + imagecodecs.zstd_encode(a.tobytes())),
    "zstd with split bytes": (6, lambda a: b"\x03\x01\x01" + imagecodecs.zstd_encode(split_halves(a))),
    "JPEG XR": (4, lambda a: imagecodecs.jpegxr_encode(a, level=1.0)),
}


@pytest.mark.parametrize(("method", "pack"), PACKED.values(), ids=PACKED)
def test_packed_tiles_come_back_as_they_were(path, method, pack):
    volume = read(write_czi(path, tiles_of(STACK[:1], compression=method, pack=pack)))
    np.testing.assert_array_equal(volume.array, STACK[0])


def test_plain_values_in_a_tile_that_says_jpeg_xr_are_read_as_they_are(path):
    volume = read(write_czi(path, tiles_of(STACK[:1], compression=4)))
    np.testing.assert_array_equal(volume.array, STACK[0])
    bgr = RNG.integers(0, 255, (9, 11, 3)).astype(np.uint8)
    volume = read(write_czi(path, [WrittenTile(bgr, {"X": 0, "Y": 0, "C": 0}, compression=4)]))
    np.testing.assert_array_equal(volume.array, np.moveaxis(bgr[..., ::-1], -1, 0))


def test_a_scene_that_cannot_be_read_does_not_hide_the_others(path):
    colour = WrittenTile(np.zeros((9, 11, 3), np.uint8), {"X": 0, "Y": 0, "C": 0, "S": 0})
    grey = [WrittenTile(STACK[0, 0, 0], {"X": x, "Y": 0, "C": 0, "S": s}) for x, s in ((20, 0), (40, 1))]
    write_czi(path, [colour, *grey])
    with pytest.raises(InputError, match="Gray16 and Bgr24") as caught:
        read(path, series="0")
    assert caught.value.code == "E_INPUT_FORMAT"
    np.testing.assert_array_equal(read(path, series="1").array[0], STACK[0, 0, 0])


def test_grey_values_of_two_depths_take_the_type_that_holds_both(path):
    narrow = (STACK[0, 0, 0] % 256).astype(np.uint8)
    tiles = [WrittenTile(narrow, {"X": 0, "Y": 0, "C": 0}), WrittenTile(STACK[0, 1, 0], {"X": 0, "Y": 0, "C": 1})]
    volume = read(write_czi(path, tiles))
    assert volume.array.dtype == np.uint16
    np.testing.assert_array_equal(volume.array, np.stack([narrow, STACK[0, 1, 0]]))


@pytest.mark.parametrize("is_jpeg_xr", [False, True])
def test_colours_are_red_green_blue(path, is_jpeg_xr):
    rgb = RNG.integers(0, 255, (9, 11, 3)).astype(np.uint8)
    packed = {"compression": 4, "pack": lambda a: imagecodecs.jpegxr_encode(a[..., ::-1], level=1.0)}
    write_czi(path, [WrittenTile(rgb[..., ::-1].copy(), {"X": 0, "Y": 0, "C": 0}, **(packed if is_jpeg_xr else {}))])
    volume = read(path)
    assert volume.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(volume.array, np.moveaxis(rgb, -1, 0))


def test_another_library_sees_the_same_values(path):
    czifile = pytest.importorskip("czifile", reason="the witness for CZI is not installed")
    write_czi(path, tiles_of(STACK))
    with czifile.CziFile(str(path)) as file:
        theirs = file.asarray(max_workers=1)
        axes = file.axes
    order = [axes.index(a) for a in "TCZYX"]
    np.testing.assert_array_equal(np.transpose(theirs[..., 0], order)[1], read(path, frame=1).array)


def zoomed(tile):
    return WrittenTile(tile.values, tile.start | {"H": 1}, tile.compression, tile.pack)


def doubled(values):
    return imagecodecs.jpegxr_encode(np.tile(values, (2, 2)))


def grown(values):
    """Pack a picture whose own header, behind that of its container, tells of far more lines and columns."""
    packed = bytearray(imagecodecs.jpegxr_encode(values, level=1.0))
    at = packed.index(b"WMPHOTO") + 12
    packed[at : at + 4] = struct.pack(">HH", 65_535, 65_535)
    return bytes(packed)


SPOILED = {
    "no such slice": (lambda t: t[:-1], "E_INPUT_UNREADABLE", "no tile for time 0, channel 1, slice 2"),
    "phases": (lambda t: [*t, zoomed(t[0])], "E_DIMENSIONS_UNSUPPORTED", "several phases"),
    "jpeg": (lambda t: [WrittenTile(x.values, x.start, 1) for x in t], "E_INPUT_FORMAT", "packed by method 1"),
    "too short": (
        lambda t: [WrittenTile(x.values, x.start, 0, lambda a: a.tobytes()[:-2]) for x in t],
        "E_INPUT_UNREADABLE",
        "a tile of 196 bytes",
    ),
    "not zstd": (lambda t: [WrittenTile(x.values, x.start, 5) for x in t], "E_INPUT_UNREADABLE", "cannot be unpacked"),
    "a larger picture": (
        lambda t: [WrittenTile(x.values, x.start, 4, doubled) for x in t],
        "E_INPUT_UNREADABLE",
        "a picture of (18, 22) pixels",
    ),
    "grey and colour in one channel": (
        lambda t: [WrittenTile(np.zeros((9, 11, 3), np.uint8), t[0].start), *t[1:]],
        "E_INPUT_FORMAT",
        "the image well A1 with pixels of the kind Gray16 and Bgr24",
    ),
    "nothing": (lambda t: [], "E_INPUT_EMPTY", "without images"),
    "channels far apart": (
        lambda t: [*t, WrittenTile(t[0].values, t[0].start | {"C": 2_000_000_000})],
        "E_DIMENSIONS_UNSUPPORTED",
        "3 of 2000000001 channels",
    ),
    "a picture larger than its container says": (
        lambda t: [WrittenTile(x.values, x.start, 4, grown) for x in t], "E_INPUT_UNREADABLE", "cannot be unpacked"
    ),
    "far apart": (
        lambda t: [*t, WrittenTile(t[0].values, t[0].start | {"X": 2_000_000_000})], "E_TOO_LARGE", "in memory"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "code", "words"), SPOILED.values(), ids=SPOILED)
def test_what_cannot_be_read_right_is_refused(path, spoil, code, words):
    write_czi(path, spoil(tiles_of(STACK[:1])))
    with pytest.raises(MedsegError) as caught:
        read(path)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_a_packed_tile_never_takes_more_than_its_size(path):
    bomb = imagecodecs.zstd_encode(bytes(1 << 28))
    write_czi(path, [WrittenTile(STACK[0, 0, 0], {"X": 0, "Y": 0}, 5, lambda _: bomb)])
    with pytest.raises(MedsegError, match="unpacked"):
        read(path)


def test_a_tile_that_takes_far_more_than_its_size_is_not_loaded(path):
    write_czi(path, [WrittenTile(STACK[0, 0, 0], {"X": 0, "Y": 0}, 0, lambda _: bytes(1 << 18))])
    with pytest.raises(MedsegError, match="bytes for a tile"):
        read(path)


def test_a_description_with_entities_is_refused_unread(path):
    evil = '<!DOCTYPE a [<!ENTITY b "' + "c" * 50 + '">]>' + XML
    with pytest.raises(MedsegError) as caught:
        read(write_czi(path, tiles_of(STACK[:1]), xml=evil))
    assert caught.value.code == "E_UNSAFE_CONTENT"


def test_a_part_of_an_image_in_several_files_is_refused(path):
    with pytest.raises(MedsegError, match="part 2 of an image in several files"):
        read(write_czi(path, tiles_of(STACK[:1]), part=2))


def test_without_a_description_sizes_are_told_in_pixels(path):
    volume = read(write_czi(path, tiles_of(STACK[:1]), xml="<ImageDocument/>"))
    assert (volume.grid.unit, volume.channels) == ("px", ("0", "1"))
    assert [w.code for w in volume.warnings] == ["W_SPACING_UNTRUSTED"]


def test_a_cut_file_is_never_read(path):
    whole = write_czi(path, tiles_of(STACK[:1])).read_bytes()
    for length in np.linspace(1, len(whole) - 40, 40).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(MedsegError):
            read(path)


def test_flipped_bytes_end_in_a_value_or_a_refusal(path):
    whole = write_czi(path, tiles_of(STACK[:1, :, :1])).read_bytes()
    small = ReadOptions(max_bytes=1 << 22)
    codes = set()
    for at in np.random.default_rng(3).integers(0, len(whole), 300):
        spoiled = bytearray(whole)
        spoiled[at] ^= 0xFF
        path.write_bytes(spoiled)
        try:
            assert read_with(path, small).array.shape[0] >= 1
        except MedsegError as error:
            codes.add(error.code)
    assert "E_INPUT_UNREADABLE" in codes
