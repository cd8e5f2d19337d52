"""LIF: images by their place in the tree, stacks, colours, tile scans; and what a damaged file is told."""

import numpy as np
import pytest
from lif_phantom import WrittenImage, write_lif

from medseg.errors import InputError, MedsegError, SeriesAmbiguousError
from medseg.io.options import ReadOptions
from medseg.io.probe import probe
from medseg.io.read import read, read_with

RNG = np.random.default_rng(8)
STACK = RNG.integers(0, 60_000, (2, 2, 3, 9, 11)).astype(np.uint16)
"""Values by time, channel and slice."""
RGB = RNG.integers(0, 255, (9, 11, 3)).astype(np.uint8)
TILES = RNG.integers(0, 255, (3, 9, 11)).astype(np.uint8)
LENGTHS = {"x": 10 * 0.25e-6, "y": 8 * 0.3e-6, "z": 2 * 1.5e-6}


def image(values=STACK, axes="tczyx", **more):
    given = {"lengths": LENGTHS, "luts": ("Green", "Red")} | more
    return WrittenImage("stack", values, axes, **given)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cells.lif"


def test_a_stack_comes_with_its_channels_and_micrometres(path):
    volume = read(write_lif(path, [image(STACK[0], "czyx")]))
    assert volume.channels == ("Green", "Red")
    assert volume.grid.unit == "um"
    np.testing.assert_allclose(volume.grid.spacing, (1.5, 0.3, 0.25))
    np.testing.assert_array_equal(volume.array, STACK[0])


@pytest.mark.parametrize("axes", ["tczyx", "tzcyx", "tzyxc", "ztcyx"])
def test_values_are_found_in_whatever_order_they_are_stored(path, axes):
    stored = np.ascontiguousarray(np.transpose(STACK, ["tczyx".index(a) for a in axes]))
    volume = read(write_lif(path, [image(stored, axes)]), frame=1)
    np.testing.assert_array_equal(volume.array, STACK[1])


def test_images_are_chosen_by_series_and_time_points_by_frame(path):
    colour = WrittenImage("colour", RGB, "yxc", LENGTHS, ("Red", "Green", "Blue"), (1, 2, 3))
    tiles = WrittenImage("tiles", TILES, "myx", LENGTHS)
    write_lif(path, [image(), colour, tiles])
    with pytest.raises(SeriesAmbiguousError) as caught:
        probe(path)
    keys, about = zip(*caught.value.choices, strict=True)
    assert keys == ("0", "1", "2", "3", "4")
    assert about[0] == "stack, 11 x 9 x 3, 2 channels, 2 time points"
    assert about[4] == "plate/tiles, tile 2, 11 x 9, 1 channel"
    with pytest.raises(InputError, match="--frame 0 to --frame 1"):
        read(path, series="0")
    np.testing.assert_array_equal(read(path, series="0", frame=1).array, STACK[1])
    np.testing.assert_array_equal(read(path, series="4").array[0], TILES[2])
    volume = read(path, series="1")
    assert volume.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(volume.array, np.moveaxis(RGB, -1, 0))


def test_another_library_sees_the_same_values_sizes_and_lengths(path):
    liffile = pytest.importorskip("liffile", reason="the witness for LIF is not installed")
    write_lif(path, [image(), WrittenImage("tiles", TILES, "myx", LENGTHS)])
    with liffile.LifFile(path) as file:
        theirs = file.images[0]
        assert theirs.sizes == {"T": 2, "C": 2, "Z": 3, "Y": 9, "X": 11}
        np.testing.assert_array_equal(theirs.asarray()[1], read(path, series="0", frame=1).array)
        steps = [np.diff(theirs.coords[a])[0] * 1e6 for a in "ZYX"]
    np.testing.assert_allclose(steps, read(path, series="0", frame=0).grid.spacing)


def test_a_name_that_never_ends_is_not_repeated_for_each_image_below_it(path):
    write_lif(path, [WrittenImage("n" * 100_000, TILES, "myx", LENGTHS)])
    with pytest.raises(SeriesAmbiguousError) as caught:
        probe(path)
    assert len(caught.value.choices) == 3
    assert max(len(about) for _, about in caught.value.choices) < 300


def test_a_stack_that_was_recorded_downwards_has_the_same_spacing(path):
    lengths = {"x": 2.6611e-4, "y": 2.6611e-4, "z": -5.19346e-5}  # so stored by a microscope
    values = np.zeros((174, 4, 2048), np.uint8)
    volume = read(write_lif(path, [image(values, "zyx", lengths=lengths, luts=("Red",))]))
    np.testing.assert_allclose(volume.grid.spacing, (0.3002, 266.11 / 3, 0.13), rtol=1e-5)


def test_lengths_that_are_not_stored_make_pixels(path):
    volume = read(write_lif(path, [image(STACK[0], "czyx", lengths={})]))
    assert volume.grid.unit == "px"
    assert [w.code for w in volume.warnings] == ["W_SPACING_UNTRUSTED"]


def test_channels_of_one_name_are_numbered(path):
    assert read(write_lif(path, [image(STACK[0], "czyx", luts=("Green", "Green"))])).channels == ("0", "1")


def test_axes_that_an_image_does_not_have_are_refused_in_words(path):
    write_lif(path, [image(STACK[0], "clyx", luts=("Green", "Red"))])
    with pytest.raises(MedsegError, match="3 values along an axis of kind 5") as caught:
        read(path)
    assert caught.value.code == "E_DIMENSIONS_UNSUPPORTED"


def test_an_image_that_cannot_be_read_does_not_hide_the_others(path):
    write_lif(path, [image(STACK[0], "czyx"), WrittenImage("flat", TILES[0], "yx", LENGTHS)])
    spoiled = path.read_bytes().replace('Resolution="16"'.encode("utf-16-le"), 'Resolution="32"'.encode("utf-16-le"), 1)
    path.write_bytes(spoiled)
    with pytest.raises(MedsegError, match="different or unknown types"):
        read(path, series="0")
    np.testing.assert_array_equal(read(path, series="1").array[0], TILES[0])


def test_more_values_than_are_there_are_refused(path):
    write_lif(path, [image(STACK[0], "czyx")])
    text = path.read_bytes().replace(
        'NumberOfElements="3"'.encode("utf-16-le"), 'NumberOfElements="9"'.encode("utf-16-le")
    )
    path.write_bytes(text)
    with pytest.raises(MedsegError, match="as the description says"):
        read(path)


def test_a_description_with_entities_is_refused_unread(path):
    whole = write_lif(path, [image(STACK[0], "czyx")]).read_bytes()
    evil = whole.replace("LUTName=".encode("utf-16-le"), "<!ENTITY".encode("utf-16-le"))
    path.write_bytes(evil)
    with pytest.raises(MedsegError) as caught:
        read(path)
    assert caught.value.code == "E_UNSAFE_CONTENT"


def test_a_cut_file_is_never_read(path):
    whole = write_lif(path, [image(STACK[0], "czyx")]).read_bytes()
    for length in np.linspace(1, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(MedsegError):
            read(path)


def test_flipped_bytes_end_in_a_value_or_a_refusal(path):
    whole = write_lif(path, [image(STACK[0], "czyx")]).read_bytes()
    codes = set()
    for at in np.random.default_rng(3).integers(0, len(whole) - STACK[0].nbytes, 300):
        spoiled = bytearray(whole)
        spoiled[at] ^= 0x15
        path.write_bytes(spoiled)
        try:
            assert read_with(path, ReadOptions(max_bytes=1 << 22)).array.ndim >= 3
        except MedsegError as error:
            codes.add(error.code)
    assert "E_INPUT_UNREADABLE" in codes
