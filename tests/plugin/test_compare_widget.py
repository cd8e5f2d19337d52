"""Comparing in a real viewer: numbers, three colours, and a click to the worst place; refusals in words."""

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from reviewing import GRIDS, add, objects

from medseg.io.write import write
from medseg.labels import Instances, LabelMap
from medseg.metrics.difference import FALSE_ALARM, HIT, MISSED
from napari_plugin._compare import COLOURS
from napari_plugin._layers import index_of, labels_layer
from napari_plugin._reader import open_layers

pytestmark = pytest.mark.gl
GRID = GRIDS["oblique patient in mm"]


def _opened(viewer):
    _, widget = viewer.window.add_plugin_dock_widget("medseg", "Compare")
    return widget


def _press(qtbot, button):
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def _compare(widget, qtbot):
    with qtbot.waitSignal(widget.run.ended, timeout=20_000):
        _press(qtbot, widget.compare)


def _cells(table):
    return [[table.item(r, c).text() for c in range(table.columnCount())] for r in range(table.rowCount())]


def test_objects_are_compared_drawn_in_three_colours_and_the_worst_is_a_click_away(make_napari_viewer_proxy, qtbot):
    truth = objects(GRID)
    array = truth.array.copy()
    array[array == 3] = 0  # missed
    array[array == 8] = 7  # merged
    array[0:3, 29:32, 17:20] = 5  # a false alarm
    viewer = make_napari_viewer_proxy()
    add(viewer, truth, "cells_reference")
    add(viewer, Instances(array, GRID, (), {1: "cell"}), "cells_found")
    widget = _opened(viewer)
    assert (widget.reference.layer.name, widget.prediction.layer.name) == ("cells_reference", "cells_found")
    assert "objects" in widget.kind.currentText()
    _compare(widget, qtbot)
    scores = dict(_cells(widget.scores))
    assert scores["objects: prediction / reference"] == "4 / 5"
    assert scores["merges, splits"] == "1, 0"
    assert scores["AP at IoU .5"] == "0.5"
    layer = viewer.layers["cells_found against cells_reference"]
    shown = layer.data.T
    assert shown[truth.array == 3].tolist() == [MISSED] * int((truth.array == 3).sum())
    assert (shown[array == 5] == FALSE_ALARM).all()
    assert (shown[truth.array == 40] == HIT).all()
    colours = {n: tuple(np.round(np.ravel(layer.get_color(n))[:3] * 255).astype(int)) for n in COLOURS}
    assert colours == {n: tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for n, c in COLOURS.items()}
    assert not viewer.layers["cells_found"].visible
    what = [row[0] for row in _cells(widget.worst)]
    assert what[:2] == ["missed", "false alarm"]
    for row, number in ((0, MISSED), (1, FALSE_ALARM)):
        widget.worst.selectRow(row)
        assert layer.data.T[index_of(layer, viewer.dims.point, viewer)] == number
    _compare(widget, qtbot)
    assert len(viewer.layers) == 3  # the new result took the place of the old one
    assert len(widget.reference.layers) == 2
    assert "files" in widget.command.toolTip()
    widget.close_down()


def test_structures_from_files_are_compared_and_the_same_command_is_copied(make_napari_viewer_proxy, qtbot, tmp_path):
    truth = np.zeros(GRID.shape, np.uint8)
    truth[3:12, 4:20, 3:12] = 1
    truth[15:22, 20:30, 5:15] = 2
    found = np.roll(truth, 2, axis=1)
    viewer = make_napari_viewer_proxy()
    for name, array in (("scan_ref_labels", truth), ("scan_labels", found)):
        write(LabelMap(array, GRID), tmp_path / f"{name}.nii.gz")
        for layer in open_layers(str(tmp_path / f"{name}.nii.gz")):
            viewer.add_layer(Layer.create(*layer))
    widget = _opened(viewer)
    assert widget.reference.layer.name == "scan_ref_labels"
    widget.kind.setCurrentIndex(0)
    _compare(widget, qtbot)
    assert [row[0] for row in _cells(widget.scores)] == ["class 1", "class 2"]
    assert float(_cells(widget.scores)[0][1]) == pytest.approx(2 * 14 / 32, abs=0.001)
    assert {row[0] for row in _cells(widget.worst)} == {"missed", "false alarm"}
    _press(qtbot, widget.command)
    words = QApplication.clipboard().text().split()
    assert words[:2] == ["medseg", "evaluate"]
    assert words[2].endswith("scan_labels.nii.gz")
    assert words[3].endswith("scan_ref_labels.nii.gz")
    assert words[-2:] == ["-o", "comparison.json"]
    widget.close_down()


def test_what_cannot_be_compared_is_said_before_anything_runs(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy()
    widget = _opened(viewer)
    assert "two labels layers" in widget.status.text()
    assert not widget.compare.isEnabled()
    add(viewer, objects(GRID), "one")
    assert "two different" in widget.status.text()
    smaller = GRID.cropped((1, 0, 0), (25, 32, 20))
    viewer.add_layer(Layer.create(*labels_layer(LabelMap(np.zeros(smaller.shape, np.uint8), smaller), "two")))
    widget.prediction.layer = viewer.layers["two"]
    assert "shape" in widget.status.text()
    assert not widget.compare.isEnabled()
    widget.close_down()
