"""The result of a comparison as rows of two small tables: the scores, and the worst places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from medseg.grid import Grid
from medseg.metrics.instances import InstanceScores
from medseg.workflow.comparing import Comparison, Place
from medseg.workflow.evaluation import ClassScores

STRUCTURES = ("class", "Dice", "HD95 mm", "NSD", "volume error ml")
OBJECTS = ("score", "value")
WORST = {"semantic": ("what", "class", "size"), "instances": ("what", "reference", "prediction", "IoU", "size")}
_UNITS = {"um": "µm", "mm": "mm", "px": "px"}
_POWER = {2: "²", 3: "³"}
_ROW_PIXELS = 22
Rows = list[tuple[Any, ...]]


def class_rows(scores: Sequence[ClassScores]) -> Rows:
    """Return a row per class; a score that is not defined stays empty."""
    return [(s.name, s.dice, s.hd95_mm, s.nsd, s.volume_error_ml) for s in scores]


def object_rows(scores: InstanceScores) -> Rows:
    """Return a row per score, in words."""
    at_half = scores.at[0]
    return [
        ("AP at IoU .5", at_half.ap),
        ("mean AP, IoU .5 to .95", scores.mean_ap),
        ("panoptic quality (PQ)", scores.panoptic.pq),
        ("F1 at IoU .5", at_half.f1),
        ("objects: prediction / reference", f"{scores.n_prediction} / {scores.n_reference}"),
        ("count error", f"{scores.count_error:+d}"),
        ("found, missed, false alarms", f"{at_half.true_positives}, {at_half.false_negatives}, "
         f"{at_half.false_positives}"),
        ("merges, splits", f"{scores.merges}, {scores.splits}"),
    ]  # fmt: skip


def worst_rows(result: Comparison) -> Rows:
    """Return a row per place, the worst first."""
    return [_row(place, result.objects is not None) for place in result.worst]


def size_unit(grid: Grid) -> str:
    """Return the unit of a size, such as mm³."""
    return f"{_UNITS[grid.unit]}{_POWER[grid.ndim]}"


def fill(table: QTableWidget, titles: Sequence[str], rows: Rows) -> None:
    """Show rows; the order is kept in each row's data, so that sorting does not mix them up."""
    table.setSortingEnabled(False)
    table.clear()
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.setRowCount(len(rows))
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            table.setItem(r, c, _item(value, r))
    header = table.horizontalHeader()
    for c in range(len(titles)):
        header.setSectionResizeMode(
            c, QHeaderView.ResizeMode.Stretch if c == 0 else QHeaderView.ResizeMode.ResizeToContents
        )


def small_table() -> QTableWidget:
    """Return an empty table that cannot be edited."""
    table = QTableWidget(0, 0)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setDefaultSectionSize(_ROW_PIXELS)
    table.horizontalHeader().setHighlightSections(False)
    return table


def _row(place: Place, of_objects: bool) -> tuple[Any, ...]:
    what = "overlaps" if place.what == "found" else place.what
    if not of_objects:
        return (what, place.name, place.size)
    return (what, place.reference_id, place.prediction_id, place.iou, place.size)


def _item(value: Any, row: int) -> QTableWidgetItem:
    text = "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
    if isinstance(value, float) and abs(value) >= 1000:
        text = f"{value:.0f}"
    item = QTableWidgetItem(text)
    item.setData(Qt.ItemDataRole.UserRole, row)
    if not isinstance(value, str):
        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item
