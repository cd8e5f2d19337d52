"""Objects and comparison: structures of a scan, one cell of a crowd, and where two results differ."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

import numpy as np

LONGEST = 300.0
"""Seconds to wait for work on a busy computer."""


def _wait(until: Callable[[], bool]) -> None:
    from qtpy.QtWidgets import QApplication

    end = monotonic() + LONGEST
    while not until() and monotonic() < end:
        QApplication.processEvents()
        sleep(0.02)
    for _ in range(10):
        QApplication.processEvents()


def _split(viewer: Any) -> Any:
    """Open the computed stack of touching cells, and return its bare mask split where it narrows."""
    from medseg.instance.watershed import split_mask
    from medseg.labels import LabelMap
    from napari_plugin._layers import instances_of

    viewer.open_sample("medseg", "cells_stack")
    truth = instances_of(viewer.layers["cells_truth"])
    return split_mask(LabelMap((truth.array > 0).astype(np.uint8), truth.grid, {1: "cell"}))


def _add(viewer: Any, layers: list[Any]) -> None:
    from napari.layers import Layer

    for layer in layers:
        viewer.add_layer(Layer.create(*layer))


def _open(viewer: Any, name: str) -> Any:
    _, widget = viewer.window.add_plugin_dock_widget("medseg", name)
    return widget


def objects_scan(viewer: Any) -> None:
    """Segment the average hippocampus, and show one of its structures."""
    from medseg import segment
    from napari_plugin._layers import labels_layer, volume_from_layer
    from napari_plugin._views import show_plane

    viewer.open_sample("medseg", "hippocampus_mean")
    image = viewer.layers["hippocampus_mean"]
    found = segment(volume_from_layer(image), device="cpu")
    _add(viewer, [labels_layer(found.labels, "hippocampus_mean_labels", image=image.name)])
    show_plane(viewer, "sagittal")
    widget = _open(viewer, "Objects")
    widget.view.image.layer = image
    _wait(lambda: widget.session is not None and not widget.view.run.busy)
    widget.step(1)
    _wait(lambda: True)


def objects_cells(viewer: Any) -> None:
    """Show the table of a crowd of cells, those that need eyes first, and one of them in its frame."""
    from napari_plugin._layers import instances_layer

    _add(viewer, [instances_layer(_split(viewer), "cells_instances")])
    widget = _open(viewer, "Objects")
    _wait(lambda: widget.session is not None and not widget.view.run.busy)
    widget.view.need_first.click()
    widget.step(1)
    widget.step(1)
    _wait(lambda: True)


def compare_cells(viewer: Any) -> None:
    """Show where a split of the crowd differs from the truth."""
    from napari_plugin._layers import instances_layer

    _add(viewer, [instances_layer(_split(viewer), "cells_instances")])
    widget = _open(viewer, "Compare")
    widget.compare.click()
    _wait(lambda: widget.result is not None and not widget.run.busy)
    widget.worst.selectRow(0)
    _wait(lambda: True)


PICTURES = {
    "napari_objects_scan": objects_scan,
    "napari_objects_cells": objects_cells,
    "napari_compare": compare_cells,
}
