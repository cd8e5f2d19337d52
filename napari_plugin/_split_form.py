"""How the Split widget is laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_plugin._layer_choice import LayerChoice
from napari_plugin._running import RunBar
from napari_plugin._split_detect import Detectors, image_of
from napari_plugin._split_numbers import Numbers
from napari_plugin._split_source import usable

if TYPE_CHECKING:
    from napari.viewer import Viewer

METHODS = {
    "watershed": ("Watershed", "Cuts objects that touch: at their waists, or where the network saw an outline."),
    "components": ("Connected parts", "What touches is one object: the usual count of lesions."),
}
APPLY = ("Apply to the whole picture", "Apply to volume")
LIVE = "Outline the objects in view as the numbers change. Nothing but the outlines is changed"
NARROWEST = 340
NO_DETECTION = "no detection model is installed"
DETECTION = "A detector looks for the objects in the image itself: a second count, compared with that of the watershed."
NO_NUMBERS = "The detector has no numbers. Choose Watershed to change those of the objects that it is compared with."
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
        self.detectors = Detectors()
        self.image = LayerChoice(viewer, ("image",), usable=self.detectors.fits)
        self.method.addItem("Mask R-CNN", "maskrcnn")
        self.numbers = Numbers()
        self.reset_button = QPushButton("Reset numbers")
        self.live_box = QCheckBox("Live preview")
        self.live_box.setChecked(True)
        self.live_box.setToolTip(LIVE)
        self.count = QLabel()
        self.count.setWordWrap(True)
        self.apply_button = QPushButton(APPLY[1])
        self.apply_button.setDefault(True)
        self.command_button = QPushButton("Copy command")
        self.recipe_button = QPushButton("Copy recipe")
        self.bar, self.reader = RunBar(), RunBar()
        self.result = _note()
        self._lay_out()

    @property
    def detecting(self) -> bool:
        """Whether Mask R-CNN is chosen."""
        return bool(self.method.currentData() == "maskrcnn")

    def offer_detection(self) -> None:
        """Let Mask R-CNN be chosen where a detector fits an image of the viewer; otherwise say why not."""
        row = self.method.findData("maskrcnn")
        item, there = self.method.model().item(row), self.image.layer is not None
        item.setEnabled(there)
        item.setToolTip(DETECTION if there else ONLY_COMMAND if self.detectors.installed else NO_DETECTION)
        if self.detecting and not there:
            self.method.setCurrentIndex(0)

    def propose_image(self, layer: Any) -> None:
        """Choose the image that a layer was made from, where it is there."""
        image = image_of(layer, self.image.layers)
        if image is not None:
            self.image.layer = image

    def show_detection(self) -> None:
        """Show the choice of the image for a detector, which has no numbers and no preview."""
        detecting = self.detecting
        self.image_row.setVisible(detecting)
        self.live_box.setEnabled(not detecting)
        self.live_box.setToolTip(NO_NUMBERS if detecting else LIVE)

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        self.image_row = _named("Image", self.image)
        self.image_row.hide()
        top = (_named("Layer", self.choice), self.kind, self.reader, _named("Method", self.method), self.image_row)
        for widget in top:
            column.addWidget(widget)
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


def _named(label: str, field: QWidget) -> QWidget:
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    name = QLabel(label)
    name.setFixedWidth(60)
    name.setBuddy(field)
    row.addWidget(name)
    row.addWidget(field, 1)
    return line


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, 1)
    return row
