"""Opens napari with the plugin: what ``medseg view`` and ``make gui`` start."""

from __future__ import annotations

import sys

import napari
from qtpy.QtCore import QTimer


def open_window(*paths: str) -> napari.Viewer:
    """Open a window with the plugin's first widgets beside it, and then the files.

    Parameters
    ----------
    *paths : str
        Each is opened on its own, so that one that is refused does not stop the others.
    """
    viewer = napari.Viewer(title="medseg in napari")
    look, _ = viewer.window.add_plugin_dock_widget("medseg", "Look", tabify=True)
    viewer.window.add_plugin_dock_widget("medseg", "Segment", tabify=True)
    look.raise_()

    def load() -> None:
        for path in paths:
            viewer.open(path, plugin="medseg")

    # once the window is there: what goes wrong is then said in it
    QTimer.singleShot(0, load)
    return viewer


if __name__ == "__main__":
    kept = open_window(*sys.argv[1:])
    napari.run()
