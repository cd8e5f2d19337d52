"""OME-Zarr labels: numbers, place and names come back; a folder is there whole or not at all."""

import json
import os

import numpy as np
import pytest

from medseg.errors import MedsegError
from medseg.grid import image_grid
from medseg.io.hashing import digest
from medseg.io.read import read_labels
from medseg.io.write import write
from medseg.labels import Instances, LabelMap


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_labels_of_an_oblique_scan_come_back_with_type_and_place(oblique_grid, tmp_path, dtype):
    array = np.random.default_rng(0).integers(0, 200, oblique_grid.shape).astype(dtype)
    array[0, 0, 0] = np.iinfo(dtype).max
    receipt = write(LabelMap(array, oblique_grid, {1: "tumour"}), tmp_path / "a_labels.ome.zarr")
    back = read_labels(tmp_path / "a_labels.ome.zarr")
    assert back.array.dtype == dtype
    assert np.array_equal(back.array, array)
    assert back.grid.same_as(oblique_grid, tolerance=1e-9)
    assert back.classes == {1: "tumour"}
    assert (receipt.sha256, receipt.n_bytes) == (digest(tmp_path / "a_labels.ome.zarr").sha256, receipt.n_bytes)


def test_objects_of_a_stack_in_micrometres_keep_ids_beyond_sixteen_bits(tmp_path):
    array = np.zeros((3, 8, 9), np.uint32)
    array[1, 2:4, 3:7] = 70_001
    write(Instances(array, image_grid((3, 8, 9), (2.0, 0.5, 0.25), "um")), tmp_path / "b.ome.zarr")
    back = read_labels(tmp_path / "b.ome.zarr")
    assert np.array_equal(back.array, array)
    assert back.grid.spacing == (2.0, 0.5, 0.25)
    assert back.grid.unit == "um"


def test_classes_stand_where_other_programs_look_for_them(tmp_path):
    labels = LabelMap(np.ones((4, 5), np.uint8), image_grid((4, 5), (1.0, 1.0), "um"), {1: "cell", 2: "debris"})
    write(labels, tmp_path / "c.ome.zarr")
    told = json.loads((tmp_path / "c.ome.zarr" / ".zattrs").read_text())["image-label"]["properties"]
    assert told == [{"label-value": 1, "class": "cell"}, {"label-value": 2, "class": "debris"}]


def test_names_that_are_given_go_before_those_of_the_folder(tmp_path):
    labels = LabelMap(np.ones((4, 5), np.uint8), image_grid((4, 5), (1.0, 1.0), "um"), {1: "cell"})
    write(labels, tmp_path / "c.ome.zarr")
    assert read_labels(tmp_path / "c.ome.zarr").classes == {1: "cell"}
    assert read_labels(tmp_path / "c.ome.zarr", classes={1: "nucleus"}).classes == {1: "nucleus"}


@pytest.mark.parametrize(
    "properties",
    [None, 7, {"label-value": 1}, ["cell"], [{"label-value": True, "class": "x"}, {"label-value": 0, "class": "x"}],
     [{"label-value": "1", "class": "x"}, {"label-value": 1, "class": ["x"]}, {"label-value": -1, "class": "x"}]],
)  # fmt: skip
def test_odd_names_tell_nothing(tmp_path, properties):
    labels = LabelMap(np.ones((4, 5), np.uint8), image_grid((4, 5), (1.0, 1.0), "um"))
    write(labels, tmp_path / "c.ome.zarr")
    about = tmp_path / "c.ome.zarr" / ".zattrs"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"image-label": {"properties": properties}}))
    back = read_labels(tmp_path / "c.ome.zarr")
    assert back.classes == {}
    assert np.array_equal(back.array, labels.array)


def test_a_folder_that_may_not_be_written_leaves_the_older_one_whole(tmp_path, monkeypatch):
    labels = LabelMap(np.ones((4, 5), np.uint8), image_grid((4, 5), (1.0, 1.0), "um"))
    write(labels, tmp_path / "d.ome.zarr")

    def refuse(*_):
        raise PermissionError(13, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(MedsegError, match="E_PERMISSION"):
        write(LabelMap(labels.array * 2, labels.grid), tmp_path / "d.ome.zarr")
    monkeypatch.undo()
    assert read_labels(tmp_path / "d.ome.zarr").array.max() == 1
    assert [p.name for p in tmp_path.iterdir()] == ["d.ome.zarr"]
