"""The layers that Apply makes: one for each name, renewed by the next Apply, forgotten when the user deletes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_plugin._layers import LayerData

if TYPE_CHECKING:
    from napari.viewer import Viewer


class MadeLayers:
    """Shows results in layers of their own.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._by_name: dict[str, Any] = {}  # by the names that they were given: the user may rename them

    def show(self, made: LayerData) -> bool:
        """Show a result in place of the last one of its name; tells whether a new layer was made."""
        data, attributes, _ = made
        name = attributes["name"]
        before = self._by_name.get(name)
        if before is not None and before.ndim == data.ndim:
            before.data, before.affine, before.metadata = data, attributes["affine"], attributes["metadata"]
            return False
        active = self._viewer.layers.selection.active
        self._by_name[name] = self._viewer.add_labels(data, **attributes)
        self._viewer.layers.selection.active = active
        return True

    def forget(self, layer: Any) -> None:
        """Know a layer no longer: it was taken out of the viewer."""
        self._by_name = {name: held for name, held in self._by_name.items() if held != layer}
