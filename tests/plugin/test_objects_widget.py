"""The table in a real viewer: a row leads to its object, a click to its row, and nothing is left behind."""

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from reviewing import CENTRES, GRIDS, add, click, objects, opened, settle

from medseg.grid import image_grid
from medseg.labels import LabelMap, Segment
from medseg.measure import measure
from medseg.volume import Volume
from napari_plugin._layers import index_of, labels_layer, volume_layers, world_point
from napari_plugin._objects_goto import FRAME
from napari_plugin._views import camera_of

pytestmark = pytest.mark.gl


def _press(qtbot, button):
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_row_leads_to_its_object_and_a_click_in_the_canvas_to_its_row(make_napari_viewer_proxy, qtbot, grid):
    viewer = make_napari_viewer_proxy(show=True)
    layer, widget = add(viewer, objects(grid)), opened(viewer, qtbot)
    assert np.shares_memory(widget.session.array, layer.data)
    for number in (90, 3, 40):
        assert widget.select(number)
        assert layer.selected_label == number
        place = index_of(layer, viewer.dims.point, viewer)
        assert widget.session.array[place] == number
        centre = world_point(layer, CENTRES[number], viewer)
        shown = [centre[a] for a in viewer.dims.displayed]
        np.testing.assert_allclose(camera_of(viewer).center[-2:], shown, atol=0.51 * max(grid.spacing) * 2)
    for number in (7, 90):
        point = np.array(world_point(layer, CENTRES[number], viewer))
        viewer.dims.set_point(range(3), point)
        click(viewer, point)
        assert widget.current == number
    click(viewer, np.array(viewer.dims.point) + 1e4)  # outside: nothing happens
    assert widget.current == 90
    widget.close_down()


def test_zoom_frame_and_the_single_object_follow_the_row(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy(show=True)
    layer, widget = add(viewer, objects(GRIDS["stack in um"])), opened(viewer, qtbot)
    viewer.layers.selection.active = layer
    camera_of(viewer).zoom = 3.0
    _press(qtbot, widget.view.next)
    assert widget.current == 3
    assert camera_of(viewer).zoom > 10.0
    assert FRAME in viewer.layers
    assert viewer.layers.selection.active == layer
    starts, ways = np.moveaxis(viewer.layers[FRAME].data, 1, 0)
    assert len(starts) == 4
    np.testing.assert_allclose(starts.min(axis=0)[1:], (1.5, 0.5))
    np.testing.assert_allclose((starts + ways).max(axis=0)[1:], (10.5, 9.5))
    viewer.dims.set_point(0, 45.0)
    assert not viewer.layers[FRAME].visible  # another slice
    widget.view.only.setChecked(True)
    assert layer.show_selected_label
    zoomed = camera_of(viewer).zoom
    widget.view.zoom.setChecked(False)
    _press(qtbot, widget.view.previous)
    assert widget.current == 90
    assert camera_of(viewer).zoom == zoomed
    viewer.dims.ndisplay = 3
    assert len(viewer.layers[FRAME].data) == 12
    widget.view.frame.setChecked(False)
    assert FRAME not in viewer.layers
    widget.close_down()


def test_what_needs_eyes_is_found_and_ticked_and_keys_are_given_back(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy(show=True)
    viewer.bind_key("K", lambda _: None)  # somebody else's
    layer, widget = add(viewer, objects(GRIDS["stack in um"])), opened(viewer, qtbot)
    assert "1 need" in widget.view.status.text()
    assert widget.keys.bound == ("N", "Shift+N", "J", "U")
    _press(qtbot, widget.view.next_need)
    assert widget.current == 7
    widget.tick_current()
    assert "need" not in widget.view.status.text()
    assert widget.session.reviewed == (7,)
    _press(qtbot, widget.view.next_need)
    assert "No other" in widget.view.status.text()
    _press(qtbot, widget.view.need_first)
    assert widget.session.model.shown_ids() == [40, 3, 8, 90, 7]
    widget.view.filter.setText("score < 0.5")
    assert widget.session.model.shown_ids() == [40]
    widget.view.filter.setText("weight > 3")
    assert "weight" in widget.view.status.text()
    _press(qtbot, widget.view.again)
    settle(widget, qtbot)
    assert widget.session.reviewed == (7,)
    callbacks = len(viewer.mouse_drag_callbacks)
    viewer.window.remove_dock_widget(widget)
    assert len(viewer.mouse_drag_callbacks) == callbacks - 1
    assert [str(key) for key in viewer.keymap] == ["K"]
    assert FRAME not in viewer.layers
    layer.data_setitem((np.array([0]), np.array([0]), np.array([0])), 5)  # nobody listens, nothing breaks


def test_the_table_is_that_of_the_measuring_and_leaves_as_a_file_and_on_the_clipboard(
    make_napari_viewer_proxy, qtbot, tmp_path
):
    grid = GRIDS["oblique patient in mm"]
    made = objects(grid)
    viewer = make_napari_viewer_proxy()
    image = Volume(np.random.default_rng(0).normal(size=(1, *grid.shape)).astype(np.float32), grid)
    data, attributes, _ = volume_layers(image, "scan")[0]
    viewer.add_image(data, **attributes)
    layer, widget = add(viewer, made), opened(viewer, qtbot)
    widget.view.image.layer = viewer.layers["scan"]
    settle(widget, qtbot)
    expected = measure(made, image)
    shown = widget.session.store.frame()
    pd.testing.assert_frame_equal(shown.drop(columns="reviewed"), expected, check_dtype=False)
    widget.save_csv(str(tmp_path / "cells_objects.csv"))
    assert list(pd.read_csv(tmp_path / "cells_objects.csv").columns) == [*expected.columns, "reviewed"]
    widget.view.table.selectAll()
    _press(qtbot, widget.view.copy)
    assert len(QApplication.clipboard().text().splitlines()) == 6
    qtbot.waitUntil(lambda: "index" in layer.features, timeout=3000)
    assert layer.features["index"].tolist() == list(CENTRES)
    assert layer.features["volume_ml"].tolist() == expected["volume_ml"].tolist()
    widget.close_down()


def test_objects_inside_a_drawn_rectangle_are_counted_and_selected(make_napari_viewer_proxy, qtbot):
    grid = GRIDS["oblique patient in mm"]
    viewer = make_napari_viewer_proxy()
    layer, widget = add(viewer, objects(grid)), opened(viewer, qtbot)
    assert not widget.view.count.isEnabled()
    corners = [world_point(layer, (i, j, 6), viewer) for i, j in ((10, 5), (10, 20), (18, 20), (18, 5))]
    viewer.add_shapes([np.array(corners)], shape_type="polygon", units=layer.units, name="drawn")
    _press(qtbot, widget.view.count)
    volume = 8 * 15 * grid.shape[2] * grid.voxel_size
    assert widget.view.counted.text() == f"2 objects in {volume:.4g} mm³, {2 / volume:.4g} per mm³"
    assert sorted(widget.selected) == [7, 8]
    widget.close_down()


def test_a_layer_of_classes_shows_its_structures_and_a_moved_layer_is_refused_in_words(make_napari_viewer_proxy, qtbot):
    grid = GRIDS["oblique patient in mm"]
    viewer = make_napari_viewer_proxy()
    array = np.zeros(grid.shape, np.uint8)
    array[2:8], array[12:20, 5:9] = 1, 2
    data, attributes, _ = labels_layer(LabelMap(array, grid, {1: "liver", 2: "spleen"}), "organs")
    viewer.add_labels(data, **attributes)
    widget = opened(viewer, qtbot)
    store = widget.session.store
    assert [store.value(store.place(i), "name") for i in (1, 2)] == ["liver", "spleen"]
    assert "structure" in widget.view.status.text()
    widget.select(1)
    assert "class" in widget.view.set_class.toolTip()
    assert "segments" not in viewer.layers["organs"].metadata["medseg"]
    viewer.layers["organs"].translate = (5.0, 0.0, 0.0)
    _press(qtbot, widget.view.again)
    assert "moved" in widget.view.status.text()
    assert not widget.view.save.isEnabled()
    viewer.layers.remove("organs")
    assert widget.session is None
    widget.close_down()


def test_a_viewer_without_labels_says_so_on_every_button(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy()
    _, widget = viewer.window.add_plugin_dock_widget("medseg", "Objects")
    assert "labels layer" in widget.view.status.text()
    buttons = (widget.view.delete, widget.view.save, widget.view.next, widget.view.undo, widget.view.count)
    assert not any(b.isEnabled() for b in buttons)
    assert all("labels layer" in b.toolTip() for b in buttons)
    array = np.zeros((30, 40), np.uint8)
    array[3:9, 4:12] = 5
    viewer.add_labels(array, name="drawn by hand")
    settle(widget, qtbot)
    assert widget.session.store.ids.tolist() == [5]
    assert "area_px" in widget.session.store.names
    assert widget.session.note(5).segment == Segment(5)
    widget.close_down()


def test_beside_an_image_in_other_units_the_camera_still_finds_the_object(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy(show=True)
    viewer.add_image(np.zeros((10, 50, 50), np.uint8), scale=(1e-3, 1e-3, 1e-3), units=("mm",) * 3, name="in mm")
    layer = add(viewer, objects(image_grid((26, 32, 20), (2.0, 0.5, 0.4), "um")))
    widget = opened(viewer, qtbot)
    widget.select(40)
    assert widget.session.array[index_of(layer, viewer.dims.point, viewer)] == 40
    np.testing.assert_allclose(camera_of(viewer).center[-2:], world_point(layer, CENTRES[40], viewer)[-2:], atol=0.21)
    widget.close_down()
