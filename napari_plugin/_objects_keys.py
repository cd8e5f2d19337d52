"""Keys of the table, in the viewer only while the table is open, and only those that nobody else uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.viewer import Viewer

NEXT, PREVIOUS, NEEDS_EYES, SEEN, UNDO = "N", "Shift+N", "J", "K", "U"


class Keys:
    """Binds keys to actions; a key that napari or another plugin has bound is left to them.

    Parameters
    ----------
    viewer : Viewer
    actions : mapping of str to callable
    """

    def __init__(self, viewer: Viewer, actions: Mapping[str, Callable[[], object]]) -> None:
        self._viewer = viewer
        self.bound: tuple[str, ...] = ()
        taken = _taken()
        for key, action in actions.items():
            if key.casefold() not in taken and self._bind(key, action):
                self.bound = (*self.bound, key)

    def close(self) -> None:
        """Give the keys back."""
        for key in self.bound:
            self._viewer.bind_key(key, None)
        self.bound = ()

    def _bind(self, key: str, action: Callable[[], object]) -> bool:
        try:
            self._viewer.bind_key(key, _called(action))
        except ValueError:  # bound by somebody else
            return False
        return True


def _called(action: Callable[[], object]) -> Callable[[Any], None]:
    def act(_: Any) -> None:
        action()

    return act


def _taken() -> set[str]:
    """Return the keys in napari's settings, the user's own ones among them."""
    from napari.settings import get_settings

    held = get_settings().shortcuts.shortcuts
    return {str(key).casefold() for keys in held.values() for key in keys}
