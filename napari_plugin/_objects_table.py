"""How the table of objects is arranged: order, columns, and the classes to choose from."""

from __future__ import annotations

from qtpy.QtCore import Qt

from napari_plugin._objects_model import ObjectModel, hidden
from napari_plugin._objects_session import ObjectSession
from napari_plugin._objects_view import ObjectsView

_OF_OBJECTS = ("score", "flags")
"""Columns that structures have not."""


def sort_by(view: ObjectsView, model: ObjectModel, column: int) -> None:
    """Sort by a column, in the direction that its title shows."""
    model.sort(column, view.table.horizontalHeader().sortIndicatorOrder())


def sort_by_need(view: ObjectsView, model: ObjectModel) -> None:
    """Put those on top that need eyes."""
    view.table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
    model.sort_by_need()
    view.table.scrollToTop()


def show_columns(view: ObjectsView, model: ObjectModel, session: ObjectSession | None) -> None:
    """Show the columns that are asked for: the usual ones, or all."""
    everything = view.all_columns.isChecked()
    structures = session is not None and session.structures
    away = [hidden(name) or (structures and name in _OF_OBJECTS) for name in model.columns]
    classes = () if session is None else session.classes.values()
    view.show_columns([one and not everything for one in away], model.columns, classes)


def list_classes(view: ObjectsView, session: ObjectSession | None) -> None:
    """Offer the classes of a session."""
    names = [] if session is None else list(session.classes.values())
    box = view.classes
    if [box.itemText(n) for n in range(box.count())] != names:
        box.clear()
        box.addItems(names)
