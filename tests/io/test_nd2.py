"""ND2, through the extra: positions, loops, colours; and what holds where a plane or the extra is missing."""

import struct
import sys

import numpy as np
import pytest
from nd2_phantom import write_nd2

from medseg.errors import InputError, MedsegError, SeriesAmbiguousError
from medseg.io.options import ReadOptions
from medseg.io.probe import probe
from medseg.io.read import read, read_with

pytest.importorskip("nd2", reason="the extra 'formats' is not installed")

RNG = np.random.default_rng(9)
PLANES = RNG.integers(0, 60_000, (12, 9, 11, 2)).astype(np.uint16)
LOOPS = {"T": 2, "P": 2, "Z": 3}
BY_LOOP = PLANES.reshape(2, 2, 3, 9, 11, 2)
NAMES = ("DAPI", "GFP")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cells.nd2"


def test_a_stack_comes_with_its_channels_and_micrometres(path):
    volume = read(write_nd2(path, PLANES[:3], {"Z": 3}, names=NAMES))
    assert volume.channels == NAMES
    assert volume.grid.unit == "um"
    np.testing.assert_allclose(volume.grid.spacing, (1.5, 0.25, 0.25))
    np.testing.assert_array_equal(volume.array, np.moveaxis(PLANES[:3], -1, 0))
    assert volume.warnings == ()


@pytest.mark.parametrize("order", ["TPZ", "PTZ"])
def test_positions_are_chosen_by_series_and_time_points_by_frame(path, order):
    write_nd2(path, PLANES, {axis: LOOPS[axis] for axis in order}, names=NAMES)
    with pytest.raises(SeriesAmbiguousError) as caught:
        probe(path)
    assert caught.value.choices[1] == ("1", "B2, 11 x 9 x 3, 2 channels, 2 time points")
    with pytest.raises(InputError, match="--frame 0 to --frame 1"):
        read(path, series="1")
    at = {"T": 1, "P": 0}
    wanted = BY_LOOP[tuple(at[axis] for axis in order[:2])]
    np.testing.assert_array_equal(read(path, series="0", frame=1).array, np.moveaxis(wanted, -1, 0))
    assert probe(path, options=ReadOptions(series="0", frame=1)).n_frames == 2


def test_a_single_picture_in_colour_is_red_green_blue(path):
    rgb = RNG.integers(0, 255, (1, 9, 11, 3)).astype(np.uint8)
    volume = read(write_nd2(path, rgb[..., ::-1].copy(), {}, names=("RGB",)))
    assert volume.channels == ("red", "green", "blue")
    assert volume.grid.shape == (9, 11)
    np.testing.assert_array_equal(volume.array, np.moveaxis(rgb[0], -1, 0))


def test_a_missing_plane_is_never_read_as_background(path):
    write_nd2(path, PLANES[:3], {"Z": 3}, names=NAMES, left_out=(1,))
    with pytest.raises(MedsegError, match="no plane number 2"):
        read(path)


def test_more_channels_than_any_image_has_are_refused_before_they_are_named(path):
    whole = write_nd2(path, PLANES[:3], {"Z": 3}, names=NAMES).read_bytes()
    name = "uiComp\0".encode("utf-16-le")
    path.write_bytes(whole.replace(name + struct.pack("<I", 2), name + struct.pack("<I", 5_000_000)))
    with pytest.raises(MedsegError, match="5000000 values per pixel"):
        probe(path)


def test_a_cut_file_is_never_read(path):
    whole = write_nd2(path, PLANES[:3], {"Z": 3}, names=NAMES).read_bytes()
    for length in np.linspace(1, len(whole) - 1, 30).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(MedsegError):
            read(path)


def test_flipped_bytes_end_in_a_value_or_a_refusal(path):
    whole = write_nd2(path, PLANES[:3], {"Z": 3}, names=NAMES).read_bytes()
    meaningful = np.flatnonzero(np.frombuffer(whole, np.uint8))
    codes = set()
    for at in np.random.default_rng(3).choice(meaningful, 300):
        spoiled = bytearray(whole)
        spoiled[at] ^= 0x15
        path.write_bytes(spoiled)
        try:
            assert read_with(path, ReadOptions(max_bytes=1 << 22, frame=None)).array.ndim >= 3
        except MedsegError as error:
            codes.add(error.code)
    assert "E_INPUT_UNREADABLE" in codes


def test_without_the_extra_the_command_that_installs_it_is_told(path, monkeypatch):
    write_nd2(path, PLANES[:3], {"Z": 3}, names=NAMES)
    monkeypatch.setitem(sys.modules, "nd2", None)
    with pytest.raises(InputError, match=r'pip install "medseg\[formats\]"') as caught:
        probe(path)
    assert caught.value.code == "E_INPUT_FORMAT"
