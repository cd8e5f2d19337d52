"""Scenes for the tests of the Objects widget: objects with gaps in their numbers, on every kind of grid."""

from types import SimpleNamespace

import numpy as np
from napari.layers import Layer
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks

from medseg.grid import Grid, image_grid
from medseg.labels import Instances, Segment
from napari_plugin._layers import instances_layer
from napari_plugin._objects import ObjectsWidget

CENTRES = {3: (5, 6, 5), 7: (14, 9, 6), 8: (14, 17, 6), 40: (7, 24, 16), 90: (20, 26, 10)}
"""7 and 8 touch; in the axes of the grid."""
SHAPE = (26, 32, 20)
RADIUS = 4


def oblique():
    """Return a left-handed, oblique, anisotropic patient grid away from the origin."""
    turn = np.deg2rad(20.0)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine[:3, :3] = affine[:3, :3] @ np.diag([-0.8, 1.5, 3.0])
    affine[:3, 3] = (31.0, -17.5, 8.25)
    return Grid(SHAPE, affine)


GRIDS = {
    "oblique patient in mm": oblique(),
    "stack in um": image_grid(SHAPE, (2.0, 0.5, 0.4), "um"),
    "stack in pixels": image_grid(SHAPE, (1.0, 1.0, 1.0), "px"),
}


def objects(grid):
    """Return five objects; number 7 is flagged, 40 has a low score."""
    at = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    array = np.zeros(grid.shape, np.uint8)
    for number, centre in CENTRES.items():
        array[sum((x - c) ** 2 for x, c in zip(at, centre, strict=True)) <= RADIUS**2] = number
    segments = tuple(
        Segment(i, 1, 0.3 if i == 40 else 0.9, flags=("likely_merged",) if i == 7 else ()) for i in CENTRES
    )
    return Instances(array, grid, segments, {1: "cell", 2: "debris"})


def add(viewer, instances, name="cells"):
    """Add the objects to a viewer as a reader would."""
    viewer.add_layer(Layer.create(*instances_layer(instances, name)))
    return viewer.layers[name]


def opened(viewer, qtbot):
    """Open the widget in the viewer's window and wait until the objects are measured."""
    widget = ObjectsWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Objects", area="right")
    settle(widget, qtbot)
    return widget


def settle(widget, qtbot):
    """Wait for the work beside the window."""
    qtbot.waitUntil(lambda: not widget.view.run.busy, timeout=20_000)


def click(viewer, world):
    """Press and release the mouse at a point of the viewer's world."""
    shown = list(viewer.dims.displayed)
    event = SimpleNamespace(
        type="mouse_press", position=tuple(world), dims_displayed=shown, view_direction=None, button=1, modifiers=()
    )
    mouse_press_callbacks(viewer, event)
    event.type = "mouse_release"
    mouse_release_callbacks(viewer, event)
