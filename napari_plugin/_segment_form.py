"""The look of the Segment widget: its fields, and how it says what is wrong and what came out."""

from __future__ import annotations

import os
from collections.abc import Generator
from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from medseg.report.colours import colour
from napari_plugin._channels import Channels
from napari_plugin._errand import Errand
from napari_plugin._model_choice import ModelChoice
from napari_plugin._running import RunBar
from napari_plugin._scrolling import Scrolling
from napari_plugin._segment_answer import Answer
from napari_plugin._settings import DEVICES, Settings
from napari_plugin._where import Where

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from medseg.models.card import ModelCard

AMBER = "color: #ffb000"
STRONG = "font-weight: bold; padding: 6px"
_UNITS = {"um": "µm", "px": "pixels", "mm": "mm"}
_DEVICES = {"cuda": "GPU (CUDA)", "mps": "GPU (Metal)"}


class SegmentForm(QWidget):
    """The fields of the Segment widget, without what they do.

    Parameters
    ----------
    viewer : Viewer
    chosen : Settings
        What the fields begin with.
    parent : QWidget, optional
    """

    def __init__(self, viewer: Viewer, chosen: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.channels, self.where = Channels(viewer), Where(viewer)
        self.model = ModelChoice(chosen.model)
        self.device_combo, self.device_text = QComboBox(), QLabel()
        self.device_combo.addItems(DEVICES)
        self.device_combo.setCurrentText(chosen.device)
        self.tta_box = QCheckBox("Average mirrored copies: slower, a little better")
        self.maps_box = QCheckBox("Show the probabilities as layers too")
        self.maps_box.setChecked(chosen.keep_maps)
        self.diameter_box, self.diameter_label = QDoubleSpinBox(), QLabel("Object size")
        self.problem, self.result = QLabel(), QLabel()
        self.run_button = QPushButton("Segment")
        self.command_button, self.recipe_button = QPushButton("Copy as command"), QPushButton("Copy as recipe")
        self.bar, self._fields = RunBar(), Scrolling(self)
        self._looked = False
        self._prepare()
        self._lay_out()

    def diameter(self) -> float | None:
        """Return the diameter of objects that the user gave; None to estimate it."""
        return self.diameter_box.value() or None

    def tell_reason(self, reason: str, *, running: bool, doubt: str = "") -> None:
        """Say why Segment cannot be pressed; an empty reason means that it can, perhaps with a doubt."""
        self.run_button.setEnabled(not reason)
        self.run_button.setToolTip(reason or doubt)
        said = reason or doubt
        self.problem.setText("" if running else capital(said))
        self.problem.setVisible(bool(said) and not running)

    def show_diameter(self, card: ModelCard | None, unit: str) -> None:
        """Offer the size of objects for a model of objects."""
        objects = card is not None and card.task != "semantic"
        detector = card is not None and card.task == "detection"
        self.maps_box.setEnabled(not detector)
        self.maps_box.setToolTip("A detector makes no probability maps." if detector else "")
        self.diameter_box.setSuffix(f" {_UNITS[unit]}")
        self.diameter_box.setVisible(objects)
        self.diameter_label.setVisible(objects)

    def tell_result(self, answer: Answer) -> None:
        """Say what came out, with every warning that does not stand above already."""
        lines, prediction = [], answer.prediction
        if prediction.instances is not None:
            n = len(prediction.instances.segments)
            lines.append(f"{n} object{'' if n == 1 else 's'} found.")
        else:
            classes = sorted(answer.asked.card.classes.items())
            found = [_swatch(i, name) for i, name in classes if i in answer.present]
            lines.append("<br>".join(found) if found else "Nothing was found.")
        above = self.problem.text()
        told = [n for n in dict.fromkeys(prediction.warnings) if capital(n.text) not in above]
        lines += [f'<span style="{AMBER}">{escape(capital(notice.text))} [{notice.code}]</span>' for notice in told]
        self.result.setText("<br>".join(lines))
        self._fields.bring(self.result)
        self.tell_device(answer.device)

    def tell_device(self, device: str) -> None:
        """Say what computes."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        kind = device.partition(":")[0]
        cpu = f"this computer's processor, {cores} core{'' if cores == 1 else 's'}"
        self.device_text.setText(f"Computes on {_DEVICES.get(kind, cpu)}")

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Look once for what ``auto`` finds; torch takes seconds to load, so not on the window's thread."""
        super().showEvent(event)
        if self._looked:
            return
        self._looked = True
        errand = Errand(_found_device, self)
        errand.told.connect(lambda found: self.tell_device(found[0]))
        errand.start()

    def _prepare(self) -> None:
        for label in (self.problem, self.result, self.device_text):
            label.setWordWrap(True)
        self.problem.setStyleSheet(AMBER)
        self.run_button.setStyleSheet(STRONG)
        for combo in (self.device_combo, self.channels.first):
            combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.diameter_box.setRange(0.0, 10_000.0)
        self.diameter_box.setDecimals(1)
        self.diameter_box.setSpecialValueText("estimated from the image")
        self.diameter_box.setToolTip("Typical diameter of one object; 0 to estimate it")
        self.device_text.setText("auto takes a GPU where there is one")
        self.command_button.setToolTip("Copy a line for the terminal that gives the same labels")
        self.recipe_button.setToolTip("Copy a text for `medseg run` that gives the same labels")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Image", self.channels)
        form.addRow("Model", self.model)
        form.addRow("Where", self.where)
        form.addRow(self.diameter_label, self.diameter_box)
        form.addRow("Device", self.device_combo)
        form.addRow("", self.device_text)
        copy = QHBoxLayout()
        copy.addWidget(self.command_button)
        copy.addWidget(self.recipe_button)
        column = self._fields.column
        column.addLayout(form)
        for widget in (self.tta_box, self.maps_box, self.problem, self.run_button, self.bar, self.result):
            column.addWidget(widget)
        column.addLayout(copy)
        column.addStretch(1)


def capital(text: str) -> str:
    """Return a sentence that begins with a capital."""
    return text[:1].upper() + text[1:]


def _swatch(class_id: int, name: str) -> str:
    red, green, blue = colour(class_id)
    return f'<span style="color: rgb({red}, {green}, {blue})">&#9632;</span> {escape(name)}'


def _found_device() -> Generator[str, None, None]:
    from medseg.nets.device import choose

    yield str(choose("auto"))
