"""What the Objects widget says of itself: a line about the objects, and why a button cannot be pressed."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_plugin._objects_session import ObjectSession

NO_OBJECTS = "Choose a labels layer with objects."
_FLAT = 2


def summary(session: ObjectSession) -> str:
    """Return how many objects there are, how many are shown and how many need eyes."""
    store, shown = session.store, session.model.rowCount()
    what = "structure" if session.structures else "object"
    need = int(store.asks_for_eyes()[store.places()].sum()) if len(store) else 0
    parts = [f"{len(store):,} {what}{'' if len(store) == 1 else 's'}"]
    parts += [f"{shown:,} shown"] * (shown != len(store)) + [f"{need:,} need eyes"] * bool(need)
    more = "\nThe numbers of this layer are classes: each row is one structure." if session.structures else ""
    return " · ".join(parts) + more


def reasons(session: ObjectSession | None, n_selected: int, *, flat: bool, drawn: bool) -> dict[str, str]:
    """Return by the name of a button why it cannot be pressed; empty where it can.

    Parameters
    ----------
    session : ObjectSession or None
    n_selected : int
        Rows that are selected.
    flat : bool
        Slices are shown, not 3-D.
    drawn : bool
        There is a shapes layer.
    """
    if session is None:
        return dict.fromkeys((*_ON_ROWS, *_ON_CHOICE, "set_class", "undo", "count", "save"), NO_OBJECTS)
    rows = "" if session.model.rowCount() else "No row is shown."
    locked = _lock(session.layer)
    some = locked or ("" if n_selected else "Select a row first.")
    of_class = "Here the number of a voxel is its class: merge structures instead." if session.structures else ""
    return {
        **dict.fromkeys(_ON_ROWS, rows),
        "set_class": some or of_class,
        "delete": some,
        "merge": some or ("" if n_selected > 1 else "Select two or more rows (Ctrl + click)."),
        "split": some or _no_split(n_selected, flat=flat),
        "undo": locked or ("" if session.history.done else "Nothing to take back yet."),
        "count": "" if drawn else "Add a shapes layer, and draw in it.",
        "save": "",
    }


_ON_ROWS = ("copy", "next", "previous", "next_need", "need_first")
_ON_CHOICE = ("delete", "merge", "split")


def _no_split(n_selected: int, *, flat: bool) -> str:
    if n_selected != 1:
        return "Select one row."
    return "" if flat else "Show slices first (2-D), so that a click is a point."


def _lock(layer: Any) -> str:
    if isinstance(layer.data, np.ndarray) and layer.editable:
        return ""
    return "This layer cannot be edited in napari: save it as a file of its own, and open that."


def switch(button: Any, reason: str) -> None:
    """Switch a button on or off, with the reason or else its own words in the tooltip."""
    words = button.property("words")
    if words is None:
        words = button.toolTip()
        button.setProperty("words", words)
    button.setEnabled(not reason)
    button.setToolTip(reason or words)
