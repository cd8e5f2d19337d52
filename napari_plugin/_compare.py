"""The Compare widget: a prediction against a reference, in numbers, in the picture, and at the worst places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from medseg import LabelMap, MedsegError
from medseg.metrics.difference import FALSE_ALARM, HIT, MISSED, NAMES
from medseg.ops.agreement import require_same_grid
from medseg.workflow.comparing import TOLERANCE_MM, Comparison, compare_steps
from napari_plugin._compare_tables import (
    OBJECTS,
    STRUCTURES,
    WORST,
    class_rows,
    fill,
    object_rows,
    size_unit,
    small_table,
    worst_rows,
)
from napari_plugin._docked import DockedWidget
from napari_plugin._layer_choice import LayerChoice
from napari_plugin._layers import label_map_of, labels_layer, record_of
from napari_plugin._objects_goto import go_to_box
from napari_plugin._objects_state import switch
from napari_plugin._request import Request
from napari_plugin._running import RunBar

if TYPE_CHECKING:
    import napari.viewer

COLOURS: dict[int | None, str] = {HIT: "#56b4e9", MISSED: "#d55e00", FALSE_ALARM: "#f0e442"}
"""Of Okabe and Ito: apart for colour-blind eyes, also on grey."""
_KINDS = {"structures (numbers are classes)": "semantic", "objects (numbers are objects)": "instances"}
_SAMPLE = 50_000
_MANY = 30


class CompareWidget(DockedWidget):
    """Compares two labels layers.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(RunBar(), parent)
        self._viewer = viewer
        self.result: Comparison | None = None
        self._shown: Any = None
        self._pair: tuple[Any, Any] = (None, None)
        usable = lambda layer: not record_of(layer).get("comparison")  # noqa: E731
        self.reference = LayerChoice(viewer, ("labels",), usable=usable)
        self.prediction = LayerChoice(viewer, ("labels",), usable=usable)
        self.kind, self.compare = QComboBox(), QPushButton("Compare")
        self.kind.addItems(list(_KINDS))
        self.status = QLabel()
        self.scores, self.worst = small_table(), small_table()
        self.legend = _legend()
        self.command = QPushButton("Copy as command")
        self.command.setToolTip("medseg evaluate, which gives the same numbers for the two files.")
        self._lay_out()
        self._connect()
        self._suggest_pair()
        self._chosen()

    def start(self) -> None:
        """Compare the two layers beside the window."""
        prediction, reference, problem = self._maps()
        if problem or prediction is None or reference is None or self.run.busy:
            return
        kind = _KINDS[self.kind.currentText()]
        self._pair = (self.prediction.layer, self.reference.layer)
        self.run.start(lambda: compare_steps(prediction, reference, kind=kind), what="Comparing")
        self._allow()

    def let_go(self) -> None:
        """Listen to the viewer no longer."""
        self.reference.let_go()
        self.prediction.let_go()

    def _connect(self) -> None:
        self.reference.changed.connect(self._chosen)
        self.prediction.changed.connect(self._chosen)
        self.kind.currentIndexChanged.connect(lambda _: self._allow())
        self.compare.clicked.connect(self.start)
        self.run.done.connect(self._compared)
        self.run.ended.connect(self._allow)
        self.worst.itemSelectionChanged.connect(self._go)
        self.command.clicked.connect(self._copy)

    def _suggest_pair(self) -> None:
        layers = self.prediction.layers
        if len(layers) > 1:
            truth = [x for x in layers if any(w in x.name.lower() for w in ("ref", "truth", "manual", "gt"))]
            self.reference.layer = (truth or list(layers))[0]
            self.prediction.layer = next(x for x in reversed(layers) if x != self.reference.layer)

    def _chosen(self, _: Any = None) -> None:
        both = [layer for layer in (self.reference.layer, self.prediction.layer) if layer is not None]
        if both:
            of_objects = any(_looks_like_objects(layer) for layer in both)
            self.kind.setCurrentIndex(list(_KINDS.values()).index("instances" if of_objects else "semantic"))
        self._allow()

    def _maps(self) -> tuple[LabelMap | None, LabelMap | None, str]:
        """Return prediction and reference, and why they cannot be compared."""
        if self.prediction.layer is None or self.reference.layer is None:
            return None, None, "Open two labels layers: a prediction and a reference."
        if self.prediction.layer == self.reference.layer:
            return None, None, "Choose two different layers."
        try:
            prediction, reference = (label_map_of(c.layer) for c in (self.prediction, self.reference))
            require_same_grid(
                prediction.grid, reference.grid, what="prediction and reference", not_done="they were not compared"
            )
        except MedsegError as error:
            return None, None, str(error)
        return prediction, reference, ""

    def _allow(self) -> None:
        if self.gone:
            return
        problem = self._maps()[2] or ("The comparison is under way." if self.run.busy else "")
        self.status.setText("" if self.run.busy else problem)
        self.status.setVisible(bool(self.status.text()))
        switch(self.compare, problem)
        files = [record_of(layer).get("source") for layer in self._layers()]
        why = "" if len(files) == 2 and all(files) else "Both layers have to come from files that medseg opened."
        switch(self.command, why)

    def _layers(self) -> list[Any]:
        return [layer for layer in (self.prediction.layer, self.reference.layer) if layer is not None]

    def _compared(self, result: Comparison) -> None:
        if self.gone:
            return
        self.result = result
        grid = result.difference.grid
        if result.objects is None:
            fill(self.scores, STRUCTURES, class_rows(result.classes))
        else:
            fill(self.scores, OBJECTS, object_rows(result.objects))
        titles = [f"{t} {size_unit(grid)}" if t == "size" else t for t in WORST[self._kind_of(result)]]
        self.worst.blockSignals(True)
        fill(self.worst, titles, worst_rows(result))
        self.worst.blockSignals(False)
        self._show(result.difference)
        self.legend.show()

    def _kind_of(self, result: Comparison) -> str:
        return "semantic" if result.objects is None else "instances"

    def _show(self, difference: LabelMap) -> None:
        """Show hits, misses and false alarms as a layer; the one of the last comparison makes room."""
        from napari.layers import Labels
        from napari.utils.colormaps import DirectLabelColormap

        if self._shown is not None and self._shown in self._viewer.layers:
            self._viewer.layers.remove(self._shown)
        name = f"{self._pair[0].name} against {self._pair[1].name}" if self._pair[0] is not None else "comparison"
        data, attributes, _ = labels_layer(difference, name, comparison=True)
        attributes["colormap"] = DirectLabelColormap(color_dict={None: "transparent", 0: "transparent"} | COLOURS)
        self._shown = self._viewer.add_layer(Labels(data, **attributes))
        for layer in self._pair:
            if layer is not None:
                layer.visible = False  # three labels layers over each other show nothing

    def _go(self) -> None:
        items = self.worst.selectedItems()
        if self.result is None or not items or self._shown not in self._viewer.layers:
            return
        from qtpy.QtCore import Qt

        place = self.result.worst[items[0].data(Qt.ItemDataRole.UserRole)]
        array = np.asarray(self.result.difference.array)
        go_to_box(self._viewer, self._shown, np.asarray(array[place.box] > HIT), place.box)

    def _copy(self) -> None:
        kind = _KINDS[self.kind.currentText()]
        options = {"kind": kind} if kind != "semantic" else {}
        inputs = tuple(str(record_of(layer)["source"]) for layer in self._layers())
        request = Request("evaluate", inputs, {**options, "out": "comparison.json"})
        QApplication.clipboard().setText(request.command_line())
        self.status.setText("The command is on the clipboard. It reads the files, not changes made here.")
        self.status.show()

    def _lay_out(self) -> None:
        self.status.setWordWrap(True)
        form = QFormLayout()
        form.addRow("Reference", self.reference)
        form.addRow("Prediction", self.prediction)
        form.addRow("They are", self.kind)
        self.scores.setToolTip(f"NSD counts surfaces within {TOLERANCE_MM:g} mm of each other as agreeing.")
        self.worst.setToolTip("Click a row to go there.")
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addLayout(form)
        column.addWidget(self.compare)
        for widget in (self.run, self.status):
            column.addWidget(widget)
        column.addWidget(self.scores, 2)
        column.addWidget(self.legend)
        column.addWidget(QLabel("Worst first:"))
        column.addWidget(self.worst, 3)
        column.addWidget(self.command)


def _looks_like_objects(layer: Any) -> bool:
    """Guess from what medseg knows of a layer, or from how many numbers it holds."""
    record = record_of(layer)
    if "segments" in record:
        return True
    if record.get("classes"):
        return False
    data = layer.data[0] if layer.multiscale else layer.data
    step = tuple(slice(None, None, max(1, round((data.size / _SAMPLE) ** (1 / data.ndim)))) for _ in range(data.ndim))
    return len(np.unique(np.asarray(data[step]))) > _MANY


def _legend() -> QWidget:
    legend = QWidget()
    row = QHBoxLayout(legend)
    row.setContentsMargins(0, 0, 0, 0)
    for number, name in NAMES.items():
        row.addWidget(QLabel(f'<span style="color:{COLOURS[number]}">■</span> {name}'))
    row.addStretch(1)
    legend.hide()
    return legend
