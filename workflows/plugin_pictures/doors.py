"""Opening and looking: samples in slices and in space."""

from __future__ import annotations

from typing import Any


def _look(viewer: Any) -> Any:
    from qtpy.QtWidgets import QApplication

    _, widget = viewer.window.add_plugin_dock_widget("medseg", "Look")
    for _ in range(10):
        QApplication.processEvents()
    return widget


def look_axial(viewer: Any) -> None:
    """Show the computed oblique scan with its labels, and its facts beside it."""
    viewer.open_sample("medseg", "phantom")
    _look(viewer).planes["axial"].click()


def look_space(viewer: Any) -> None:
    """Show the labels of the computed scan in space."""
    viewer.open_sample("medseg", "phantom")
    viewer.layers["phantom"].opacity = 0.5
    _look(viewer).planes["3-D"].click()


def hippocampus(viewer: Any) -> None:
    """Show the average hippocampus in the coronal plane."""
    viewer.open_sample("medseg", "hippocampus_mean")
    widget = _look(viewer)
    widget.planes["coronal"].click()
    widget.centre.click()


def cells(viewer: Any) -> None:
    """Show the computed stack of touching cells."""
    viewer.open_sample("medseg", "cells_stack")
    viewer.layers["cells_truth"].visible = True
    _look(viewer).planes["axial"].click()


PICTURES = {
    "napari_look": look_axial,
    "napari_look_3d": look_space,
    "napari_hippocampus": hippocampus,
    "napari_cells": cells,
}
