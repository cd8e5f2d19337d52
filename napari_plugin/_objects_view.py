"""The parts of the Objects widget that a user sees: table, buttons, fields. What they do is wired elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from napari_plugin._layer_choice import LayerChoice
from napari_plugin._objects_filter import HINT
from napari_plugin._objects_keys import NEEDS_EYES, NEXT, PREVIOUS, SEEN, UNDO
from napari_plugin._running import RunBar

if TYPE_CHECKING:
    from napari.viewer import Viewer

_ROW_PIXELS = 22
_WIDTHS = {"object_id": 56, "reviewed": 42, "score": 46, "flags": 170}
_USUAL_WIDTH = 86
_NARROWEST, _WIDEST = 46, 150
_TICKS = """
QTableView::indicator { width: 12px; height: 12px; border: 1px solid #a0a4a8; border-radius: 2px; }
QTableView::indicator:checked { background-color: #7bd88f; border-color: #7bd88f; }
"""
"""In a dark theme the ticks of a table can else hardly be told from its ground."""


class ObjectsView(QWidget):
    """Everything that is to be seen.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.labels = LayerChoice(viewer, ("labels",))
        self.image = LayerChoice(viewer, ("image",), optional=True, usable=lambda layer: not layer.rgb)
        self.status, self.run = QLabel(), RunBar()
        self.filter, self.need_first = QLineEdit(), QPushButton("Needs eyes first")
        self.table = _table()
        self.previous, self.next = QPushButton("◀ Previous"), QPushButton("Next ▶")
        self.next_need = QPushButton("Next that needs eyes")
        self.zoom, self.frame, self.only = QCheckBox("Zoom"), QCheckBox("Frame"), QCheckBox("Only this one")
        self.all_columns = QCheckBox("All columns")
        self.classes, self.set_class = QComboBox(), QPushButton("Set class")
        self.delete, self.merge = QPushButton("Delete"), QPushButton("Merge")
        self.split, self.undo = QPushButton("Split by two clicks"), QPushButton("Undo")
        self.shapes = LayerChoice(viewer, ("shapes",))
        self.count, self.counted = QPushButton("Count inside"), QLabel()
        self.save, self.copy = QPushButton("Save CSV …"), QPushButton("Copy")
        self.again = QPushButton("Measure again")
        self._set_up()
        self._lay_out()

    def show_columns(self, hidden: list[bool], names: tuple[str, ...], classes: Iterable[str] = ()) -> None:
        """Give columns their widths, and hide some; that of the classes is as wide as their names."""
        longest = max((self.table.fontMetrics().horizontalAdvance(name) for name in classes), default=0)
        widths = _WIDTHS | {"name": min(max(longest + 14, _NARROWEST), _WIDEST)}
        for column, (name, away) in enumerate(zip(names, hidden, strict=True)):
            self.table.setColumnHidden(column, away)
            self.table.setColumnWidth(column, widths.get(name, _USUAL_WIDTH))

    def select_rows(self, rows: Iterable[int | None]) -> None:
        """Select rows, without the one with the cursor changing; rows that are not shown are left out."""
        flag = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        model, chosen = self.table.model(), QItemSelection()
        for row in (r for r in rows if r is not None):
            chosen.select(model.index(row, 0), model.index(row, 0))
        self.table.selectionModel().clearSelection()
        self.table.selectionModel().select(chosen, flag)

    def _set_up(self) -> None:
        self.status.setWordWrap(True)
        self.counted.setWordWrap(True)
        self.counted.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.counted.hide()
        self.filter.setPlaceholderText(HINT)
        self.filter.setClearButtonEnabled(True)
        self.filter.setToolTip(
            "Words look in class and flags, a number is an id, and columns can be compared; commas mean “and”."
        )
        self.need_first.setToolTip("Flagged objects first, then those with a low score; seen ones last.")
        self.classes.setEditable(True)
        self.classes.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.split.setCheckable(True)
        self.zoom.setChecked(True)
        self.frame.setChecked(True)
        for button, key in ((self.next, NEXT), (self.previous, PREVIOUS), (self.next_need, NEEDS_EYES)):
            button.setToolTip(f"Key in the canvas: {key}. Tick the object as seen: {SEEN}.")
        self.frame.setToolTip("A frame around the object, in a vectors layer of its own.")
        self.only.setToolTip("Hide the other objects.")
        self.undo.setToolTip(f"Take back the last step, made here or with the brush. Key in the canvas: {UNDO}.")
        self.save.setToolTip("All objects, with the columns of NAME_objects.csv and “reviewed”.")
        self.copy.setToolTip("The selected rows, or all rows that are shown, for a spreadsheet.")
        self.again.setToolTip("After a change that did not come from the brush or from here.")

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(5)
        form = QFormLayout()
        form.addRow("Labels", self.labels)
        form.addRow("Intensities", self.image)
        column.addLayout(form)
        column.addWidget(self.run)
        column.addWidget(self.status)
        column.addLayout(_row(self.filter, self.need_first))
        column.addWidget(self.table, 1)
        column.addLayout(_row(self.previous, self.next, self.next_need))
        column.addLayout(_row(self.zoom, self.frame, self.only, self.all_columns))
        column.addWidget(self._corrections())
        column.addWidget(self._counting())
        column.addLayout(_row(self.save, self.copy, self.again))

    def _corrections(self) -> QGroupBox:
        box = QGroupBox("Correct the selected rows")
        inner = QVBoxLayout(box)
        inner.setContentsMargins(6, 4, 6, 6)
        named = _row(self.classes, self.set_class)
        named.setStretch(0, 1)  # names of structures are long
        inner.addLayout(named)
        inner.addLayout(_row(self.delete, self.merge, self.split, self.undo))
        return box

    def _counting(self) -> QGroupBox:
        box = QGroupBox("Count inside drawn shapes")
        inner = QVBoxLayout(box)
        inner.setContentsMargins(6, 4, 6, 6)
        inner.addLayout(_row(self.shapes, self.count))
        inner.addWidget(self.counted)
        return box


def _table() -> QTableView:
    table = QTableView()
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    table.setSortingEnabled(False)
    table.setWordWrap(False)
    table.setShowGrid(False)
    table.setMinimumHeight(140)
    table.setStyleSheet(_TICKS)
    rows = table.verticalHeader()
    rows.setVisible(False)
    # one height for all: Qt would else ask every row for its size
    rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    rows.setDefaultSectionSize(_ROW_PIXELS)
    header = table.horizontalHeader()
    header.setSectionsClickable(True)
    header.setSortIndicatorShown(True)
    header.setHighlightSections(False)
    return table


def _row(*widgets: Any) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(4)
    for widget in widgets:
        row.addWidget(widget)
    return row
