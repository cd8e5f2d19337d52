"""The table that is shown: rows are ids, sorted and filtered by whole columns, so that 100,000 objects stay smooth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor

from napari_plugin._objects_filter import kept
from napari_plugin._objects_store import ID, REVIEWED, ObjectStore, Rows

if TYPE_CHECKING:
    import pandas as pd

FIRST = (ID, REVIEWED, "name", "size", "score", "flags")
"""Columns that stand first; ``size`` is the one with the size."""
TITLES = {ID: "id", REVIEWED: "seen", "name": "class"}
ATTENTION = QColor(255, 140, 60)
_HIDDEN = ("bbox_", "class_id")
_Role = Qt.ItemDataRole
_NOWHERE = QModelIndex()


class ObjectModel(QAbstractTableModel):
    """Shows an `ObjectStore`.

    `ticked` comes with an id and a truth value when the user ticks a row as seen.

    Parameters
    ----------
    colour_of : callable, optional
        Returns the red, green, blue and opacity (0 to 1) of an id, None where it has none.
    parent : QObject, optional
    """

    ticked = Signal(int, bool)

    def __init__(self, colour_of: Callable[[int], Any] | None = None, parent: Any = None) -> None:
        super().__init__(parent)
        self._colour_of = colour_of
        self._store: ObjectStore | None = None
        self._rows: Rows = np.zeros(0, np.int64)
        self._row_of: dict[int, int] | None = None
        self._columns: tuple[str, ...] = ()
        self._sorting: tuple[str, bool] | None = None
        self._filter = ""

    @property
    def store(self) -> ObjectStore | None:
        """The objects; None where there are none."""
        return self._store

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, left to right."""
        return self._columns

    def show(self, store: ObjectStore | None) -> None:
        """Show other objects; sorting and filter stay."""
        self.beginResetModel()
        self._store = store
        self._columns = () if store is None else _ordered(store)
        self._arrange()
        self.endResetModel()

    def row_of(self, number: int) -> int | None:
        """Return the row of an id, None where it is not shown."""
        if self._store is None or number not in self._store:
            return None
        if self._row_of is None:
            self._row_of = {int(place): row for row, place in enumerate(self._rows)}
        return self._row_of.get(self._store.place(number))

    def id_at(self, row: int) -> int:
        """Return the id of a row."""
        return int(self._stored.column(ID)[self._rows[row]])

    def shown_ids(self) -> list[int]:
        """Return the ids in the order of the rows."""
        return [] if self._store is None else [int(i) for i in self._store.column(ID)[self._rows]]

    def shown_places(self) -> Rows:
        """Return the places of the rows."""
        return self._rows

    def update_rows(self, table: pd.DataFrame, gone: Iterable[int] = ()) -> None:
        """Replace, add or drop some rows; those that stay keep their place, so nothing jumps while one paints."""
        changed, added, dropped = self._stored.update(table, gone=gone)
        if dropped:
            for row in sorted((r for r in (self._row_at(p) for p in dropped) if r is not None), reverse=True):
                self.beginRemoveRows(_NOWHERE, row, row)
                self._rows = np.delete(self._rows, row)
                self._row_of = None
                self.endRemoveRows()
        if added:
            last = len(self._rows)
            self.beginInsertRows(_NOWHERE, last, last + len(added) - 1)
            self._rows = np.append(self._rows, np.array(added, np.int64))
            self._row_of = None
            self.endInsertRows()
        self._tell(changed)

    def put(self, number: int, values: dict[str, Any]) -> None:
        """Write some values of an object."""
        for name, value in values.items():
            self._stored.put(number, name, value)
        self._tell([self._stored.place(number)])

    def refresh_columns(self, names: Iterable[str]) -> None:
        """Show columns anew whose values were written for many objects at once."""
        at = [self._columns.index(name) for name in names if name in self._columns]
        if at and len(self._rows):
            self.dataChanged.emit(self.index(0, min(at)), self.index(len(self._rows) - 1, max(at)))

    def filter_by(self, text: str) -> None:
        """Show only the rows that fit; ValueError in words where the text is not understood."""
        if self._store is not None:
            kept(self._store, self._store.places()[:0], text)  # understood or not, before anything changes
        self._filter = text
        self._rearranged()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; empty values stand last either way."""
        self._sorting = (
            (self._columns[column], order == Qt.SortOrder.DescendingOrder) if 0 <= column < len(self._columns) else None
        )
        self._rearranged()

    def sort_by_need(self) -> None:
        """Put the objects that need eyes first: flagged ones, then those with a low score; seen ones last."""
        self._sorting = ("", False)
        self._rearranged()

    def rowCount(self, parent: QModelIndex = _NOWHERE) -> int:  # noqa: N802
        """Return the number of rows that are shown."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = _NOWHERE) -> int:  # noqa: N802
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self._columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole) -> Any:  # noqa: N802
        """Return the title of a column, with its unit."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self._columns):
            return None
        name = self._columns[section]
        if role == _Role.DisplayRole:
            return title(name)
        return name if role == _Role.ToolTipRole else None

    def flags(self, index: QModelIndex) -> Any:
        """Return what can be done with a cell: the column "seen" can be ticked."""
        can = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        return can | Qt.ItemFlag.ItemIsUserCheckable if self._columns[index.column()] == REVIEWED else can

    def data(self, index: QModelIndex, role: int = _Role.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid() or self._store is None:
            return None
        name, place = self._columns[index.column()], int(self._rows[index.row()])
        if role == _Role.CheckStateRole and name == REVIEWED:
            return Qt.CheckState.Checked if self._store.value(place, name) else Qt.CheckState.Unchecked
        if role == _Role.DisplayRole and name == "score" and self._store.value(place, name) is not None:
            return f"{self._store.value(place, name):.2f}"
        if role in (_Role.DisplayRole, _Role.ToolTipRole) and name != REVIEWED:
            return shown(self._store.value(place, name) if name != "flags" else self._store.flags_by_weight(place))
        if role == _Role.TextAlignmentRole and self._store.column(name).dtype != object:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == _Role.ForegroundRole and name == "flags" and self._store.needs_eyes(place):
            return ATTENTION
        if role == _Role.DecorationRole and name == ID and self._colour_of is not None:
            return _colour(self._colour_of(int(self._store.column(ID)[place])))
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = _Role.EditRole) -> bool:  # noqa: N802
        """Tick a row as seen."""
        if role != _Role.CheckStateRole or self._columns[index.column()] != REVIEWED:
            return False
        self.ticked.emit(self.id_at(index.row()), Qt.CheckState(value) == Qt.CheckState.Checked)
        return True

    @property
    def _stored(self) -> ObjectStore:
        if self._store is None:
            raise RuntimeError("no objects are shown")
        return self._store

    def _row_at(self, place: int) -> int | None:
        found = np.flatnonzero(self._rows == place)
        return int(found[0]) if len(found) else None

    def _tell(self, places: list[int]) -> None:
        for row in filter(lambda r: r is not None, (self._row_at(place) for place in places)):
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(self._columns) - 1))

    def _rearranged(self) -> None:
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        held = [(int(self._rows[i.row()]), i.column()) for i in before]
        self._arrange()
        place_row = {int(place): row for row, place in enumerate(self._rows)} if held else {}
        after = [self.index(place_row[p], c) if p in place_row else QModelIndex() for p, c in held]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _arrange(self) -> None:
        self._row_of = None
        if self._store is None:
            self._rows = np.zeros(0, np.int64)
            return
        places = self._store.places()
        places = places[kept(self._store, places, self._filter)]
        if self._sorting is not None:
            name, down = self._sorting
            places = places[self._store.urgency(places) if not name else _order(self._store.column(name)[places], down)]
        self._rows = places


def title(name: str) -> str:
    """Return the title of a column as a user reads it.

    Examples
    --------
    >>> title("longest_diameter_mm"), title("area_um2"), title("object_id")
    ('longest diameter mm', 'area µm²', 'id')
    """
    if name in TITLES:
        return TITLES[name]
    words = name.replace("_", " ")
    for plain, nice in (("um2", "µm²"), ("um3", "µm³"), ("mm2", "mm²"), ("mm3", "mm³"), (" um", " µm")):
        words = words.replace(plain, nice) if words.endswith(plain) else words
    return words


def shown(value: Any) -> str:
    """Return a value with about four figures.

    Examples
    --------
    >>> shown(0.00123456), shown(1234567), shown(12345.6), shown(None), shown(True)
    ('0.001235', '1234567', '12346', '', 'yes')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value).replace(";", ", ").replace("_", " ")


def hidden(name: str) -> bool:
    """Tell whether a column is shown only on demand."""
    return name.startswith(_HIDDEN)


def _ordered(store: ObjectStore) -> tuple[str, ...]:
    first = [store.size_name if name == "size" else name for name in FIRST]
    rest = [name for name in store.names if name not in first]
    return (*first, *(n for n in rest if not hidden(n)), *(n for n in rest if hidden(n)))


def _order(values: Any, down: bool) -> Any:
    if values.dtype == object:
        ranks = {text: rank for rank, text in enumerate(sorted(set(values)), start=1)}
        numbers = np.fromiter((ranks[text] if text else np.nan for text in values), np.float64, len(values))
    else:
        numbers = values.astype(np.float64)
    return np.argsort(-numbers if down else numbers, kind="stable")  # what is not a number stands last


def _colour(rgba: Any) -> QColor | None:
    if rgba is None:
        return None
    red, green, blue = (float(v) for v in np.ravel(rgba)[:3])
    return QColor.fromRgbF(min(1.0, red), min(1.0, green), min(1.0, blue))
