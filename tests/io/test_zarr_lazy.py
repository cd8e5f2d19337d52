"""OME-Zarr of any size opens without its voxels; what is asked for is what the eager reader reads."""

import json

import numpy as np
import pytest
import zarr

from medseg.errors import MedsegError
from medseg.grid import image_grid
from medseg.io.options import ReadOptions
from medseg.io.zarr import write_maps
from medseg.io.zarr_lazy import open_zarr
from medseg.volume import Volume


@pytest.fixture
def maps(tmp_path):
    rng = np.random.default_rng(0)
    volume = Volume(rng.random((2, 70, 130, 40), dtype=np.float32), image_grid((70, 130, 40), (2.0, 0.5, 0.5), "um"))
    write_maps(volume, tmp_path / "a_maps.ome.zarr")
    return tmp_path / "a_maps.ome.zarr", volume


def pyramid(folder, levels, axes="zyx"):
    """Write a plain OME-Zarr of several levels."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    for number, array in enumerate(levels):
        stored = zarr.create_array(
            folder / str(number), shape=array.shape, dtype=array.dtype, chunks=(1, 16, 16), zarr_format=2
        )
        stored[...] = array
    steps = [
        {"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": [1.0, 0.5 * 2**n, 0.5 * 2**n]}]}
        for n in range(len(levels))
    ]
    named = [{"name": a, "type": "space", "unit": "micrometer"} for a in axes]
    (folder / ".zattrs").write_text(json.dumps({"multiscales": [{"version": "0.4", "axes": named, "datasets": steps}]}))


def test_every_voxel_is_the_one_that_was_written(maps):
    path, volume = maps
    image = open_zarr(path)
    assert image.found.grid.same_as(volume.grid)
    for channel in range(2):
        np.testing.assert_array_equal(image.levels[0][image.index(channel)], volume.array[channel])


def test_opening_reads_no_chunk(maps):
    path, _ = maps
    for chunk in (path / "0").rglob("*"):
        if chunk.is_file() and not chunk.name.startswith("."):
            chunk.write_bytes(b"no chunk at all")
    assert open_zarr(path).levels[0].shape == (2, 70, 130, 40)


def test_levels_and_labels_are_found(tmp_path):
    base = np.arange(4 * 32 * 32, dtype=np.uint16).reshape(4, 32, 32)
    pyramid(tmp_path / "a.zarr", [base, base[:, ::2, ::2]])
    pyramid(tmp_path / "a.zarr" / "labels" / "cells", [(base > 9).astype(np.uint8)])
    (tmp_path / "a.zarr" / "labels" / ".zattrs").write_text(json.dumps({"labels": ["cells"]}))
    image = open_zarr(tmp_path / "a.zarr")
    assert [level.shape for level in image.levels] == [(4, 32, 32), (4, 16, 16)]
    ((name, labels),) = image.labels
    assert (name, labels.found.dtype) == ("cells", "uint8")


def test_an_image_larger_than_the_limit_opens_but_not_one_with_giant_chunks(maps):
    path, _ = maps
    assert open_zarr(path, ReadOptions(max_bytes=64 * 128 * 40 * 4)).levels
    with pytest.raises(MedsegError) as refusal:
        open_zarr(path, ReadOptions(max_bytes=1000))
    assert refusal.value.code == "E_TOO_LARGE"


def test_labels_outside_of_the_folder_are_refused(tmp_path):
    pyramid(tmp_path / "a.zarr", [np.ones((1, 16, 16), np.uint8)] * 2)
    (tmp_path / "a.zarr" / "labels").mkdir()
    (tmp_path / "a.zarr" / "labels" / ".zattrs").write_text(json.dumps({"labels": ["../../other"]}))
    with pytest.raises(MedsegError) as refusal:
        open_zarr(tmp_path / "a.zarr")
    assert refusal.value.code == "E_PATH_UNSAFE"
