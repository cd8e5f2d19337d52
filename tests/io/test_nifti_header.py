"""A valid header, spoiled in one field at a time: each has its code and its sentence."""

import struct

import numpy as np
import pytest

from medseg.errors import GeometryError, MedsegError
from medseg.io.nifti import read_nifti
from medseg.io.nifti_header import looks_like_nifti
from medseg.io.nifti_write import write_nifti
from medseg.io.options import ReadOptions
from medseg.volume import Volume

CASES = [
    ("<i", 0, (349,), "E_INPUT_UNREADABLE", "gives its own size as 349"),
    ("<h", 40, (0,), "E_INPUT_UNREADABLE", "0 axes"),
    ("<h", 40, (9,), "E_INPUT_UNREADABLE", "9 axes"),
    ("<h", 42, (-11,), "E_INPUT_UNREADABLE", "-11x9x7"),
    ("<h", 44, (0,), "E_INPUT_UNREADABLE", "11x0x7"),
    ("<h", 46, (8,), "E_INPUT_UNREADABLE", "as its header says"),
    ("<h", 70, (5,), "E_INPUT_UNREADABLE", "unknown data type 5"),
    ("<h", 70, (8,), "E_INPUT_UNREADABLE", "16 bits per voxel"),
    ("<h", 72, (8,), "E_INPUT_UNREADABLE", "8 bits per voxel"),
    ("<h", 70, (128,), "E_DIMENSIONS_UNSUPPORTED", "RGB"),
    ("<h", 70, (32,), "E_DIMENSIONS_UNSUPPORTED", "complex"),
    ("<f", 80, (0.0,), "E_GEOMETRY_INVALID", "spacing of 0 x 1.5 x 3"),
    ("<f", 84, (-1.5,), "E_GEOMETRY_INVALID", "-1.5"),
    ("<f", 88, (np.nan,), "E_GEOMETRY_INVALID", "nan"),
    ("<f", 88, (5000.0,), "E_GEOMETRY_INVALID", "5000"),
    ("<f", 108, (np.nan,), "E_INPUT_UNREADABLE", "byte nan"),
    ("<f", 108, (-352.0,), "E_INPUT_UNREADABLE", "byte -352"),
    ("<f", 108, (100.0,), "E_INPUT_UNREADABLE", "byte 100"),
    ("<f", 108, (352.5,), "E_INPUT_UNREADABLE", "byte 352.5"),
    ("<f", 108, (3e9,), "E_INPUT_UNREADABLE", "byte 3e"),
    ("<f", 112, (np.inf,), "E_INPUT_UNREADABLE", "inf"),
    ("<2f", 112, (2.0, np.nan), "E_INPUT_UNREADABLE", "nan"),
    ("<h", 252, (77,), "E_GEOMETRY_INVALID", "qform code 77"),
    ("<h", 254, (-1,), "E_GEOMETRY_INVALID", "sform code -1"),
    ("<2h", 252, (0, 0), "E_GEOMETRY_AMBIGUOUS", "neither qform nor sform"),
    ("<f", 256, (np.nan,), "E_GEOMETRY_INVALID", "rotation"),
    ("<f", 260, (1.5,), "E_GEOMETRY_INVALID", "rotation"),
    ("<f", 76, (0.5,), "E_GEOMETRY_INVALID", "handedness"),
    ("<f", 76, (1.0,), "E_GEOMETRY_AMBIGUOUS", "two positions"),
    ("<f", 268, (45.0,), "E_GEOMETRY_AMBIGUOUS", "mm apart"),
    ("<f", 280, (np.nan,), "E_GEOMETRY_INVALID", "not numbers"),
    ("<f", 284, (9.0,), "E_GEOMETRY_INVALID", "right angles"),
    ("<12f", 280, (0.0,) * 12, "E_GEOMETRY_INVALID", "spacing of"),
    ("4s", 344, (b"n+3\0",), "E_INPUT_FORMAT", "magic word"),
    ("<B", 348, (1,), None, ""),
]


@pytest.fixture
def scan(tmp_path, oblique_grid):
    values = np.arange(oblique_grid.n_voxels, dtype=np.int16).reshape(1, *oblique_grid.shape)
    write_nifti(Volume(values, oblique_grid), tmp_path / "scan.nii")
    return tmp_path / "scan.nii"


@pytest.mark.parametrize(("layout", "at", "numbers", "code", "words"), CASES)
def test_each_spoiled_field_is_refused_with_its_code(scan, layout, at, numbers, code, words):
    data = bytearray(scan.read_bytes())
    struct.pack_into(layout, data, at, *numbers)
    scan.write_bytes(data)
    if code is None:
        assert read_nifti(scan, ReadOptions()).array.shape == (1, 11, 9, 7)
        return
    with pytest.raises(MedsegError) as caught:
        read_nifti(scan, ReadOptions())
    assert caught.value.code == code
    assert words in str(caught.value)
    assert all((caught.value.found, caught.value.expected, caught.value.not_done, caught.value.remedy))


@pytest.mark.parametrize("size", [0, 8, -16, 2**31 - 16, 48])
def test_an_extension_of_impossible_size_is_refused(scan, size):
    data = bytearray(scan.read_bytes())
    struct.pack_into("<f", data, 108, 384.0)
    data[348] = 1
    scan.write_bytes(data[:352] + struct.pack("<2i", size, 6) + bytes(24) + data[352:])
    with pytest.raises(MedsegError, match=f"extension of {size} bytes") as caught:
        read_nifti(scan, ReadOptions())
    assert caught.value.code == "E_INPUT_UNREADABLE"


def test_a_sound_extension_is_passed_over(scan):
    wanted = read_nifti(scan, ReadOptions()).array
    data = bytearray(scan.read_bytes())
    struct.pack_into("<f", data, 108, 384.0)
    data[348] = 1
    scan.write_bytes(data[:352] + struct.pack("<2i", 32, 6) + b"DOE^JANE" * 3 + data[352:])
    np.testing.assert_array_equal(read_nifti(scan, ReadOptions()).array, wanted)


def test_a_file_that_ends_inside_its_header_is_refused(scan):
    scan.write_bytes(scan.read_bytes()[:200])
    with pytest.raises(MedsegError, match="found 200 bytes, expected a NIfTI header") as caught:
        read_nifti(scan, ReadOptions())
    assert caught.value.code == "E_INPUT_UNREADABLE"


def test_a_damaged_form_does_not_matter_once_the_other_is_chosen(scan, oblique_grid):
    data = bytearray(scan.read_bytes())
    struct.pack_into("<f", data, 280, np.nan)
    scan.write_bytes(data)
    assert read_nifti(scan, ReadOptions(form="qform")).grid.same_as(oblique_grid, tolerance=1e-4)
    with pytest.raises(GeometryError):
        read_nifti(scan, ReadOptions(form="sform"))


def test_other_files_do_not_look_like_nifti(scan):
    assert looks_like_nifti(scan.read_bytes()[:400])
    for head in (b"", b"DICM", b"\x89PNG\r\n\x1a\n" + bytes(400), b"<!DOCTYPE html>" * 30):
        assert not looks_like_nifti(head)
