"""TIFF: damaged and dangerous files are refused, and no page is lost in silence."""

import io
import json
import struct

import numpy as np
import pytest
import tifffile
from tiff_phantom import FLAT, PLAIN, STACK, described, refusal_of

from medseg.errors import MedsegError
from medseg.io.options import ReadOptions
from medseg.io.tiff import probe_tiff, read_tiff


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
