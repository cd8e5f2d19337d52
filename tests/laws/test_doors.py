"""Laws that hold at every door: what is written is read back on its own grid, and a damaged file is refused."""

import hashlib
import os

import numpy as np
import pytest

from medseg.errors import MedsegError
from medseg.grid import Grid, image_grid
from medseg.io.probe import probe
from medseg.io.read import read, read_labels
from medseg.io.write import write
from medseg.labels import LabelMap
from medseg.volume import Volume

PATIENT_DOORS = (".nii", ".nii.gz", ".nrrd", ".mha")
IMAGE_DOORS = (".tif",)


def grids(oblique: Grid) -> list[tuple[str, Grid]]:
    flat, stack = image_grid((13, 10), (0.25, 0.5), "um"), image_grid((5, 13, 10), (1.5, 0.25, 0.25), "um")
    return [*((s, oblique) for s in PATIENT_DOORS), *((s, g) for s in IMAGE_DOORS for g in (flat, stack))]


def phantom(grid: Grid, dtype) -> np.ndarray:
    return (np.arange(grid.n_voxels).reshape(grid.shape) % 251).astype(dtype)


def test_what_is_written_comes_back_on_its_own_grid(tmp_path, oblique_grid):
    for suffix, grid in grids(oblique_grid):
        for dtype in (np.uint8, np.int16, np.float32):
            path = tmp_path / f"image{suffix}"
            volume = Volume(phantom(grid, dtype)[np.newaxis], grid)
            write(volume, path)
            back = read(path)
            np.testing.assert_array_equal(back.array, volume.array, err_msg=f"{suffix} {dtype}")
            assert back.array.dtype == dtype
            assert back.grid.same_as(grid, tolerance=1e-5), f"{suffix}: {back.grid} is not {grid}"


def test_labels_come_back_exactly_and_in_the_smallest_type(tmp_path, oblique_grid):
    for suffix, grid in grids(oblique_grid):
        labels = LabelMap(phantom(grid, np.int64), grid)
        write(labels, tmp_path / f"labels{suffix}")
        back = read_labels(tmp_path / f"labels{suffix}")
        np.testing.assert_array_equal(back.array, labels.array, err_msg=suffix)
        assert back.array.dtype == np.uint8, suffix
        assert back.grid.same_as(grid, tolerance=1e-5), suffix


def test_the_same_scan_has_one_geometry_through_every_patient_door(tmp_path, oblique_grid):
    turned = oblique_grid.mapped(oblique_grid.axes_to("PIR"))
    volume = Volume(phantom(turned, np.int16)[np.newaxis], turned)
    landmark = turned.world((2, 3, 4))
    for suffix in PATIENT_DOORS:
        write(volume, tmp_path / f"scan{suffix}")
        back = read(tmp_path / f"scan{suffix}")
        index = tuple(np.rint(back.grid.index(landmark)).astype(int))
        assert back.array[0][index] == volume.array[0][2, 3, 4], suffix


def test_a_probe_predicts_what_a_read_gives(tmp_path, oblique_grid):
    for suffix, grid in grids(oblique_grid):
        path = tmp_path / f"image{suffix}"
        write(Volume(phantom(grid, np.int16)[np.newaxis], grid), path)
        found, volume = probe(path), read(path)
        assert found.grid.same_as(volume.grid), suffix
        assert np.dtype(found.dtype) == volume.array.dtype, suffix
        assert found.n_bytes >= volume.array.nbytes, suffix
        assert found.channels == volume.channels, suffix


def test_every_receipt_and_source_names_the_bytes_on_the_disk(tmp_path, oblique_grid):
    for suffix, grid in grids(oblique_grid):
        path = tmp_path / f"image{suffix}"
        receipt = write(Volume(phantom(grid, np.uint8)[np.newaxis], grid), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert receipt.sha256 == digest, suffix
        assert read(path).source.sha256 == digest, suffix
        assert receipt.n_bytes == path.stat().st_size


def test_no_door_leaves_anything_but_the_final_file(tmp_path, oblique_grid):
    names = []
    for number, (suffix, grid) in enumerate(grids(oblique_grid)):
        names.append(f"{number}{suffix}")
        write(Volume(phantom(grid, np.uint8)[np.newaxis], grid), tmp_path / names[-1])
        write(LabelMap(phantom(grid, np.uint8), grid), tmp_path / names[-1])  # replaces it
    assert sorted(os.listdir(tmp_path)) == sorted(names)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.97])
def test_a_file_cut_anywhere_is_refused_at_every_door(tmp_path, oblique_grid, share):
    rng = np.random.default_rng(5)
    for suffix, grid in grids(oblique_grid):
        path = tmp_path / f"image{suffix}"
        write(Volume(rng.integers(0, 999, (1, *grid.shape)).astype(np.int16), grid), path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(MedsegError) as caught:
            read(path)
        assert caught.value.code in ("E_INPUT_EMPTY", "E_INPUT_UNREADABLE", "E_INPUT_FORMAT"), suffix
        assert all((caught.value.found, caught.value.expected, caught.value.not_done, caught.value.remedy))
