"""Segmenting in a real window, as a user does it: choose, run, watch, stop, keep."""

import json
import shutil
import threading

import numpy as np
import pytest

pytest.importorskip("napari")
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QLabel
from segmenting import LONG, Gate, long_scan, sample, shown

from medseg import pipeline
from medseg.grid import image_grid
from medseg.models.registry import EMBEDDED
from medseg.volume import Volume

pytestmark = pytest.mark.gl


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def widget(viewer, qtbot):
    from napari_plugin._segment import SegmentWidget

    made = SegmentWidget(viewer)
    qtbot.addWidget(made)
    return made


@pytest.fixture
def told(monkeypatch):
    """Return what napari's notifications showed."""
    words = []
    for name in ("show_error", "show_warning"):
        monkeypatch.setattr(f"napari_plugin._telling.{name}", words.append)
    return words


def press(qtbot, widget, button):
    from qtpy.QtCore import Qt

    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def run(qtbot, widget, signal=None):
    with qtbot.waitSignal(signal or widget.bar.done, timeout=LONG):
        press(qtbot, widget, widget.run_button)


def circle(middle, side=128, radius=14):
    y, x = np.indices((side, side))
    return (y - middle[0]) ** 2 + (x - middle[1]) ** 2 <= radius**2


def test_a_scan_becomes_named_labels_on_its_own_place(viewer, widget, qtbot):
    assert not widget.run_button.isEnabled()
    assert "Open an image first" in widget.run_button.toolTip()
    viewer.open_sample("medseg", "hippocampus_mean")
    image = viewer.layers[0]
    assert widget.model.name == "hippocampus"
    assert "Research use only" in widget.model.about.text()
    assert "CC-BY-SA-4.0" in widget.model.about.text()
    widget.maps_box.setChecked(True)
    run(qtbot, widget)
    labels = viewer.layers[-1]
    np.testing.assert_allclose(labels.affine.affine_matrix, image.affine.affine_matrix)
    assert labels.data.shape == image.data.shape
    assert set(np.unique(labels.data)) == {0, 1, 2}
    assert list(labels.features["class"]) == ["background", "anterior hippocampus", "posterior hippocampus"]
    record = labels.metadata["medseg"]
    assert (record["image"], record["model"], record["partial"]) == ("hippocampus_mean", "hippocampus", False)
    assert record["request"].verb == "segment"
    shares = [layer for layer in viewer.layers if "hippocampus_mean hippocampus " in layer.name]
    assert len(shares) == 3
    np.testing.assert_allclose(sum(np.asarray(layer.data) for layer in shares), 1.0, atol=1e-5)
    assert "posterior hippocampus" in widget.result.text()
    assert widget.run_button.isEnabled()


def test_cancel_stops_before_the_next_tile_and_what_is_finished_can_be_kept(viewer, widget, qtbot, monkeypatch):
    shown(viewer, long_scan(5))
    gate = Gate(monkeypatch, hold_at=3)
    press(qtbot, widget, widget.run_button)
    qtbot.waitUntil(gate.reached.is_set, timeout=LONG)
    assert not widget.run_button.isEnabled()
    widget.bar.cancel()
    with qtbot.waitSignal(widget.bar.done, timeout=LONG):
        gate.opened.set()
        widget.bar.answer(keep=True)
    assert gate.tiles == 3
    layer = viewer.layers[-1]
    assert layer.name == "scan hippocampus (partial)"
    assert layer.metadata["medseg"]["partial"]
    assert layer.metadata["medseg"]["request"] is None
    assert "W_PARTIAL" in widget.result.text()
    n = sample().grid.shape[1]
    # five samples in a row: the first was seen, the last was not
    assert layer.data[:, :n].any()
    assert not layer.data[:, -n:].any()


def test_cancel_without_keeping_leaves_no_layer(viewer, widget, qtbot, monkeypatch):
    shown(viewer, long_scan())
    gate = Gate(monkeypatch, hold_at=1)
    press(qtbot, widget, widget.run_button)
    qtbot.waitUntil(gate.reached.is_set, timeout=LONG)
    widget.bar.cancel()
    with qtbot.waitSignal(widget.bar.stopped, timeout=LONG):
        gate.opened.set()
        widget.bar.answer(keep=False)
    assert gate.tiles == 1
    assert [layer.name for layer in viewer.layers] == ["scan"]
    assert "Nothing was kept" in widget.result.text()
    assert widget.run_button.isEnabled()


def test_a_run_after_cancel_says_that_it_waits_until_the_tile_before_has_ended(viewer, widget, qtbot, monkeypatch):
    from napari_plugin._turn import WAITING

    shown(viewer, sample())
    gate = Gate(monkeypatch, hold_at=1)
    press(qtbot, widget, widget.run_button)
    qtbot.waitUntil(gate.reached.is_set, timeout=LONG)
    with qtbot.waitSignal(widget.bar.ended, timeout=LONG):
        widget.bar.cancel()
        widget.bar.answer(keep=False)
    phases = []
    widget.bar.stepped.connect(lambda step: phases.append(step.phase))
    with qtbot.waitSignal(widget.bar.stepped, timeout=LONG):
        press(qtbot, widget, widget.run_button)
    assert phases == [WAITING]
    assert gate.tiles == 1
    assert not widget.bar.resting
    with qtbot.waitSignal(widget.bar.done, timeout=LONG):
        gate.opened.set()
    assert gate.most_at_once == 1
    assert [layer.name for layer in viewer.layers] == ["scan", "scan hippocampus"]


def test_a_model_that_is_still_being_loaded_when_the_dock_is_closed_is_not_kept(viewer, qtbot, monkeypatch):
    reached, opened, loads = threading.Event(), threading.Event(), []
    plain = pipeline.load_model

    def slow(*given, **more):
        loads.append(given)
        reached.set()
        assert opened.wait(240)
        return plain(*given, **more)

    monkeypatch.setattr("medseg.pipeline.load_model", slow)
    dock, widget = viewer.window.add_plugin_dock_widget("medseg", "Segment")
    shown(viewer, sample())
    press(qtbot, widget, widget.run_button)
    qtbot.waitUntil(reached.is_set, timeout=LONG)
    key = (widget.model.name, widget.device_combo.currentText())
    viewer.window.remove_dock_widget(dock)
    opened.set()
    qtbot.waitUntil(lambda: widget.bar.resting, timeout=LONG)
    assert len(loads) == 1
    assert widget._loaded.get(key) is None
    assert [layer.name for layer in viewer.layers] == ["scan"]


def test_a_layer_that_is_deleted_during_the_run_does_no_harm(viewer, widget, qtbot, monkeypatch):
    shown(viewer, sample())
    gate = Gate(monkeypatch, hold_at=1)
    press(qtbot, widget, widget.run_button)
    qtbot.waitUntil(gate.reached.is_set, timeout=LONG)
    viewer.layers.clear()
    with qtbot.waitSignal(widget.bar.done, timeout=LONG):
        gate.opened.set()
    assert [layer.name for layer in viewer.layers] == ["scan hippocampus"]
    assert not widget.run_button.isEnabled()
    assert "Open an image first" in widget.run_button.toolTip()


def test_a_dock_that_is_closed_during_the_run_stops_it(viewer, qtbot, monkeypatch):
    dock, widget = viewer.window.add_plugin_dock_widget("medseg", "Segment")
    shown(viewer, long_scan(5))
    gate = Gate(monkeypatch, hold_at=2)
    press(qtbot, widget, widget.run_button)
    qtbot.waitUntil(gate.reached.is_set, timeout=LONG)
    viewer.window.remove_dock_widget(dock)
    with qtbot.waitSignal(widget.bar.ended, timeout=LONG):
        gate.opened.set()
    assert gate.tiles == 2
    assert [layer.name for layer in viewer.layers] == ["scan"]
    viewer.layers.clear()  # nothing listens any more


def test_what_does_not_fit_is_said_before_running(viewer, widget, qtbot):
    picture = Volume(np.zeros((1, 32, 40), np.uint8), image_grid((32, 40), (1.0, 1.0), "px"))
    shown(viewer, picture, "picture")
    assert widget.model.name == "nuclei"
    widget.model.choose("hippocampus")
    assert not widget.run_button.isEnabled()
    assert "a 2-D image" in widget.run_button.toolTip()
    assert "a 3-D scan of a patient" in widget.problem.text()
    widget.where.combo.setCurrentIndex(2)
    widget.model.choose("nuclei")
    assert "Draw a rectangle" in widget.run_button.toolTip()
    moved = shown(viewer, sample())
    moved.translate = (5, 0, 0)
    widget.channels.first.layer = moved
    widget.refresh()
    assert "moved" in widget.run_button.toolTip()


def test_a_drawn_box_and_the_visible_part_are_voxels_of_the_scan_as_it_is_stored(viewer, widget, qtbot):
    from napari_plugin._views import camera_of

    scan = sample()
    layer = shown(viewer, scan)
    widget.where.combo.setCurrentIndex(2)
    press(qtbot, widget, widget.where.draw_button)
    shapes = widget.where.shapes.layer
    assert shapes.mode == "add_rectangle"
    assert not widget.run_button.isEnabled()
    shapes.add_rectangles(np.array([[16, 10, 5], [16, 10, 25], [16, 30, 25], [16, 30, 5]], float))
    assert widget.run_button.isEnabled()
    # the canvas shows (k, j, i); one rectangle goes through all slices
    assert widget.where.box(layer) == ((5, 26), (10, 31), (0, scan.grid.shape[2]))
    shapes.add_rectangles(np.array([[20, 12, 6], [20, 12, 20], [20, 20, 20], [20, 20, 6]], float))
    assert widget.where.box(layer) == ((5, 26), (10, 31), (16, 21))
    widget.where.combo.setCurrentIndex(1)
    camera_of(viewer).zoom *= 3
    viewer.screenshot(canvas_only=True, flash=False)  # the canvas is drawn, as in a window that is shown
    (i0, i1), (j0, j1), depth = widget.where.box(layer)
    assert i1 - i0 < scan.grid.shape[0]
    assert j1 - j0 < scan.grid.shape[1]
    assert depth == (0, scan.grid.shape[2])


def test_objects_of_a_colour_layer_keep_the_maps_to_split_them_anew(viewer, widget, qtbot):
    ground = np.full((128, 128, 3), 20, np.uint8)
    for middle in ((30, 30), (30, 90), (92, 60)):
        ground[circle(middle)] = (40, 60, 220)
    viewer.add_image(ground, rgb=True, name="cells")
    assert widget.model.name == "nuclei"
    assert not widget.diameter_box.isHidden()
    widget.diameter_box.setValue(29.0)
    run(qtbot, widget)
    layer = viewer.layers[-1]
    record = layer.metadata["medseg"]
    assert len(record["segments"]) == len(np.unique(layer.data)) - 1 == 3
    assert {"interior", "boundary", "distance"} <= set(record["maps"].channels)
    assert "3 objects" in widget.result.text()
    assert record["request"] is None  # the picture lies in memory only
    widget.command_button.click()
    assert "no command can name it" in widget.result.text()


def test_a_model_folder_that_is_refused_is_told_and_the_choice_stays(viewer, widget, qtbot, told, tmp_path):
    shown(viewer, sample())
    (tmp_path / "empty").mkdir()
    assert not widget.model.choose(str(tmp_path / "empty"))
    assert widget.model.name == "hippocampus"
    assert any("E_BUNDLE" in words for words in told)
    damaged = tmp_path / "damaged"
    shutil.copytree(EMBEDDED / "hippocampus", damaged)
    card = json.loads((damaged / "card.json").read_text())
    (damaged / "card.json").write_text(json.dumps({**card, "weights_sha256": "0" * 64}))
    assert widget.model.choose(str(damaged))
    told.clear()
    run(qtbot, widget, widget.bar.failed)
    assert any("E_BUNDLE_INTEGRITY" in words for words in told)
    assert widget.result.text()
    assert widget.run_button.isEnabled()


def test_a_way_out_of_small_memory_and_its_end_are_told(viewer, widget, qtbot, told, monkeypatch):
    import medseg.nets.tiled as tiled

    plain, given = tiled._answer, []
    layer = shown(viewer, sample())

    def small(network, tiles, *rest):
        given.append(len(tiles))
        if widget.tight or len(tiles) > 1:
            raise MemoryError
        return plain(network, tiles, *rest)

    start = tiled._Rung
    monkeypatch.setattr(tiled, "_answer", small)
    monkeypatch.setattr(tiled, "_Rung", lambda device, sums, batch, half: start(device, sums, 2, half))
    monkeypatch.setattr(tiled, "_groups", lambda places, size: [places * size])
    widget.tight = False
    run(qtbot, widget)
    assert given[0] == 2
    assert any("W_DEVICE_FALLBACK" in words for words in told)
    assert "W_DEVICE_FALLBACK" in widget.result.text()
    widget.tight = True
    widget.channels.first.layer = layer
    run(qtbot, widget, widget.bar.failed)
    assert any("E_OOM_CPU" in words for words in told)
    assert "--roi" in widget.result.text()


def test_a_head_for_a_model_of_crops_is_doubted_before_it_runs_and_a_box_takes_the_doubt_away(viewer, widget):
    layer = shown(viewer, long_scan())
    assert widget.run_button.isEnabled()
    assert "those of the training were 40 to 59 mm" in widget.problem.text()
    shapes = viewer.add_shapes(np.array([[5, 2, 2], [5, 2, 30], [5, 45, 30], [5, 45, 2]], float), name="part")
    shapes.affine = layer.affine
    shapes.units = layer.units
    widget.where.combo.setCurrentIndex(2)
    assert widget.where.box(layer) == ((2, 31), (2, 46), (0, layer.data.shape[0]))
    assert widget.problem.isHidden()


def test_in_a_low_dock_no_word_is_cut_off_and_the_result_is_scrolled_to(viewer, widget, qtbot):
    shown(viewer, long_scan())  # a model of crops is doubted in several lines
    with qtbot.waitExposed(widget):
        widget.show()
    widget.resize(widget.minimumSizeHint().width(), 300)
    widget.result.setText("Stopped after 3 of 4 tiles; the rest was not looked at and is background. " * 3)
    fields = widget._fields
    fields.bring(widget.result)

    def seen():
        top = widget.result.mapTo(fields.viewport(), QPoint(0, 0)).y()
        return top >= 0 and top + widget.result.height() <= fields.viewport().height()

    qtbot.waitUntil(lambda: fields.verticalScrollBar().maximum() > 0 and seen())
    texts = [label for label in widget.findChildren(QLabel) if label.isVisible() and label.wordWrap()]
    assert len(texts) >= 4
    for label in texts:
        assert label.height() >= label.heightForWidth(label.width())


def test_a_model_of_several_channels_asks_for_a_layer_each(viewer, widget, monkeypatch):
    from dataclasses import replace

    scan = sample()
    two = widget.model.card.model_copy(
        update={"input": widget.model.card.input.model_copy(update={"channels": ("T1", "T2")})}
    )
    monkeypatch.setattr(type(widget.model), "card", property(lambda self: two))
    shown(viewer, scan, "first")
    assert "channel" in widget.run_button.toolTip()
    shown(viewer, replace(scan, array=scan.numpy() * 2), "second")
    widget.channels.first.layer = viewer.layers["first"]
    widget.channels.more[0].layer = viewer.layers["second"]
    assert widget.run_button.isEnabled()
    assert widget.channels.outline(two).channels == ("T1", "T2")
    assert [
        np.shares_memory(v.array, layer.data) for v, layer in zip(widget.asked().volumes, viewer.layers, strict=True)
    ]
    moved = shown(
        viewer,
        Volume(scan.numpy()[:, 1:], replace(scan.grid, shape=(scan.grid.shape[0] - 1, *scan.grid.shape[1:]))),
        "third",
    )
    widget.channels.more[0].layer = moved
    assert "grid of the first channel" in widget.run_button.toolTip()
    with pytest.raises(ValueError, match="E_GEOMETRY_MISMATCH"):
        widget.asked()
