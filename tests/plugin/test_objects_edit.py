"""Corrections in a real viewer: one step each, taken back in 3-D too, and a table that follows every stroke."""

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from reviewing import CENTRES, GRIDS, add, click, objects, opened, settle

from medseg.grid import image_grid
from medseg.labels import Instances
from medseg.measure import measure
from napari_plugin import _objects_edit as edit
from napari_plugin import _objects_session as sessions
from napari_plugin._layers import instances_of, world_point

pytestmark = pytest.mark.gl


def _press(qtbot, button):
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def _choose(widget, *ids):
    widget.select(ids[0])
    widget.view.select_rows(widget.session.model.row_of(i) for i in ids)


def _check(widget, layer):
    """Assert that the table, the layer and its record tell the same, as measuring all of it anew would."""
    truth = instances_of(layer)
    expected = measure(truth)
    shown = widget.session.store.frame()
    pd.testing.assert_frame_equal(shown.drop(columns="reviewed"), expected, check_dtype=False)
    recorded = {s.id: s for s in layer.metadata["medseg"]["segments"]}
    assert sorted(recorded) == expected["object_id"].tolist()
    assert layer.metadata["medseg"]["classes"] == widget.session.classes


@pytest.mark.parametrize("grid", [GRIDS["oblique patient in mm"], GRIDS["stack in pixels"]], ids=["patient", "pixels"])
def test_delete_merge_class_and_undo_are_single_steps_in_3d(make_napari_viewer_proxy, qtbot, grid):
    viewer = make_napari_viewer_proxy()
    layer, widget = add(viewer, objects(grid)), opened(viewer, qtbot)
    first = layer.data.copy()

    _choose(widget, 3, 40)
    _press(qtbot, widget.view.delete)
    assert widget.session.store.ids.tolist() == [7, 8, 90]
    assert not np.isin(layer.data, (3, 40)).any()
    _check(widget, layer)

    _choose(widget, 7, 8)
    _press(qtbot, widget.view.merge)
    merged = widget.current
    assert widget.session.store.ids.tolist() == [merged, 90]
    assert not widget.session.note(merged).segment.flags  # the doubt was answered
    _check(widget, layer)

    widget.view.classes.setEditText("Debris")
    _choose(widget, 90)
    _press(qtbot, widget.view.set_class)
    assert widget.session.store.value(widget.session.store.place(90), "name") == "debris"
    widget.view.classes.setEditText("mitosis")
    _press(qtbot, widget.view.set_class)
    assert layer.metadata["medseg"]["classes"] == {1: "cell", 2: "debris", 3: "mitosis"}
    _check(widget, layer)

    for _ in range(3):
        _press(qtbot, widget.view.undo)  # both classes, the merge
    assert widget.session.store.ids.tolist() == [7, 8, 90]
    assert widget.session.note(7).segment.flags == ("likely_merged",)
    layer.undo()  # napari's own Ctrl+Z: the deletion
    np.testing.assert_array_equal(layer.data, first)
    assert widget.session.store.ids.tolist() == list(CENTRES)
    assert widget.session.note(40).segment.score == 0.3
    _check(widget, layer)
    assert not widget.view.undo.isEnabled()
    layer.redo()
    assert widget.session.store.ids.tolist() == [7, 8, 90]
    _check(widget, layer)
    widget.close_down()


def test_two_clicks_split_an_object_at_its_waist_and_one_undo_joins_it(make_napari_viewer_proxy, qtbot):
    grid = image_grid((26, 32, 20), (1.0, 0.5, 0.5), "um")
    made = objects(grid)
    made.array[made.array == 8] = 7
    viewer = make_napari_viewer_proxy()
    layer, widget = add(viewer, Instances(made.array, grid, made.segments[:2], {1: "cell"})), opened(viewer, qtbot)
    viewer.dims.ndisplay = 3
    widget.select(7)
    assert "slices" in widget.view.split.toolTip()
    viewer.dims.ndisplay = 2
    _press(qtbot, widget.view.split)
    points = [np.array(world_point(layer, at, viewer)) for at in (CENTRES[3], CENTRES[7], CENTRES[8])]
    click(viewer, points[0])
    assert "outside" in widget.view.status.text()
    click(viewer, points[1])
    assert "second" in widget.view.status.text()
    click(viewer, points[2])
    settle(widget, qtbot)
    assert widget.session.store.ids.tolist() == [3, 7, 40, 90, 91]
    assert layer.data[CENTRES[7]] != layer.data[CENTRES[8]]
    assert {int(layer.data[CENTRES[7]]), int(layer.data[CENTRES[8]])} == {7, 91}
    assert widget.current == 91
    assert not widget.view.split.isChecked()
    _check(widget, layer)
    _press(qtbot, widget.view.undo)
    assert widget.session.store.ids.tolist() == [3, 7, 40, 90]
    assert layer.data[CENTRES[8]] == 7
    _check(widget, layer)
    widget.close_down()


@pytest.mark.parametrize("name", GRIDS)
def test_the_table_follows_the_brush_and_measures_only_what_changed(make_napari_viewer_proxy, qtbot, monkeypatch, name):
    viewer = make_napari_viewer_proxy()
    layer, widget = add(viewer, objects(GRIDS[name])), opened(viewer, qtbot)
    asked = []
    real = sessions.measure_some

    def watched(instances, boxes, image=None):
        asked.append(sorted(boxes))
        return real(instances, boxes, image)

    monkeypatch.setattr(sessions, "measure_some", watched)
    scan = GRIDS[name].space == "patient"

    def paint(centre, number, size, axes=2):
        layer.n_edit_dimensions, layer.brush_size = axes, size
        layer.paint(centre[::-1] if scan else centre, number)
        QApplication.processEvents()

    paint(CENTRES[40], 40, 11)  # larger
    assert asked == [[40]]
    _check(widget, layer)
    paint((2, 30, 2), 120, 3, axes=3)  # new
    assert widget.session.store.ids.tolist() == [*CENTRES, 120]
    assert widget.session.note(120).segment.class_id == 1
    _check(widget, layer)
    paint(CENTRES[3], 0, 12, axes=3)  # rubbed out
    assert 3 not in widget.session.store
    _check(widget, layer)
    paint(CENTRES[7], 8, 5, axes=3)  # one object over another
    assert asked[-1] == [7, 8]
    _check(widget, layer)
    layer.undo()
    layer.undo()
    assert widget.session.store.ids.tolist() == [*CENTRES, 120]
    _check(widget, layer)
    layer.redo()
    assert 3 not in widget.session.store
    paint(CENTRES[90], 3, 5, axes=3)  # an old number, drawn anew: a new object
    layer.fill(CENTRES[90][::-1] if scan else CENTRES[90], 0)
    QApplication.processEvents()
    _check(widget, layer)
    widget.close_down()


def test_a_drag_of_the_brush_is_one_step_and_scrolling_is_none(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy()
    layer, widget = add(viewer, objects(GRIDS["stack in um"])), opened(viewer, qtbot)
    layer.brush_size = 3
    with layer.block_history():
        for x in range(2, 14):
            layer.paint((3, 3, x), 40)
    assert len(widget.session.history.done) == 1
    viewer.dims.set_point(0, 12.0)
    viewer.dims.set_point(0, 30.0)
    assert len(widget.session.history.done) == 1
    _press(qtbot, widget.view.undo)
    _check(widget, layer)
    assert not widget.session.history.done
    widget.close_down()


def test_large_objects_wait_until_the_hand_rests(make_napari_viewer_proxy, qtbot, monkeypatch):
    monkeypatch.setattr(sessions, "LARGE", 10)
    viewer = make_napari_viewer_proxy()
    layer, widget = add(viewer, objects(GRIDS["stack in um"])), opened(viewer, qtbot)
    before = widget.session.store.frame()
    layer.n_edit_dimensions = 3
    layer.paint(CENTRES[40], 0)
    widget.session.take_strokes()
    pd.testing.assert_frame_equal(widget.session.store.frame(), before)
    with qtbot.waitSignal(widget.session.edited, timeout=3000):
        pass
    _check(widget, layer)
    widget.close_down()


def test_a_full_layer_takes_gaps_for_new_numbers_and_says_when_there_is_none(make_napari_viewer_proxy, qtbot):
    grid = image_grid((16, 64), (1.0, 1.0), "px")
    array = np.kron(np.arange(256).reshape(4, 64), np.ones((4, 1), int)).astype(np.uint8)
    array[array == 77] = 78
    viewer = make_napari_viewer_proxy()
    layer, widget = add(viewer, Instances(array, grid)), opened(viewer, qtbot)
    assert edit.free_number(widget.session) == 77
    layer.brush_size = 1
    layer.paint((0, 0), 77)
    QApplication.processEvents()
    with pytest.raises(edit.UsageError, match="uint8"):
        edit.free_number(widget.session)
    widget.close_down()


def test_a_change_that_no_brush_made_is_found_by_measuring_again(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy()
    layer, widget = add(viewer, objects(GRIDS["stack in um"])), opened(viewer, qtbot)
    layer.data[layer.data == 3] = 0
    layer.refresh()
    _press(qtbot, widget.view.again)
    settle(widget, qtbot)
    assert widget.session.store.ids.tolist() == [7, 8, 40, 90]
    _check(widget, layer)
    widget.close_down()
