"""Splitting: a crowd of nuclei with numbers that cut too little, with numbers that fit, and a stack in space."""

from __future__ import annotations

from functools import cache
from typing import Any

from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from medseg import LabelMap, Prediction
from medseg.pipeline import SegmentOptions, load_model, segment_steps
from medseg.progress import finish
from medseg.samples.cells import nuclei
from napari_plugin._layers import instances_layer, labels_layer, volume_layers
from napari_plugin._views import camera_of

_LONGEST = 300
_TOO_LITTLE = 0.97


@cache
def _seen() -> tuple[Any, Prediction]:
    """Return a computed crowd of nuclei and what the model says about it."""
    volume = nuclei().volume
    return volume, finish(segment_steps(volume, load_model("nuclei", device="cpu"), SegmentOptions(save_maps=True)))


def _opened(viewer: Any) -> Any:
    volume, prediction = _seen()
    layers = volume_layers(volume, "nuclei picture")
    assert prediction.instances is not None
    layers.append(
        instances_layer(
            prediction.instances,
            "nuclei picture nuclei",
            maps=prediction.maps,
            model="nuclei",
            image="nuclei picture",
        )
    )
    for data, attributes, kind in layers:
        getattr(viewer, f"add_{kind}")(data, **attributes)
    viewer.layers[-1].visible = False
    _, widget = viewer.window.add_plugin_dock_widget("medseg", "Split")
    viewer.reset_view()
    _settle(widget)
    return widget


def _settle(widget: Any) -> None:
    """Let the preview come."""
    for _ in range(20 * _LONGEST):
        _wait(50)
        if not widget.looking and widget.count.text():
            return


def _wait(milliseconds: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()
    QApplication.processEvents()


def too_little(viewer: Any) -> None:
    """Ask for so deep a waist that hardly anything is cut."""
    widget = _opened(viewer)
    widget.numbers.numbers["min_depth"].box.setValue(_TOO_LITTLE)
    _closer(viewer, widget)


def fitting(viewer: Any) -> None:
    """Take the model's own numbers, and apply them."""
    widget = _opened(viewer)
    widget.apply()
    loop = QEventLoop()
    widget.bar.ended.connect(loop.quit)
    loop.exec()
    viewer.layers["nuclei picture nuclei split"].opacity = 0.3
    _closer(viewer, widget)


def in_space(viewer: Any) -> None:
    """Split a mask of a stack and show a box of it in 3-D."""
    viewer.open_sample("medseg", "cells_stack")
    truth = viewer.layers["cells_truth"]
    grid = truth.metadata["medseg"]["grid"]
    mask = LabelMap((truth.data > 0).astype("uint8"), grid, {1: "cell"})
    for layer in list(viewer.layers):
        viewer.layers.remove(layer)
    data, attributes, _ = labels_layer(mask, "cells mask")
    viewer.add_labels(data, **attributes, visible=False)
    _, widget = viewer.window.add_plugin_dock_widget("medseg", "Split")
    viewer.dims.ndisplay = 3
    viewer.reset_view()
    camera_of(viewer).angles = (0.0, 25.0, 70.0)
    _settle(widget)


def _closer(viewer: Any, widget: Any) -> None:
    camera_of(viewer).zoom *= 1.6
    _wait(100)
    _settle(widget)


PICTURES = {"napari_split_before": too_little, "napari_split": fitting, "napari_split_3d": in_space}
