"""Files dropped into a real window: images, labels, several series, lazy stacks, refusals; and labels saved again."""

import json

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset

pytest.importorskip("napari")
from medseg import Instances, LabelMap, Segment, Volume, read_labels, write
from medseg.errors import MedsegError, SeriesAmbiguousError
from medseg.grid import image_grid
from medseg.io.zarr import write_maps
from napari_plugin._layers import instances_of, label_map_of, volume_from_layer

pytestmark = [pytest.mark.gl, pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")]


@pytest.fixture
def told(monkeypatch):
    """Collect what would be shown as a notification."""
    seen = []
    monkeypatch.setattr("napari_plugin._telling.show_error", seen.append)
    monkeypatch.setattr("napari_plugin._telling.show_warning", seen.append)
    return seen


def write_series(folder, series, value, modality="CT", n=5):
    """Write a small axial series, slices from head to feet so that the order must be found from the positions."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"1.2.3.{series}.{k + 1}"
        slice_ = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        slice_.SOPClassUID, slice_.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID = "1.2.3", f"1.2.3.{series}"
        slice_.FrameOfReferenceUID, slice_.Modality, slice_.InstanceNumber = "1.2.9", modality, k + 1
        slice_.ImageOrientationPatient, slice_.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.9, 0.7]
        slice_.ImagePositionPatient, slice_.SliceThickness = [-10.0, -20.0, 30.0 - 2.5 * k], 2.5
        slice_.Rows, slice_.Columns, slice_.SamplesPerPixel = 12, 10, 1
        slice_.PhotometricInterpretation, slice_.BitsAllocated, slice_.BitsStored = "MONOCHROME2", 16, 16
        slice_.HighBit, slice_.PixelRepresentation, slice_.RescaleSlope, slice_.RescaleIntercept = 15, 1, 1, 0
        pixels = np.full((12, 10), value, np.int16)
        pixels[k, 0] = 99
        slice_.PixelData = pixels.tobytes()
        slice_.save_as(folder / f"{series}_{k}.dcm", enforce_file_format=True)
    return folder


def test_a_dropped_dicom_folder_opens_in_place_with_the_window_of_its_modality(
    make_napari_viewer_proxy, tmp_path, told
):
    viewer = make_napari_viewer_proxy()
    (layer,) = viewer.open(str(write_series(tmp_path / "scan", 1, 40)), plugin="medseg")
    assert layer.contrast_limits == [-160.0, 240.0]
    assert [str(u) for u in layer.units] == ["millimeter"] * 3
    volume = volume_from_layer(layer)
    # DICOM's first column and row lie at L -10, P -20: R 10, A 20 here; slices come from head to feet
    np.testing.assert_allclose(layer.data_to_world(np.argwhere(layer.data == 99)[-1]), (-30.0, -20.0, -10.0))
    assert volume.grid.spacing == pytest.approx((0.7, 0.9, 2.5))
    assert told == []


def test_of_several_series_the_user_chooses(make_napari_viewer_proxy, qtbot, tmp_path, told):
    from qtpy.QtCore import Qt

    from napari_plugin._series import SeriesChoice

    write_series(tmp_path / "study", 1, 10)
    write_series(tmp_path / "study", 2, 20, modality="MR", n=4)
    viewer = make_napari_viewer_proxy()
    assert viewer.open(str(tmp_path / "study"), plugin="medseg") == []
    assert len(viewer.layers) == 0
    assert told == []
    (dock,) = [d for name, d in viewer.window.dock_widgets.items() if "series" in name]
    choice = dock if isinstance(dock, SeriesChoice) else dock.findChild(SeriesChoice)
    assert choice.list.count() == 2
    assert not choice.button.isEnabled()
    assert "Choose" in choice.button.toolTip()
    choice.list.item(next(i for i in range(2) if "MR" in choice.list.item(i).text())).setSelected(True)
    with qtbot.waitSignal(choice.bar.ended):
        qtbot.mouseClick(choice.button, Qt.MouseButton.LeftButton)
    (layer,) = viewer.layers
    assert layer.data.shape == (4, 12, 10)
    assert "MR" in layer.name
    choice.list.selectAll()
    with qtbot.waitSignals([choice.bar.ended, choice.bar.ended]):
        qtbot.mouseClick(choice.button, Qt.MouseButton.LeftButton)
    assert len(viewer.layers) == 3


def test_a_list_of_series_that_is_closed_while_one_is_read_opens_none(
    make_napari_viewer_proxy, qtbot, tmp_path, monkeypatch
):
    import threading

    from napari_plugin import _series

    reached, opened = threading.Event(), threading.Event()
    plain = _series.read_with

    def slow(*given):
        reached.set()
        assert opened.wait(60)
        return plain(*given)

    monkeypatch.setattr(_series, "read_with", slow)
    write_series(tmp_path / "study", 1, 10)
    write_series(tmp_path / "study", 2, 20, modality="MR", n=4)
    viewer = make_napari_viewer_proxy()
    viewer.open(str(tmp_path / "study"), plugin="medseg")
    choice = choice_of(viewer, "series")
    choice.list.selectAll()
    choice.button.click()
    qtbot.waitUntil(reached.is_set)
    with qtbot.waitSignal(choice.bar.ended):
        viewer.window.remove_dock_widget(choice)
    opened.set()
    qtbot.waitUntil(lambda: choice.bar.resting)
    assert len(viewer.layers) == 0


def choice_of(viewer, word):
    from napari_plugin._series import SeriesChoice

    (dock,) = [d for name, d in viewer.window.dock_widgets.items() if word in name]
    return dock if isinstance(dock, SeriesChoice) else dock.findChild(SeriesChoice)


def test_of_images_and_time_points_in_one_file_the_user_chooses(make_napari_viewer_proxy, qtbot, tmp_path, told):
    from lif_phantom import WrittenImage, write_lif

    lengths = {"x": 10 * 0.25e-6, "y": 8 * 0.3e-6}
    times = np.random.default_rng(0).integers(0, 60_000, (3, 9, 11)).astype(np.uint16)
    images = [WrittenImage("flat", times[0], "yx", lengths), WrittenImage("film", times, "tyx", lengths)]
    viewer = make_napari_viewer_proxy()
    assert viewer.open(str(write_lif(tmp_path / "cells.lif", images)), plugin="medseg") == []
    series = choice_of(viewer, "series")
    series.list.item(1).setSelected(True)
    with qtbot.waitSignal(series.bar.ended):
        series.button.click()
    assert len(viewer.layers) == 0  # the film has three time points, which is the next question
    frames = choice_of(viewer, "time point")
    assert frames.list.count() == 3
    frames.list.item(2).setSelected(True)
    with qtbot.waitSignal(frames.bar.ended):
        frames.button.click()
    (layer,) = viewer.layers
    assert layer.name == "cells.lif time point 2"
    np.testing.assert_array_equal(layer.data, times[2])
    np.testing.assert_allclose(volume_from_layer(layer).grid.spacing, (0.3, 0.25))
    assert told == []


def test_time_points_that_no_list_can_hold_are_told_instead(make_napari_viewer_proxy, tmp_path, told):
    from czi_phantom import WrittenTile, write_czi

    tile = np.ones((9, 11), np.uint16)
    tiles = [WrittenTile(tile, {"X": 0, "Y": 0, "T": t}) for t in (0, 2_000_000_000)]
    viewer = make_napari_viewer_proxy()
    assert viewer.open(str(write_czi(tmp_path / "film.czi", tiles)), plugin="medseg") == []
    (words,) = told
    assert "2000000001 time points" in words
    assert not any("time point" in name for name in viewer.window.dock_widgets)


def test_labels_in_a_folder_keep_the_names_of_their_classes(make_napari_viewer_proxy, tmp_path, monkeypatch):
    labels = LabelMap(np.ones((4, 5, 6), np.uint8), image_grid((4, 5, 6), (2.0, 1, 1), "um"), {1: "nucleus"})
    write(labels, tmp_path / "a_labels.ome.zarr")
    viewer = make_napari_viewer_proxy()
    (layer,) = viewer.open(str(tmp_path / "a_labels.ome.zarr"), plugin="medseg")
    assert layer.metadata["medseg"]["classes"] == {1: "nucleus"}
    assert list(layer.features["class"]) == ["background", "nucleus"]
    assert label_map_of(layer).classes == {1: "nucleus"}


def test_without_a_window_several_series_are_listed(tmp_path):
    from napari_plugin._reader import open_layers

    write_series(tmp_path / "study", 1, 10)
    write_series(tmp_path / "study", 2, 20, n=4)
    with pytest.raises(SeriesAmbiguousError) as refusal:
        open_layers(str(tmp_path / "study"))
    (first, _), _ = refusal.value.choices
    assert len(open_layers(str(tmp_path / "study"), series=first)) == 1


def test_a_damaged_file_is_told_in_the_window_and_the_others_open(
    make_napari_viewer_proxy, tmp_path, told, oblique_grid
):
    from napari_plugin._reader import open_in_window

    make_napari_viewer_proxy()
    write(Volume(np.ones((1, *oblique_grid.shape), np.float32), oblique_grid), tmp_path / "good.nii.gz")
    (tmp_path / "cut.nii.gz").write_bytes((tmp_path / "good.nii.gz").read_bytes()[:100])
    layers = open_in_window([str(tmp_path / "cut.nii.gz"), str(tmp_path / "good.nii.gz")])
    assert [attributes["name"] for _, attributes, _ in layers] == ["good"]
    assert len(told) == 1
    assert "cut.nii.gz" in told[0]
    assert told[0].count("E_INPUT_UNREADABLE") == 1
    assert open_in_window(str(tmp_path / "cut.nii.gz")) == [(None,)]


def test_labels_open_with_names_and_the_colours_of_the_sheets(make_napari_viewer_proxy, tmp_path, oblique_grid):
    from medseg.report.colours import colour

    array = np.zeros(oblique_grid.shape, np.uint8)
    array[2:4], array[5:7] = 1, 2
    (tmp_path / "labelsTr").mkdir()
    write(LabelMap(array, oblique_grid), tmp_path / "labelsTr" / "case.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "front", "2": "back"}}))
    viewer = make_napari_viewer_proxy()
    (layer,) = viewer.open(str(tmp_path / "labelsTr" / "case.nii.gz"), plugin="medseg")
    assert label_map_of(layer).classes == {1: "front", 2: "back"}
    assert list(layer.features["class"]) == ["background", "front", "back"]
    for number in (1, 2):
        np.testing.assert_allclose(layer.get_color(number)[:3], np.array(colour(number)) / 255, atol=1e-3)
    assert layer.get_color(0) is None


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_corrected_labels_are_saved_on_the_grid_of_the_scan(make_napari_viewer_proxy, tmp_path, oblique_grid, ending):
    viewer = make_napari_viewer_proxy()
    write(LabelMap(np.zeros(oblique_grid.shape, np.uint8), oblique_grid, {}), tmp_path / f"a_labels{ending}")
    (layer,) = viewer.open(str(tmp_path / f"a_labels{ending}"), plugin="medseg")
    layer.paint((2, 3, 4), 3)
    layer.save(str(tmp_path / f"b_labels{ending}"), plugin="medseg")
    back = read_labels(tmp_path / f"b_labels{ending}")
    assert back.grid.same_as(oblique_grid)
    np.testing.assert_array_equal(back.array, label_map_of(layer).array)
    assert back.array.any()


@pytest.mark.parametrize("move", ["translate", "scale", "rotate"])
def test_a_moved_layer_is_not_saved(make_napari_viewer_proxy, tmp_path, oblique_grid, move):
    viewer = make_napari_viewer_proxy()
    write(LabelMap(np.ones(oblique_grid.shape, np.uint8), oblique_grid), tmp_path / "a_labels.nii.gz")
    (layer,) = viewer.open(str(tmp_path / "a_labels.nii.gz"), plugin="medseg")
    setattr(layer, move, {"translate": (0, 0, 1.0), "scale": (1, 1, 1.01), "rotate": (2.0, 0.0, 0.0)}[move])
    with pytest.raises(MedsegError, match="moved"):
        layer.save(str(tmp_path / "b.nii.gz"), plugin="medseg")
    assert not (tmp_path / "b.nii.gz").exists()
    with pytest.raises(MedsegError, match="moved"):
        label_map_of(layer)


def test_objects_go_out_and_come_back_with_their_classes(make_napari_viewer_proxy, tmp_path):
    from napari_plugin._layers import instances_layer

    array = np.zeros((20, 30), np.uint16)
    array[2:6, 2:6], array[10:15, 10:20] = 7, 300
    segments = (Segment(7, 2, 0.5, flags=("likely_merged",)), Segment(300, 1, 1.0))
    objects = Instances(array, image_grid((20, 30), (0.5, 0.25), "um"), segments, {1: "axon", 2: "myelin"})
    viewer = make_napari_viewer_proxy()
    data, attributes, _ = instances_layer(objects, "cells")
    layer = viewer.add_labels(data, **attributes)
    layer.save(str(tmp_path / "cells.tif"), plugin="medseg")
    (back,) = viewer.open(str(tmp_path / "cells.tif"), plugin="medseg")
    again = instances_of(back)
    assert again.segments == segments
    assert again.classes == objects.classes
    assert again.grid.same_as(objects.grid)
    np.testing.assert_array_equal(again.array, array)
    # what was painted or erased since counts as well
    back.data[10:15, 10:20], back.data[0, 0] = 0, 9
    assert instances_of(back).segments == (segments[0], Segment(9))


def test_a_large_stack_is_read_slice_by_slice(make_napari_viewer_proxy, tmp_path, monkeypatch):
    import zarr

    volume = Volume(np.random.default_rng(0).random((1, 256, 64, 64)), image_grid((256, 64, 64), (2.0, 1, 1), "um"))
    write_maps(volume, tmp_path / "stack.ome.zarr")
    viewer = make_napari_viewer_proxy()
    asked = []
    read = zarr.Array.__getitem__
    monkeypatch.setattr(zarr.Array, "__getitem__", lambda self, at: asked.append(at) or read(self, at))
    (layer,) = viewer.open(str(tmp_path / "stack.ome.zarr"), plugin="medseg")
    asked.clear()
    viewer.dims.set_point(0, 2.0 * 200)
    assert layer.data[200].compute() == pytest.approx(volume.array[0, 200])
    # a chunk holds 64 slices of 256: only the one that is shown was asked for
    assert asked
    assert {at[1].start for at in asked} == {192}
    lazy = volume_from_layer(layer)
    assert lazy.grid.same_as(volume.grid)
    np.testing.assert_array_equal(lazy.numpy(), volume.array)


def test_every_sample_opens_with_units_and_without_a_warning(make_napari_viewer_proxy, told):
    viewer = make_napari_viewer_proxy()
    for key, unit in (("phantom", "millimeter"), ("hippocampus_mean", "millimeter"), ("cells_stack", "micrometer")):
        for layer in viewer.open_sample("medseg", key):
            assert {str(u) for u in layer.units} == {unit}
    (picture,) = viewer.open_sample("medseg", "tissue")
    assert picture.rgb
    assert volume_from_layer(picture).channels == ("red", "green", "blue")
    assert told == []


def test_no_voxel_is_copied_on_the_way_to_the_screen_and_back(make_napari_viewer_proxy, oblique_grid):
    from napari_plugin._layers import volume_layers

    volume = Volume(np.random.default_rng(0).random((1, *oblique_grid.shape), np.float32), oblique_grid)
    ((data, attributes, _),) = volume_layers(volume, "scan")
    layer = make_napari_viewer_proxy().add_image(data, **attributes)
    assert np.shares_memory(layer.data, volume.array)
    assert np.shares_memory(volume_from_layer(layer).array, volume.array)
    assert volume_from_layer(layer).grid.same_as(oblique_grid, tolerance=0.0)


def test_the_window_of_medseg_view_opens_with_files_and_widgets(qtbot, tmp_path, oblique_grid, make_napari_viewer):
    import napari

    from napari_plugin.__main__ import open_window

    write(Volume(np.ones((1, *oblique_grid.shape), np.float32), oblique_grid), tmp_path / "good.nii.gz")
    viewer = open_window(str(tmp_path / "good.nii.gz"))
    try:
        qtbot.waitUntil(lambda: "good" in viewer.layers, timeout=10_000)
        assert {name.partition(" ")[0] for name in viewer.window.dock_widgets} >= {"Look", "Segment"}
    finally:
        viewer.close()
    assert napari.current_viewer() is None
