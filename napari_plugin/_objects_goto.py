"""Bring an object before the eyes: the slices through it, the camera on it, a frame around it."""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_plugin._layers import index_of, world_point
from napari_plugin._objects_history import Box
from napari_plugin._views import camera_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

SHARE = 0.25
"""Part of the canvas that an object fills after zooming to it."""
FRAME = "object in the table"
_COLOUR = "#ffd24d"
_WIDE = 2.0
_FLAT = 2

Floats = npt.NDArray[np.float64]


def go_to(viewer: Viewer, layer: Any, array: Any, number: int, box: Box, *, zoom: bool = True) -> None:
    """Show the slice in which an object lies, centre the camera on the object, and zoom to it.

    Parameters
    ----------
    viewer : Viewer
    layer : napari.layers.Labels
    array : label array in the axes of the grid
    number : int
    box : tuple of slice
        Of the object, in the axes of the grid.
    zoom : bool
        False keeps the zoom as it is.
    """
    go_to_box(viewer, layer, np.asarray(array[box]) == number, box, zoom=zoom)


def go_to_box(viewer: Viewer, layer: Any, part: Any, box: Box, *, zoom: bool = True) -> None:
    """Do what `go_to` does for what fills a part of a box.

    Parameters
    ----------
    viewer, layer, box, zoom
        As in `go_to`.
    part : bool array of the box's shape
        Holds at least one voxel that is true.
    """
    low, high = _corners(viewer, layer, box)
    first = viewer.dims.ndim - layer.ndim
    inside = world_point(layer, _middle_voxel(part, box), viewer)
    viewer.dims.set_point(range(first, viewer.dims.ndim), inside)
    shown = [axis - first for axis in viewer.dims.displayed]
    if zoom:
        viewer.reset_view(reset_camera_angle=False)
        camera_of(viewer).zoom *= max(1.0, SHARE * _room(viewer, low, high, shown))
    centre = [(low[a] + high[a]) / 2 if a >= 0 else camera_of(viewer).center[n] for n, a in enumerate(shown)]
    # in 2-D the camera has three numbers too, the first of which does not count
    camera_of(viewer).center = (*((camera_of(viewer).center[0],) if len(shown) == _FLAT else ()), *centre)


def frame_edges(viewer: Viewer, layer: Any, box: Box) -> Floats:
    """Return the edges of a box in the layer's data axes: of a rectangle in the slice that is shown, all in 3-D.

    Returns
    -------
    (k, 2, n) float64 array
        Where each edge begins, and the way to its end; empty where the box does not reach the slice that is shown.
    """
    n = layer.ndim
    spans = [(s.start - 0.5, s.stop - 0.5) for s in box]
    first = viewer.dims.ndim - n
    shown = _grid_axes(layer, [axis - first for axis in viewer.dims.displayed if axis >= first])
    if len(shown) == _FLAT:
        here = index_of(layer, viewer.dims.point, viewer)
        if any(not s.start <= here[a] < s.stop for a, s in enumerate(box) if a not in shown):
            return np.zeros((0, 2, n))
        spans = [span if a in shown else (float(here[a]),) * 2 for a, span in enumerate(spans)]
    points = sorted(set(product(*spans)))
    edges = [(a, b) for a, b in combinations(points, 2) if np.count_nonzero(np.array(a) != np.array(b)) == 1]
    ends = _in_data(layer, np.array(edges).reshape(-1, n)).reshape(-1, 2, n)
    return np.stack([ends[:, 0], ends[:, 1] - ends[:, 0]], axis=1)


class Frame:
    """A frame around the chosen object, in a vectors layer of its own that goes when it is not wanted any more."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._lines: Any = None
        self._around: tuple[Any, Box] | None = None
        for event in (viewer.dims.events.current_step, viewer.dims.events.ndisplay, viewer.dims.events.order):
            event.connect(self.draw)

    def show(self, layer: Any, box: Box | None) -> None:
        """Put the frame around a box of a layer, or take it away."""
        self._around = None if box is None else (layer, box)
        if box is None:
            self._remove()
        else:
            self.draw()

    def close(self) -> None:
        """Take the frame away for good."""
        dims = self._viewer.dims.events
        for event in (dims.current_step, dims.ndisplay, dims.order):
            event.disconnect(self.draw)
        self._around = None
        self._remove()

    def draw(self, _: Any = None) -> None:
        """Draw the frame for the slice that is shown."""
        if self._around is None or self._around[0] not in self._viewer.layers:
            return
        layer, box = self._around
        edges = frame_edges(self._viewer, layer, box)
        if not len(edges):
            if self._lines is not None and self._lines in self._viewer.layers:
                self._lines.visible = False
            return
        thin = _WIDE / max(camera_of(self._viewer).zoom, 1e-9) / _step(self._viewer, layer)
        self._make(layer, edges)
        self._lines.edge_width = thin
        self._lines.visible = True

    def _make(self, layer: Any, edges: Floats) -> None:
        if self._lines is not None and self._lines in self._viewer.layers:
            self._lines.data = edges
            return
        held = set(self._viewer.layers.selection)
        active = self._viewer.layers.selection.active
        self._lines = self._viewer.add_vectors(
            edges,
            name=FRAME,
            edge_color=_COLOUR,
            vector_style="line",
            affine=_affine(layer),
            units=layer.units,
            axis_labels=layer.axis_labels,
        )
        self._viewer.layers.selection.update(held)
        self._viewer.layers.selection.discard(self._lines)
        self._viewer.layers.selection.active = active

    def _remove(self) -> None:
        if self._lines is not None and self._lines in self._viewer.layers:
            self._viewer.layers.remove(self._lines)
        self._lines = None


def _corners(viewer: Viewer, layer: Any, box: Box) -> tuple[Floats, Floats]:
    ends = product(*((s.start - 0.5, s.stop - 0.5) for s in box))
    points = np.array([world_point(layer, end, viewer) for end in ends])
    return points.min(axis=0), points.max(axis=0)


def _middle_voxel(part: Any, box: Box) -> tuple[int, ...]:
    """Return a voxel of the part in the middle of its box, or as near to that as there is one."""
    chosen: list[int] = []
    for start in (s.start for s in box):
        filled = np.flatnonzero(part.reshape(len(part), -1).any(axis=1))
        at = int(filled[np.argmin(np.abs(filled - (len(part) - 1) / 2))])
        chosen.append(start + at)
        part = part[at] if part.ndim > 1 else part
    return tuple(chosen)


def _room(viewer: Viewer, low: Floats, high: Floats, shown: list[int]) -> float:
    """Return how many times an object could be enlarged before it fills what is now shown of all layers."""
    world = np.asarray(viewer.layers.extent.world)
    first = world.shape[1] - len(low)
    whole = np.array([np.ptp(world[:, a + first]) for a in shown])
    own = np.array([high[a] - low[a] for a in shown if a >= 0])
    return float(np.min(whole) / max(float(np.max(own)), 1e-12))


def _grid_axes(layer: Any, shown: list[int]) -> list[int]:
    """Return which axes of the grid the layer's axes are."""
    zero = np.array(_grid_index(layer, np.zeros(layer.ndim)))
    found = []
    for axis in shown:
        step = np.zeros(layer.ndim)
        step[axis] = 1.0
        found.append(int(np.argmax(np.abs(np.array(_grid_index(layer, step)) - zero))))
    return found


def _grid_index(layer: Any, data_index: Floats) -> tuple[int, ...]:
    return index_of(layer, layer.data_to_world(tuple(data_index)))


def _in_data(layer: Any, points: Floats) -> Floats:
    return np.array([layer.world_to_data(world_point(layer, p)) for p in points])


def _affine(layer: Any) -> Floats:
    n = layer.ndim
    origin = np.array(layer.data_to_world((0.0,) * n))
    matrix = np.eye(n + 1)
    matrix[:n, :n] = np.stack([np.array(layer.data_to_world(tuple(e))) - origin for e in np.eye(n)], axis=1)
    matrix[:n, n] = origin
    return matrix


def _step(viewer: Viewer, layer: Any) -> float:
    """Return how long a step of the layer's data is for the viewer, at least."""
    zero = np.array(world_point(layer, (0,) * layer.ndim, viewer))
    return float(min(np.linalg.norm(np.array(world_point(layer, e, viewer)) - zero) for e in np.eye(layer.ndim)))
