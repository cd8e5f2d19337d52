"""Clicks in the canvas: on an object they choose it, and two of them inside an object say where to split it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_plugin._layers import index_of
from napari_plugin._objects_session import ObjectSession

if TYPE_CHECKING:
    from napari.viewer import Viewer

_FLAT, _TWO = 2, 2
_CLICKED_IN = ("pan_zoom", "pick")


class Clicks(QObject):
    """Listens to clicks in the viewer's canvas until it is closed.

    `picked` comes with the id under a click, `parted` with an id and two voxels of it, `said` with a sentence.

    Parameters
    ----------
    viewer : Viewer
    session : callable
        Returns the layer under review, None where there is none.
    """

    picked = Signal(int)
    parted = Signal(int, object)
    said = Signal(str)

    def __init__(self, viewer: Viewer, session: Callable[[], ObjectSession | None]) -> None:
        super().__init__()
        self._viewer, self._session = viewer, session
        self._splitting: int | None = None
        self._seeds: list[tuple[int, ...]] = []
        viewer.mouse_drag_callbacks.append(self._clicked)

    def close(self) -> bool:
        """Listen no longer; tells whether it listened until now."""
        listened = self._clicked in self._viewer.mouse_drag_callbacks
        if listened:
            self._viewer.mouse_drag_callbacks.remove(self._clicked)
        return listened

    def start_split(self, number: int) -> None:
        """Take the next two clicks as points of an object's parts."""
        self._splitting, self._seeds = number, []
        self.said.emit(f"Splitting object {number}: click into its first part.")

    def stop_split(self) -> None:
        """Take clicks as choices again."""
        self._splitting, self._seeds = None, []

    def _clicked(self, _: Any, event: Any) -> Iterator[None]:
        yield
        if event.type == "mouse_move":  # a drag moves the picture, or paints
            return
        session = self._session()
        if session is None or session.layer not in self._viewer.layers or not session.layer.visible:
            return
        if len(event.dims_displayed) > _FLAT:
            self._pick_solid(session, event)
            return
        place = index_of(session.layer, event.position, self._viewer)
        if any(not 0 <= i < n for i, n in zip(place, session.array.shape, strict=True)):
            return
        if self._splitting is not None:
            self._seed(session, self._splitting, place)
        elif str(session.layer.mode) in _CLICKED_IN and (number := int(session.array[place])):
            self.picked.emit(number)

    def _pick_solid(self, session: ObjectSession, event: Any) -> None:
        number = session.layer.get_value(
            event.position, view_direction=event.view_direction, dims_displayed=event.dims_displayed, world=True
        )
        if number and str(session.layer.mode) in _CLICKED_IN:
            self.picked.emit(int(number))

    def _seed(self, session: ObjectSession, number: int, place: tuple[int, ...]) -> None:
        if int(session.array[place]) != number:
            self.said.emit(f"That is outside of object {number}: click inside it.")
            return
        self._seeds.append(place)
        if len(self._seeds) < _TWO:
            self.said.emit("Now click into the second part; another slice will do too.")
        else:
            self.parted.emit(number, tuple(self._seeds))
