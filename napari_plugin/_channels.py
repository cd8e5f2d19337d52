"""Which layers make up the image: one, or one for each channel that the model wants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QWidget

from medseg import Volume
from medseg.models.fits import n_channels
from medseg.volume import check_one_grid
from napari_plugin._layer_choice import LayerChoice
from napari_plugin._layers import record_of, volume_from_layer

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from medseg.models.card import ModelCard


class Channels(QWidget):
    """A choice of an image layer, and one more for each further channel that a model wants.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.first = LayerChoice(viewer, ("image",), usable=lambda layer: layer.ndim in (2, 3))
        self.more: list[LayerChoice] = []
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.addRow(self.first)
        self.first.changed.connect(self._changed)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The chosen layers in the order of the channels; empty while one is missing."""
        chosen = [choice.layer for choice in (self.first, *self.more)]
        return tuple(layer for layer in chosen if layer is not None) if None not in chosen else ()

    def volumes(self) -> tuple[Volume, ...]:
        """Return the image of each layer, without a copy.

        Raises
        ------
        MedsegError
            If a layer cannot be used or the channels lie on different grids.
        """
        found = tuple(volume_from_layer(layer) for layer in self.layers)
        check_one_grid(found)
        return found

    def outline(self, card: ModelCard) -> Volume:
        """Return an image with the place and the channels of the whole; where they are several, without their values.

        Raises
        ------
        MedsegError
            As `volumes`.
        """
        found = self.volumes()
        if len(found) == 1:
            return found[0]
        nothing = np.broadcast_to(np.zeros((), np.uint8), (len(found), *found[0].grid.shape))
        names = card.input.channels if len(card.input.channels) == len(found) else ()
        return replace(found[0], array=nothing, channels=names)

    def fit(self, card: ModelCard | None) -> None:
        """Show as many choices as the model has channels; a colour layer has its own."""
        wanted = 1 if card is None or self._is_colour() else min(n_channels(card))
        names = () if card is None else card.input.channels
        while len(self.more) > wanted - 1:
            choice = self.more.pop()
            choice.let_go()
            self._form.removeRow(choice)
        while len(self.more) < wanted - 1:
            number = len(self.more) + 1
            choice = LayerChoice(self._viewer, ("image",), optional=True, usable=lambda layer: layer.ndim in (2, 3))
            self.more.append(choice)
            self._form.addRow(names[number] if number < len(names) else str(number), choice)
            self._propose(choice)
            choice.changed.connect(self._changed)

    def let_go(self) -> None:
        """Listen to the viewer no longer."""
        for choice in (self.first, *self.more):
            choice.let_go()

    def _is_colour(self) -> bool:
        return bool(getattr(self.first.layer, "rgb", False))

    def _propose(self, choice: LayerChoice) -> None:
        """Choose a layer on the grid of the first that no other choice has taken."""
        taken = [other.layer for other in (self.first, *self.more) if other is not choice]
        grid = record_of(self.first.layer).get("grid") if self.first.layer is not None else None
        for layer in choice.layers:
            own = record_of(layer).get("grid")
            if layer not in taken and grid is not None and own is not None and own.same_as(grid):
                choice.layer = layer
                return

    def _changed(self, _: Any = None) -> None:
        self.changed.emit()
