"""Splitting with sliders: seen at once in view, the same everywhere after Apply, and by the command that is copied."""

import numpy as np
import pytest

pytest.importorskip("napari")
from crowd_of_cells import crowd

from medseg.grid import Grid, image_grid
from medseg.instance.distance import distances
from medseg.instance.options import SplitOptions
from medseg.instance.retune import SplitSource, separated_steps
from medseg.labels import LabelMap
from medseg.progress import finish
from medseg.volume import Volume

pytestmark = pytest.mark.gl


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def widget_in(qtbot):
    from napari_plugin._split import SplitWidget

    made = []

    def make(viewer):
        widget = SplitWidget(viewer)
        qtbot.addWidget(widget)
        widget.resize(380, 700)
        widget.show()
        made.append(widget)
        return widget

    yield make
    for widget in made:
        widget.give_up()


def add(viewer, layer):
    data, attributes, kind = layer
    return getattr(viewer, f"add_{kind}")(data, **attributes)


def mask_layer(shape=(200, 240), spacing=(0.5, 0.5), n=60, radius=6.0, unit="um"):
    from napari_plugin._layers import labels_layer

    truth = crowd(shape, n, radius, spacing=spacing)
    return labels_layer(LabelMap((truth > 0).astype(np.uint8), image_grid(shape, spacing, unit), {1: "cell"}), "mask")


def maps_of(truth, grid):
    deep = distances(truth, grid.spacing)
    inside, edge = truth > 0, (truth > 0) & (deep <= 1.2 * min(grid.spacing))
    parts = [1 - 0.9 * inside, 0.9 * (inside & ~edge), 0.85 * edge, deep / deep.max()]
    return Volume(np.stack(parts).astype(np.float32), grid, ("background", "interior", "boundary", "distance"))


def settled(qtbot, widget):
    qtbot.waitUntil(lambda: not widget.looking, timeout=30_000)


def applied(qtbot, widget):
    from qtpy.QtCore import Qt

    with qtbot.waitSignal(widget.bar.done, timeout=60_000) as caught:
        qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    return caught.args[0]


def same_objects(a, b):
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b)) and np.array_equal(a > 0, b > 0)


def test_a_slider_is_answered_in_the_view_and_apply_gives_the_same_everywhere(viewer, widget_in, qtbot):
    widget = widget_in(viewer)
    assert not widget.apply_button.isEnabled()
    assert "labels layer" in widget.apply_button.toolTip()
    mask = add(viewer, mask_layer())
    settled(qtbot, widget)
    assert widget.item.source.maps is None
    shown = [name for name in widget.numbers.numbers if widget.numbers.numbers[name].isVisible()]
    assert shown == ["min_depth", "min_distance", "min_size"], "what a mask makes no use of is hidden"

    before = widget.count.text()
    assert "in view" in before
    preview = viewer.layers["split preview"]
    first = widget.seen.count
    with qtbot.waitSignal(widget._looker.found, timeout=30_000):
        widget.numbers.numbers["min_depth"].slider.setValue(120)
    settled(qtbot, widget)
    assert widget.options.min_depth == pytest.approx(0.6)
    assert widget.seen.count < first, "a higher depth cuts less"
    assert widget.count.text() != before
    assert viewer.layers.selection.active == mask, "the preview does not take the selection away"

    found = applied(qtbot, widget)
    made = viewer.layers["mask split"]
    np.testing.assert_array_equal(made.data, found.array)
    assert [layer.name for layer in viewer.layers] == ["mask", "mask split", "split preview"]
    assert widget.apply_button.text() == "Apply to the whole picture"
    whole = finish(separated_steps(SplitSource.of_labels(widget.item.source.labels), "watershed", widget.options))
    np.testing.assert_array_equal(found.array, whole.array)
    assert made.metadata["medseg"]["segments"] == whole.segments
    assert {flag for s in whole.segments for flag in s.flags} >= {"touches_border"}
    settled(qtbot, widget)
    assert f"{len(whole.segments)} in all" in widget.count.text()
    assert preview.data.shape == mask.data.shape
    assert 0 < np.count_nonzero(preview.data) < np.count_nonzero(made.data), "outlines only"
    assert set(np.unique(preview.data)) <= set(np.unique(widget.seen.array))
    assert same_objects(widget.seen.array, made.data), "all of it was in view"

    widget.numbers.numbers["min_size"].box.setValue(150.0)
    again = applied(qtbot, widget)
    assert len(again.segments) < len(found.segments)
    assert [layer.name for layer in viewer.layers].count("mask split") == 1, "Apply replaces what it made"
    widget.reset_button.click()
    assert widget.options == SplitOptions()


def test_connected_parts_keep_together_what_touches(viewer, widget_in, qtbot):
    widget = widget_in(viewer)
    add(viewer, mask_layer())
    widget.method.setCurrentIndex(widget.method.findData("components"))
    found = applied(qtbot, widget)
    from scipy import ndimage

    mask = viewer.layers["mask"].data > 0
    assert len(found.segments) == ndimage.label(mask, np.ones((3, 3)))[1]
    assert not widget.numbers.numbers["min_depth"].isVisible()
    row = widget.method.findData("maskrcnn")
    assert not widget.method.model().item(row).isEnabled()
    assert widget.method.model().item(row).toolTip().startswith("a detection model runs on the image itself")


def test_maps_of_a_model_are_split_anew_on_the_grid_of_the_image(viewer, widget_in, qtbot):
    from medseg.instance.segment import card_split, instances_on_steps
    from medseg.models.registry import listed
    from napari_plugin._layers import instances_layer
    from napari_plugin._request import Request

    truth = crowd((120, 150), 40, 8.0, spacing=(1.0, 1.0))
    grid = image_grid((240, 300), (0.25, 0.25), "um")
    maps = maps_of(truth, grid.reshaped((120, 150)))
    card = next(card for card in listed() if card.name == "nuclei")
    tuned = card_split(card, maps.grid)
    first = finish(instances_on_steps(maps, grid, tuned))
    made_by = Request("count", ("cells.tif",), {"model": "nuclei"})
    add(viewer, instances_layer(first, "cells nuclei", maps=maps, model="nuclei", image="cells", request=made_by))
    widget = widget_in(viewer)
    assert widget.options == tuned
    widget.numbers.numbers["min_depth"].slider.setValue(20)
    wanted = widget.options
    found = applied(qtbot, widget)
    np.testing.assert_array_equal(found.array, finish(instances_on_steps(maps, grid, wanted)).array)
    record = viewer.layers["cells nuclei split"].metadata["medseg"]
    assert record["maps"] is maps
    assert record["request"].options["splitting"] == wanted.as_dict()
    assert record["request"].inputs == ("cells.tif",)
    line = widget.request().command_line()
    assert line.startswith("medseg count cells.tif -m nuclei")
    assert f"--min-size {wanted.min_size}" in line, "numbers that are no round ones are given exactly"


def test_what_is_copied_gives_the_same_objects_on_the_command_line(viewer, widget_in, qtbot, tmp_path):
    from qtpy.QtWidgets import QApplication

    from medseg import read_labels, write
    from medseg.cli.app import build

    data, attributes, _ = mask_layer((90, 110), n=25)
    path = tmp_path / "cells_labels.tif"
    write(LabelMap(data, attributes["metadata"]["medseg"]["grid"]), path)
    viewer.open(str(path), plugin="medseg")
    widget = widget_in(viewer)
    widget.numbers.numbers["min_depth"].slider.setValue(0)
    widget.numbers.numbers["min_size"].box.setValue(5.0)
    found = applied(qtbot, widget)
    widget.recipe_button.click()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(QApplication.clipboard().text().replace("out: results", f"out: {tmp_path / 'out'}"))
    with pytest.raises(SystemExit) as end:
        build()(["run", str(recipe)], prog_name="medseg")
    assert end.value.code in (0, None)
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "cells_instances.tif").array, found.array)
    widget.command_button.click()
    assert "--min-depth 0.0" in QApplication.clipboard().text()

    viewer.layers[0].data[:9, :9] = 1
    widget.command_button.click()
    assert "changed since" in widget.result.text()


def test_maps_that_were_saved_are_read_and_split_as_the_command_does(viewer, widget_in, qtbot, tmp_path):
    from medseg import read
    from medseg.io.zarr import write_maps
    from medseg.pipeline import split_steps

    truth = crowd((100, 120), 30, 8.0, spacing=(1.0, 1.0))
    maps = maps_of(truth, image_grid(truth.shape, (0.5, 0.5), "um"))
    path = tmp_path / "well_maps.ome.zarr"
    write_maps(maps, path)
    viewer.open(str(path), plugin="medseg")
    widget = widget_in(viewer)
    qtbot.waitUntil(lambda: widget.item is not None, timeout=30_000)
    assert len(widget.choice.layers) == 1
    found = applied(qtbot, widget)
    np.testing.assert_array_equal(found.array, finish(split_steps(read(path), options=SplitOptions())).array)
    assert widget.request().inputs == (str(path),)


def test_a_slice_of_an_anisotropic_stack_shows_its_bodies_cut(viewer, widget_in, qtbot):
    shape, spacing = (20, 80, 100), (2.0, 0.5, 0.5)
    mask = add(viewer, mask_layer(shape, spacing, n=45, radius=3.5))
    widget = widget_in(viewer)
    widget.numbers.numbers["min_depth"].set_value(0.3)
    whole = finish(separated_steps(widget.item.source, "watershed", widget.options)).array
    for k in (3, 11):
        viewer.dims.set_point(0, k * 2.0)
        widget._look()
        settled(qtbot, widget)
        preview = viewer.layers["split preview"]
        assert preview.data.shape == (1, 80, 100)
        np.testing.assert_allclose(preview.data_to_world((0, 0, 0)), mask.data_to_world((k, 0, 0)))
        seen, ids = widget.seen.array[0], np.unique(whole[k])[1:]
        equal = [np.array_equal(whole[k] == i, seen == seen[whole[k] == i][0]) for i in ids]
        assert len(ids) > 5
        assert np.mean(equal) > 0.8, "only objects of parts that the margin cuts may differ"
        shown = widget.seen.count
        assert f"<b>{shown}</b> objects in view" in widget.count.text()
    assert widget.numbers._labels["min_size"].text() == "Least size (µm³)"
    viewer.dims.ndisplay = 3
    settled(qtbot, widget)
    preview = viewer.layers["split preview"]
    assert preview.data.shape == shape
    np.testing.assert_array_equal(preview.data, widget.seen.array, "bodies in 3-D, outlines in slices")


def test_a_scan_that_is_oblique_keeps_its_place(viewer, widget_in, qtbot, oblique_grid):
    from napari_plugin._layers import label_map_of, labels_layer

    grid = Grid((40, 34, 22), oblique_grid.world_from_index)
    truth = crowd(grid.shape, 30, 7.0, spacing=grid.spacing)
    layer = add(viewer, labels_layer(LabelMap((truth > 0).astype(np.uint8), grid, {1: "lesion"}), "lesions"))
    widget = widget_in(viewer)
    assert widget.numbers._labels["min_distance"].text() == "Centres apart (mm)"
    found = applied(qtbot, widget)
    back = label_map_of(viewer.layers["lesions split"])
    assert back.grid.same_as(grid)
    np.testing.assert_array_equal(back.array, found.array)
    settled(qtbot, widget)
    preview, made = viewer.layers["split preview"], viewer.layers["lesions split"]
    start = np.rint(layer.world_to_data(preview.data_to_world((0, 0, 0)))).astype(int)
    part = made.data[tuple(slice(a, a + n) for a, n in zip(start, preview.data.shape, strict=True))]
    assert part.shape == preview.data.shape
    assert same_objects(widget.seen.array, found.array[widget.seen.box])
    assert np.count_nonzero(preview.data) > 20
    assert (part[preview.data > 0] > 0).all(), "outlines lie on the objects"


def test_zoom_and_pan_choose_what_is_looked_at(viewer, widget_in, qtbot):
    from napari_plugin._views import camera_of

    add(viewer, mask_layer((400, 400), (1.0, 1.0), n=150, radius=9.0, unit="px"))
    viewer.show()
    widget = widget_in(viewer)
    settled(qtbot, widget)
    assert viewer.layers["split preview"].data.shape == (400, 400)
    camera_of(viewer).zoom *= 4
    camera_of(viewer).center = (0.0, 100.0, 120.0)
    qtbot.wait(50)
    widget._look()
    settled(qtbot, widget)
    preview = viewer.layers["split preview"]
    assert max(preview.data.shape) < 400
    low = np.array(preview.data_to_world((0, 0)))
    high = np.array(preview.data_to_world(np.array(preview.data.shape) - 1))
    assert (low < (100, 120)).all()
    assert (high > (100, 120)).all()


def test_bad_layers_are_said_in_words_and_never_end_in_a_fault(viewer, widget_in, qtbot):
    widget = widget_in(viewer)
    viewer.add_image(np.random.default_rng(0).normal(size=(50, 60)), name="float picture")
    assert widget.choice.layer is None
    assert "mask" in widget.kind.text()
    empty = viewer.add_labels(np.zeros((50, 60), np.uint8), name="empty")
    settled(qtbot, widget)
    assert "<b>0</b> objects" in widget.count.text()
    applied(qtbot, widget)
    assert "No objects" in widget.result.text()

    empty.data[10:20, 10:20] = 3
    empty.events.paint(value=[])
    settled(qtbot, widget)
    assert "<b>1</b> object in view" in widget.count.text(), "a brush stroke is followed"

    viewer.layers.remove("split preview")
    assert not widget.live_box.isChecked(), "who deletes the preview does not want it"
    assert widget.apply_button.isEnabled()


def test_a_layer_that_is_deleted_during_work_ends_the_work(viewer, widget_in, qtbot):
    widget = widget_in(viewer)
    add(viewer, mask_layer((60, 400, 400), (1.0, 1.0, 1.0), n=1500, radius=9.0, unit="px"))
    with qtbot.waitSignal(widget.bar.stepped, timeout=60_000):
        widget.apply()
    with qtbot.waitSignal(widget.bar.ended, timeout=60_000):
        viewer.layers.remove("mask")
    settled(qtbot, widget)
    assert [layer.name for layer in viewer.layers] == []
    assert not widget.apply_button.isEnabled()


def test_of_wishes_in_a_row_the_last_is_fulfilled_and_few_others(viewer, widget_in, qtbot):
    widget = widget_in(viewer)
    add(viewer, mask_layer())
    settled(qtbot, widget)
    looks = []
    widget._looker.found.connect(looks.append)
    for tick in range(0, 200, 2):
        widget.numbers.numbers["min_depth"].slider.setValue(tick)
    last = widget.options
    settled(qtbot, widget)
    assert looks[-1].wish.options == last
    assert len(looks) < 10, "a hundred steps of a slider are no hundred looks"


def test_a_widget_that_is_closed_leaves_no_preview_and_no_thread(viewer, qtbot):
    from napari_plugin._split import SplitWidget

    viewer.show()
    add(viewer, mask_layer())
    dock, widget = viewer.window.add_plugin_dock_widget("medseg", "Split")
    assert isinstance(widget, SplitWidget)
    widget._look()
    settled(qtbot, widget)
    assert "split preview" in viewer.layers
    viewer.window.remove_dock_widget(dock)
    assert "split preview" not in viewer.layers
    assert not widget.looking
    viewer.layers.clear()
    assert widget.choice.layer is not None, "it listens no longer"
