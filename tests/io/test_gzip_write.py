"""Packing in pieces: one gzip member that every reader reads, whatever the number of cores."""

import gzip
import struct
import zlib

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medseg.grid import Grid
from medseg.io import gzip_write
from medseg.io.gzip_write import gzip_parts
from medseg.io.nifti_write import write_nifti
from medseg.labels import LabelMap
from medseg.volume import Volume

RNG = np.random.default_rng(11)
LENGTHS = ([], [0], [1], [3, 1, 70_000], [1 << 20, 5, 1 << 18])


def pieces_of(lengths):
    return [RNG.integers(0, 4, n).astype(np.uint8) for n in lengths]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_pieces_come_back_as_one_member_with_its_checksum_and_length(lengths, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    pieces = pieces_of(lengths)
    plain = b"".join(piece.tobytes() for piece in pieces)
    packed = b"".join(gzip_parts(pieces))
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(packed) == plain
    assert reader.eof
    assert reader.unused_data == b""  # a second member would stand here
    assert struct.unpack("<II", packed[-8:]) == (zlib.crc32(plain), len(plain))


def test_the_number_of_cores_changes_no_byte(monkeypatch):
    pieces = pieces_of([50_000] * 9)
    found = set()
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.add(b"".join(gzip_parts(pieces)))
    assert len(found) == 1


def test_few_pieces_are_held_at_a_time(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    drawn = []
    parts = gzip_parts(drawn.append(n) or np.zeros(10, np.uint8) for n in range(100))
    for n in range(1, 40):
        next(parts)
        assert len(drawn) <= n + 3


def test_without_a_wish_all_cores_of_this_process_are_used(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert gzip_write._n_threads() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert gzip_write._n_threads() == 4


@pytest.mark.parametrize("threads", ["1", "2"])
def test_every_reader_of_nifti_reads_a_file_of_many_pieces(tmp_path, oblique_grid, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    grid = Grid((120, 110, 90), oblique_grid.world_from_index)
    array = RNG.integers(0, 3000, grid.shape).astype(np.int16)  # more than two pieces
    path = tmp_path / "scan.nii.gz"
    write_nifti(Volume(array[np.newaxis], grid), path)
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), array)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(path)).T, array)
    assert len(gzip.decompress(path.read_bytes())) == 352 + array.nbytes


@pytest.mark.parametrize("shape", [(40, 30, 70), (41, 3, 1), (1, 200, 33), (5, 7, 65)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_equal_labels_give_equal_bytes_whatever_their_order_in_memory(tmp_path, oblique_grid, shape, dtype):
    grid = Grid(shape, oblique_grid.world_from_index)
    array = RNG.integers(0, 200 if dtype is np.uint8 else 900, shape).astype(dtype)
    every_other = np.zeros((*shape[:2], 2 * shape[2]), dtype)[..., ::2]
    every_other[:] = array
    orders = [array, np.asfortranarray(array), every_other, np.ascontiguousarray(array[::-1])[::-1]]
    found = set()
    for n, one in enumerate(orders):
        np.testing.assert_array_equal(one, array)
        write_nifti(LabelMap(one, grid), tmp_path / f"{n}.nii.gz")
        found.add((tmp_path / f"{n}.nii.gz").read_bytes())
    assert len(found) == 1
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "0.nii.gz").dataobj), array)
