"""The look of the Batch widget: its fields, and a table with a row for each case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from medseg import Progress
from napari_plugin._folder_choice import FolderChoice
from napari_plugin._model_choice import ModelChoice
from napari_plugin._running import RunBar, time_left
from napari_plugin._segment_form import AMBER, STRONG
from napari_plugin._settings import DEVICES, Settings

COLUMNS = ("Case", "State", "Objects", "Codes", "Time")
_WORDS = {"ok_with_warnings": "ok, with warnings", "not_started": "not started"}
_COLOURS = {"ok": "#7bd88f", "ok_with_warnings": "#ffb000", "refused": "#ff6b6b", "failed": "#ff6b6b"}


class BatchForm(QWidget):
    """The fields of the Batch widget, without what they do.

    Parameters
    ----------
    chosen : Settings
        What the fields begin with.
    parent : QWidget, optional
    """

    def __init__(self, chosen: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.inputs = FolderChoice("Folder of images")
        self.out = FolderChoice("Folder for the results")
        self.model = ModelChoice(chosen.model, brief=True)
        self.device_combo = QComboBox()
        self.device_combo.addItems(DEVICES)
        self.device_combo.setCurrentText(chosen.device)
        self.tta_box = QCheckBox("Average mirrored copies: slower, a little better")
        self.maps_box = QCheckBox("Keep the probabilities")
        self.maps_box.setChecked(chosen.keep_maps)
        self.problem, self.result = QLabel(), QLabel()
        self.run_button, self.stop_button = QPushButton("Segment the folder"), QPushButton("Stop")
        self.resume_button = QPushButton("Resume")
        self.resume_button.setToolTip("Keep the results that are complete, and do the rest")
        self.progress = QProgressBar()
        self.table = QTableWidget(0, len(COLUMNS))
        self.summary_button, self.report_button = QPushButton("Open summary.csv"), QPushButton("Open report.html")
        self.command_button, self.recipe_button = QPushButton("Copy as command"), QPushButton("Copy as recipe")
        self.bar = RunBar()
        self._row_of: dict[str, int] = {}
        self._prepare()
        self._lay_out()

    def case_at(self, row: int) -> str:
        """Return the name of the case in a row."""
        item = self.table.item(row, 0)
        return "" if item is None else str(item.data(Qt.ItemDataRole.UserRole))

    def clear_rows(self) -> None:
        """Empty the table before a run."""
        self.table.setRowCount(0)
        self._row_of.clear()
        self.progress.setRange(0, 0)

    def show_rows(self, cases: Sequence[str], ended: Sequence[dict[str, Any]]) -> None:
        """Show all cases, and what became of those that ended."""
        for case in cases:
            if case not in self._row_of:
                self._add(case)
        for line in ended:
            case = str(line["case"])
            if case not in self._row_of:
                self._add(case)
            self._fill(self._row_of[case], line)

    def show_progress(self, done: int, total: int, seconds_left: float | None) -> None:
        """Show how many cases have ended, and the time left where it is known."""
        self.progress.setRange(0, max(1, total))
        self.progress.setValue(done)
        self.result.setText(f"{done} of {total} cases{time_left(seconds_left)}")

    def show_step(self, case: str, step: Progress) -> None:
        """Show in the row of the case under way what is done of it."""
        if case not in self._row_of:
            self._add(case)
        share = f" {100 * step.done // step.total} %" if step.total > 1 else ""
        item = self.table.item(self._row_of[case], 1)
        item.setText(f"{step.phase}{share}")
        item.setToolTip(f"{step.phase}: {step.done} of {step.total}{time_left(step.seconds_left)}")

    def tell_reason(self, reason: str, *, running: bool, resumable: bool) -> None:
        """Say why no run can be started; an empty reason means that it can."""
        for button in (self.run_button, self.resume_button):
            button.setEnabled(not reason)
        self.run_button.setToolTip(reason)
        self.resume_button.setVisible(resumable and not running)
        self.stop_button.setEnabled(running)
        self.stop_button.setToolTip("" if running else "Nothing runs.")
        self.progress.setVisible(running)
        self.problem.setText("" if running else reason)
        self.problem.setVisible(bool(reason) and not running)

    def tell_files(self, *, summary: bool, report: bool) -> None:
        """Offer the files of a run that are there."""
        for button, there in ((self.summary_button, summary), (self.report_button, report)):
            button.setEnabled(there)
        self.summary_button.setToolTip("" if summary else "It is there when a run has ended.")
        self.report_button.setToolTip("" if report else "It is there when objects were counted.")

    def _add(self, case: str) -> None:
        row = self.table.rowCount()
        self.table.insertRow(row)
        self._row_of[case] = row
        name = QTableWidgetItem(case)
        name.setData(Qt.ItemDataRole.UserRole, case)
        self.table.setItem(row, 0, name)
        self.table.setItem(row, 1, QTableWidgetItem("waiting"))

    def _fill(self, row: int, line: dict[str, Any]) -> None:
        state = str(line["state"])
        count = line.get("objects", {}).get("count")
        done = state in ("ok", "ok_with_warnings")
        cells = ("", _WORDS.get(state, state), "" if count is None else str(count), ", ".join(line["codes"]))
        for column, text in enumerate((*cells, f"{line['seconds']:.1f} s" if done else "")):
            item = self.table.item(row, 0) if column == 0 else QTableWidgetItem(text)
            if item is None:
                continue
            if column == 1 and state in _COLOURS:
                item.setForeground(QColor(_COLOURS[state]))
            if column in (2, 4):
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setToolTip(str(line["message"]) or ("Double click to open" if done else ""))
            if column:
                self.table.setItem(row, column, item)
        counted = any(self.table.item(r, 2) and self.table.item(r, 2).text() for r in range(self.table.rowCount()))
        self.table.setColumnHidden(2, not counted)

    def _prepare(self) -> None:
        for label in (self.problem, self.result):
            label.setWordWrap(True)
        self.problem.setStyleSheet(AMBER)
        self.run_button.setStyleSheet(STRONG)
        self.result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self.table.setColumnHidden(2, True)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
        header.setMaximumSectionSize(170)
        self.device_combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.table.setMinimumHeight(140)
        self.table.setToolTip("Double click a finished case to open it")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Images", self.inputs)
        form.addRow("Results", self.out)
        form.addRow("Model", self.model)
        form.addRow("Device", self.device_combo)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.tta_box)
        column.addWidget(self.maps_box)
        column.addWidget(self.problem)
        column.addLayout(_row(self.run_button, self.resume_button, self.stop_button))
        column.addWidget(self.progress)
        column.addWidget(self.table, 1)
        column.addWidget(self.bar)
        column.addWidget(self.result)
        column.addLayout(_row(self.summary_button, self.report_button))
        column.addLayout(_row(self.command_button, self.recipe_button))


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
