"""How the Split widget is laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from medseg import models
from napari_plugin._layer_choice import LayerChoice
from napari_plugin._running import RunBar
from napari_plugin._split_numbers import Numbers
from napari_plugin._split_source import usable

if TYPE_CHECKING:
    from napari.viewer import Viewer

METHODS = {
    "watershed": ("Watershed", "Cuts objects that touch: at their waists, or where the network saw an outline."),
    "components": ("Connected parts", "What touches is one object: the usual count of lesions."),
}
APPLY = ("Apply to the whole picture", "Apply to volume")
NARROWEST = 340
NO_DETECTION = "no detection model is installed"
ONLY_COMMAND = "a detection model runs on the image itself: medseg segment --split maskrcnn"


class SplitForm(QWidget):
    """The fields and buttons of the Split widget; what they do is the widget's own affair.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.choice = LayerChoice(viewer, ("labels", "image"), usable=usable)
        self.kind = _note()
        self.method = QComboBox()
        for name, (text, tip) in METHODS.items():
            self.method.addItem(text, name)
            self.method.setItemData(self.method.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self._offer_detection()
        self.numbers = Numbers()
        self.reset_button = QPushButton("Reset numbers")
        self.live_box = QCheckBox("Live preview")
        self.live_box.setChecked(True)
        self.live_box.setToolTip(
            "Outline the objects in view as the numbers change. Nothing but the outlines is changed"
        )
        self.count = QLabel()
        self.count.setWordWrap(True)
        self.apply_button = QPushButton(APPLY[1])
        self.apply_button.setDefault(True)
        self.command_button = QPushButton("Copy command")
        self.recipe_button = QPushButton("Copy recipe")
        self.bar, self.reader = RunBar(), RunBar()
        self.result = _note()
        self._lay_out()

    def _offer_detection(self) -> None:
        """List Mask R-CNN, which cannot be chosen here yet, and say why."""
        self.method.addItem("Mask R-CNN", "maskrcnn")
        row = self.method.count() - 1
        item = self.method.model().item(row)
        item.setEnabled(False)
        there = any(card.task == "detection" for card in models())
        item.setToolTip(ONLY_COMMAND if there else NO_DETECTION)

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        for label, field in (("Layer", self.choice), ("Method", self.method)):
            row = QHBoxLayout()
            name = QLabel(label)
            name.setFixedWidth(60)
            name.setBuddy(field)
            row.addWidget(name)
            row.addWidget(field, 1)
            column.addLayout(row)
            if field is self.choice:
                column.addWidget(self.kind)
                column.addWidget(self.reader)
        column.addWidget(self.numbers)
        column.addLayout(_row(self.live_box, self.reset_button))
        column.addWidget(self.count)
        column.addWidget(self.apply_button)
        column.addWidget(self.bar)
        column.addLayout(_row(self.command_button, self.recipe_button))
        column.addWidget(self.result)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(inner)
        self.setMinimumWidth(NARROWEST)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)


def _note() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, 1)
    return row
