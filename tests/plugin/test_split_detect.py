"""A second opinion: the detector looks at the image of a layer, and what both methods found is told in a sentence."""

import numpy as np
import pytest

pytest.importorskip("napari")

from medseg.metrics.consensus import consensus
from medseg.samples.cells import nuclei

pytestmark = pytest.mark.gl


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def widget(viewer, qtbot):
    from napari_plugin._split import SplitWidget

    made = SplitWidget(viewer)
    qtbot.addWidget(made)
    made.resize(380, 700)
    made.show()
    yield made
    made.give_up()


def offered(widget):
    return widget.method.model().item(widget.method.findData("maskrcnn"))


def add(viewer, layer):
    data, attributes, kind = layer
    return getattr(viewer, f"add_{kind}")(data, **attributes)


def add_cells(viewer):
    """Add a computed picture under another image, and a mask of it that knows its image; returns its truth."""
    from medseg.labels import LabelMap
    from napari_plugin._layers import labels_layer, volume_layers

    cells = nuclei(seed=2, n=14, shape=(160, 160))
    add(viewer, volume_layers(nuclei(seed=9, n=3, shape=(96, 128)).volume, "other")[0])
    add(viewer, volume_layers(cells.volume, "well")[0])
    mask = LabelMap((cells.instances.array > 0).astype(np.uint8), cells.volume.grid, {1: "cell"})
    add(viewer, labels_layer(mask, "mask", image="well"))
    return cells.instances


def test_the_detector_looks_at_the_image_of_the_layer_and_both_counts_are_told(viewer, widget, qtbot):
    from qtpy.QtCore import Qt

    from napari_plugin._layers import instances_of

    assert not offered(widget).isEnabled()
    truth = add_cells(viewer)
    assert offered(widget).isEnabled()
    qtbot.waitUntil(lambda: not widget.looking, timeout=30_000)
    assert "split preview" in viewer.layers

    widget.method.setCurrentIndex(widget.method.findData("maskrcnn"))
    assert widget.image.layer == viewer.layers["well"], "the layer knows its image"
    assert widget.image.isVisible()
    assert "split preview" not in viewer.layers
    assert not widget.numbers.isEnabled()
    assert "no numbers" in widget.numbers.numbers["min_depth"].toolTip()
    assert widget.live_box.isChecked(), "for when another method is chosen again"

    widget.image.layer = viewer.layers["other"]
    assert not widget.apply_button.isEnabled()
    assert "grid" in widget.apply_button.toolTip()
    widget.image.layer = viewer.layers["well"]

    def stop(step):
        if step.phase.startswith("looking for"):  # their size, or themselves
            widget.bar.cancel()

    widget.bar.stepped.connect(stop)
    with qtbot.waitSignal(widget.bar.stopped, timeout=240_000):
        qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    widget.bar.stepped.disconnect(stop)
    assert [layer.name for layer in viewer.layers] == ["other", "well", "mask"], (
        "a run that is cancelled leaves nothing"
    )

    with qtbot.waitSignal(widget.bar.done, timeout=240_000):
        qtbot.mouseClick(widget.apply_button, Qt.MouseButton.LeftButton)
    assert [layer.name for layer in viewer.layers] == ["other", "well", "mask", "mask split", "well nuclei_maskrcnn"]
    split, detected = (instances_of(viewer.layers[name]) for name in ("mask split", "well nuclei_maskrcnn"))
    assert consensus(detected, truth).n_both >= 10, "most of the 14 nuclei are found"
    assert viewer.layers["well nuclei_maskrcnn"].metadata["medseg"]["image"] == "well"
    assert all(0 < segment.score <= 1 for segment in detected.segments)
    agreed = consensus(split, detected)
    assert widget.result.text() == (
        f"{len(split.segments)} by watershed, {len(detected.segments)} by the detector; {agreed.n_both} found by both; "
        f"between {agreed.low} and {agreed.high} objects."
    )

    widget.method.setCurrentIndex(widget.method.findData("watershed"))
    qtbot.waitUntil(lambda: not widget.looking, timeout=30_000)
    assert widget.numbers.isEnabled()
    assert not widget.image.isVisible()
    assert "split preview" in viewer.layers

    widget.method.setCurrentIndex(widget.method.findData("maskrcnn"))
    for name in ("other", "well"):
        viewer.layers.remove(name)
    assert not offered(widget).isEnabled()
    assert widget.method.currentData() == "watershed", "without an image there is nothing for a detector"
