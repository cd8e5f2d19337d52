"""A list of the viewer's layers of one kind to choose from; it follows layers that come, go and are renamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

_NOTHING = "none"
_EMPTY = {"image": "no image layer yet", "labels": "no labels layer yet"}


class LayerChoice(QComboBox):
    """Lists the layers of some kinds, the newest first chosen when there was none.

    `changed` comes with the chosen layer, or with None, only when another one than before is chosen; layers that are
    added, removed, renamed or moved in the list keep the choice as long as the layer is there.

    Parameters
    ----------
    viewer : Viewer
    kinds : tuple of str
        Kinds as napari names them, such as ``image`` or ``labels``.
    optional : bool
        Offer "none", which is chosen at first.
    usable : callable, optional
        Tells which layers of these kinds are listed; all by default.
    parent : QWidget, optional
    """

    changed = Signal(object)

    def __init__(
        self,
        viewer: Viewer,
        kinds: tuple[str, ...],
        *,
        optional: bool = False,
        usable: Callable[[Layer], bool] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._kinds, self._optional, self._usable = viewer, kinds, optional, usable
        self._listed: list[Layer | None] = []
        self._named: list[Layer] = []
        self._chosen: Layer | None = None
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)  # long names must not widen the dock
        self.currentIndexChanged.connect(self._choose)
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.connect(self.refresh)
        self.refresh()

    @property
    def layer(self) -> Layer | None:
        """The chosen layer; None where there is none."""
        return self._chosen

    @layer.setter
    def layer(self, layer: Layer | None) -> None:
        if layer not in self._listed:
            raise ValueError(f"not in the list: {layer}")
        self.setCurrentIndex(self._listed.index(layer))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers that are listed, as the viewer orders them."""
        return tuple(layer for layer in self._listed if layer is not None)

    def refresh(self, _: Any = None) -> None:
        """List the layers anew: for a layer that became usable or ceased to be."""
        found = [layer for layer in self._viewer.layers if self._fits(layer)]
        self._watch_names(found)
        self._listed = [None, *found] if self._optional else list(found)
        held = self.blockSignals(True)
        self.clear()
        for layer in self._listed:
            self.addItem(_NOTHING if layer is None else layer.name)
        if not self._listed:
            self.addItem(_EMPTY.get(self._kinds[0], "no layer yet"))
        self.setEnabled(bool(found))
        if self._chosen in self._listed:
            at = self._listed.index(self._chosen)
        else:
            at = 0 if self._optional else len(self._listed) - 1
        self.setCurrentIndex(max(0, at))
        self.blockSignals(held)
        self._choose()

    def let_go(self) -> None:
        """Listen to the viewer no longer: for a widget that is being closed."""
        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.disconnect(self.refresh)
        self._watch_names([])

    def _fits(self, layer: Layer) -> bool:
        # napari hands plugins proxies of layers: only __class__ and == see through them, type() and `is` do not
        return layer.__class__.__name__.lower() in self._kinds and (self._usable is None or self._usable(layer))

    def _watch_names(self, layers: list[Layer]) -> None:
        for layer in self._named:
            if layer not in layers:
                layer.events.name.disconnect(self._rename)
        for layer in layers:
            if layer not in self._named:
                layer.events.name.connect(self._rename)
        self._named = layers

    def _rename(self, _: Any = None) -> None:
        for row, layer in enumerate(self._listed):
            if layer is not None:
                self.setItemText(row, layer.name)

    def _choose(self, _: int = 0) -> None:
        row = self.currentIndex()
        chosen = self._listed[row] if 0 <= row < len(self._listed) else None
        if chosen != self._chosen:
            self._chosen = chosen
            self.setToolTip("" if chosen is None else chosen.name)
            self.changed.emit(chosen)
