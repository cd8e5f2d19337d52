"""Which part of an image to work on: all of it, what the canvas shows, or a box that the user draws."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_plugin._foreign import unit_factors
from napari_plugin._layer_choice import LayerChoice
from napari_plugin._layers import index_of, layer_place, volume_from_layer

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from medseg import Grid

Box = tuple[tuple[int, int], ...]
BOX_NAME = "box to segment"


class Part(IntEnum):
    """Rows of the choice."""

    WHOLE = 0
    VISIBLE = 1
    BOX = 2


class Where(QWidget):
    """Chooses the part of an image to work on.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.combo = QComboBox()
        self.combo.addItems(["the whole image", "what the canvas shows", "a box that I draw"])
        self.shapes = LayerChoice(viewer, ("shapes",))
        self.draw_button = QPushButton("Draw a box")
        self.draw_button.setToolTip(
            "Draw a rectangle on a slice. It goes through all slices; draw a second one on another slice to end there"
        )
        self._lay_out()
        self.combo.currentIndexChanged.connect(self._show)
        self.shapes.changed.connect(lambda _: self.changed.emit())
        self._show()

    def box(self, layer: Layer) -> Box | None:
        """Return (start, stop) voxels along each axis of the layer's value; None for all of it.

        Raises
        ------
        LookupError
            With a sentence, where nothing is drawn or nothing of the image lies in the box.
        """
        grid = volume_from_layer(layer).grid
        part = Part(self.combo.currentIndex())
        if part == Part.WHOLE:
            return None
        corners = self._visible(layer, grid) if part == Part.VISIBLE else self._drawn(layer)
        box = box_of(corners, grid.shape)
        return None if all(pair == (0, n) for pair, n in zip(box, grid.shape, strict=True)) else box

    def start_drawing(self, layer: Layer) -> None:
        """Add a shapes layer that lies on `layer`, ready to draw rectangles in; use the one that is there."""
        grid = volume_from_layer(layer).grid
        made = [one for one in self.shapes.layers if one.name == BOX_NAME and one.ndim == layer.ndim]
        shapes = (
            made[0]
            if made
            else self._viewer.add_shapes(
                name=BOX_NAME,
                ndim=layer.ndim,
                edge_color="#ffb000",
                face_color="transparent",
                edge_width=0,
                **layer_place(grid),
            )
        )
        if not made:
            shapes.current_edge_width = max(0.5, max(grid.shape) / 150)
        self.shapes.layer = next(one for one in self.shapes.layers if one == shapes)
        self._viewer.layers.selection.active = shapes
        shapes.mode = "add_rectangle"
        shapes.events.data.connect(self._redrawn)

    def let_go(self) -> None:
        """Listen to the viewer no longer."""
        self.shapes.let_go()

    def _redrawn(self, _: Any = None) -> None:
        self.changed.emit()

    def _visible(self, layer: Layer, grid: Grid) -> npt.NDArray[np.float64]:
        """Return corners of what the canvas shows; through all slices, and all of it in 3-D."""
        shown = [axis - (self._viewer.dims.ndim - layer.ndim) for axis in self._viewer.dims.displayed]
        corners = np.asarray(layer.corner_pixels, dtype=np.float64).copy()
        if layer.multiscale:  # counted in the level that is shown
            corners *= np.asarray(layer.downsample_factors)[layer.data_level]
        hidden = [axis for axis in range(layer.ndim) if axis not in shown or len(shown) > 2]
        corners[:, hidden] = np.nan
        return corners[:, ::-1] if grid.space == "patient" else corners

    def _drawn(self, layer: Layer) -> npt.NDArray[np.float64]:
        shapes = self.shapes.layer
        if shapes is None or not len(shapes.data):
            raise LookupError("Draw a rectangle around the part first: press “Draw a box”.")
        if shapes.ndim != layer.ndim:
            raise LookupError(f"The layer “{shapes.name}” has other axes than the image: press “Draw a box”.")
        factors = unit_factors(shapes.units, self._viewer)
        points = [np.asarray(shapes.data_to_world(tuple(p))) * factors for shape in shapes.data for p in shape]
        corners = np.array([index_of(layer, point, self._viewer) for point in points], dtype=np.float64)
        flat = np.ptp(corners, axis=0) == 0
        corners[:, flat] = np.nan  # one slice only: the box goes through all of them
        return corners

    def _show(self, _: int = 0) -> None:
        drawn = self.combo.currentIndex() == Part.BOX
        self.shapes.setVisible(drawn)
        self.draw_button.setVisible(drawn)
        self.changed.emit()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.shapes, 1)
        row.addWidget(self.draw_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.combo)
        column.addLayout(row)


def box_of(corners: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Box:
    """Return the box of voxels around points, within an image.

    Parameters
    ----------
    corners : (m, n) floats
        Voxel indices; not a number for an axis that is not limited.
    shape : (n,) ints

    Raises
    ------
    LookupError
        If no voxel of the image lies in it.

    Examples
    --------
    >>> box_of(np.array([[2.0, np.nan], [5.4, np.nan]]), (9, 4))
    ((2, 6), (0, 4))
    """
    pairs = []
    for axis, n in enumerate(shape):
        own = corners[:, axis]
        if np.isnan(own).any():
            pairs.append((0, n))
            continue
        start, stop = max(0, int(np.floor(own.min()))), min(n, int(np.floor(own.max())) + 1)
        if start >= stop:
            raise LookupError("Nothing of the image lies in this part.")
        pairs.append((start, stop))
    return tuple(pairs)
