"""The manifest is valid, every command exists, and files go through the doors that it names."""

import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManifest

import napari_plugin
from medseg.errors import MedsegError
from medseg.grid import Grid
from medseg.io.read import read_labels
from medseg.io.write import write
from medseg.labels import LabelMap
from medseg.volume import Volume
from napari_plugin._reader import open_layers, reader
from napari_plugin._samples import hippocampus_mean, phantom
from napari_plugin._writer import write_labels

MANIFEST = Path(napari_plugin.__file__).with_name("napari.yaml")


def test_the_manifest_is_valid_and_every_command_can_be_imported():
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "medseg"
    assert all(command.id.startswith("medseg.") for command in manifest.contributions.commands)


def test_napari_finds_the_plugin_under_the_name_of_the_distribution():
    (found,) = [e for e in entry_points(group="napari.manifest") if e.name == "medseg"]
    assert found.value == "napari_plugin:napari.yaml"


def test_the_wheel_brings_the_manifest(tmp_path, monkeypatch):
    build = pytest.importorskip("hatchling.build")
    monkeypatch.chdir(MANIFEST.parents[1])
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as wheel:
        assert wheel.read("napari_plugin/napari.yaml") == MANIFEST.read_bytes()
        entries = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        assert b"[napari.manifest]\nmedseg = napari_plugin:napari.yaml" in wheel.read(entries)


@pytest.fixture
def scan(tmp_path, oblique_grid):
    write(
        Volume(np.arange(693.0, dtype=np.float32).reshape(1, *oblique_grid.shape), oblique_grid),
        tmp_path / "scan.nii.gz",
    )
    labels = np.zeros(oblique_grid.shape, np.uint8)
    labels[2:5, 3:6, 1:4] = 2
    write(LabelMap(labels, oblique_grid), tmp_path / "scan_labels.nii.gz")
    return tmp_path


def test_images_open_as_images_and_labels_as_labels(scan):
    layers = reader(str(scan / "scan.nii.gz"))([str(scan / "scan.nii.gz"), str(scan / "scan_labels.nii.gz")])
    assert [(kind, attributes["name"]) for _, attributes, kind in layers] == [
        ("image", "scan"),
        ("labels", "scan_labels"),
    ]


def test_labels_that_were_read_are_written_on_the_same_grid(scan):
    ((data, attributes, _),) = open_layers(str(scan / "scan_labels.nii.gz"))
    assert write_labels(str(scan / "again.nii.gz"), data, attributes) == [str(scan / "again.nii.gz")]
    first, again = read_labels(scan / "scan_labels.nii.gz"), read_labels(scan / "again.nii.gz")
    assert again.grid.same_as(first.grid)
    np.testing.assert_array_equal(again.array, first.array)


def test_a_damaged_file_is_refused_in_words(scan):
    (scan / "cut.nii.gz").write_bytes((scan / "scan.nii.gz").read_bytes()[:200])
    with pytest.raises(MedsegError) as refusal:
        open_layers(str(scan / "cut.nii.gz"))
    assert refusal.value.code == "E_INPUT_UNREADABLE"


def test_a_folder_that_is_no_scan_is_left_to_other_readers(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    assert reader(str(tmp_path)) is None


def test_samples_need_no_network_and_know_their_units():
    for layers in (phantom(), hippocampus_mean()):
        assert layers
        assert all(attributes["units"] == ("mm",) * 3 for _, attributes, _ in layers)
    grid = phantom()[0][1]["metadata"]["medseg"]["grid"]
    assert isinstance(grid, Grid)
