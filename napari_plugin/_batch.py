"""Segment a folder in a process of its own: a row for each case as it ends, and a double click opens it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QApplication, QWidget

from medseg import Progress
from medseg.progress import Steps
from medseg.workflow.journal import Watch, was_stopped
from napari_plugin._batch_form import BatchForm
from napari_plugin._batch_pace import BatchPace
from napari_plugin._finished_case import case_layers
from napari_plugin._layers import LayerData
from napari_plugin._process import Run, sentence
from napari_plugin._ready import ready
from napari_plugin._request import Request
from napari_plugin._settings import settings

if TYPE_CHECKING:
    import napari.viewer

EVERY = 500
"""Milliseconds between two looks at what the run has come to."""


class BatchWidget(BatchForm):
    """Runs ``medseg segment`` or ``medseg count`` over a folder, and shows what becomes of each case.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    _docked = False

    # napari gives its viewer to the parameter with exactly this annotation
    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(settings(), parent)
        self._viewer, self._settings = viewer, settings()
        self.run = Run(self)
        self._watch: Watch | None = None
        self._pace = BatchPace()
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY)
        self._timer.timeout.connect(self._look)
        self.run.ended.connect(self._end)
        self.run.stepped.connect(self._step)
        self.run_button.clicked.connect(lambda: self.start(resume=False))
        self.resume_button.clicked.connect(lambda: self.start(resume=True))
        self.stop_button.clicked.connect(self.stop)
        self.table.cellDoubleClicked.connect(lambda row, _: self.open_case(self.case_at(row)))
        self.summary_button.clicked.connect(lambda: self._open_file("summary.csv"))
        self.report_button.clicked.connect(lambda: self._open_file("report.html"))
        self.command_button.clicked.connect(lambda: self._copy(recipe=False))
        self.recipe_button.clicked.connect(lambda: self._copy(recipe=True))
        self.bar.done.connect(self._show_case)
        for signal in (self.inputs.changed, self.out.changed, self.model.changed):
            signal.connect(self.refresh)
        self.inputs.changed.connect(self._propose_out)
        self.refresh()

    def request(self, *, resume: bool = False) -> Request:
        """Return what is chosen, as a request.

        Raises
        ------
        LookupError
            With a sentence, where something is missing.
        """
        folder, out, card = self.inputs.path, self.out.path, self.model.card
        reason = self.reason()
        if reason or folder is None or out is None or card is None:
            raise LookupError(reason)
        objects = card.task != "semantic"
        device = self.device_combo.currentText()
        options = {
            "model": self.model.name,
            "device": None if device == "auto" else device,
            "tta": self.tta_box.isChecked(),
            "save_maps": self.maps_box.isChecked() and card.task != "detection",
            "resume": resume,
            "out": str(out),
        }
        return Request("count" if objects else "segment", (str(folder),), options)

    def reason(self) -> str:
        """Return why a run cannot be started, in a sentence; "" where it can."""
        folder, out = self.inputs.path, self.out.path
        if self.model.card is None:
            return "No model is installed."
        if folder is None:
            return "Choose the folder that holds the images, or drop it here."
        if not folder.is_dir():
            return f"There is no folder {folder}."
        if out is None:
            return "Choose a folder for the results."
        if out.resolve() == folder.resolve():
            return "The results need a folder of their own."
        return ""

    def refresh(self) -> None:
        """Check what is chosen, and say what is missing before anything runs."""
        out = self.out.path
        reason = "A run is under way." if self.run.busy else self.reason()
        unfinished = out is not None and was_stopped(out)
        self.tell_reason(reason, running=self.run.busy, resumable=unfinished)
        there = {name: out is not None and (out / name).is_file() for name in ("summary.csv", "report.html")}
        self.tell_files(summary=there["summary.csv"], report=there["report.html"])

    def start(self, *, resume: bool) -> None:
        """Start a run over the folder."""
        try:
            request = self.request(resume=resume)
        except LookupError:
            self.refresh()
            return
        self.clear_rows()
        self._watch, self._pace = Watch(Path(str(request.options["out"]))), BatchPace()
        self.result.setText("Starting, and loading the model …")
        self.run.start(request.arguments(), threads=self._settings.threads)
        self._timer.start()
        self.refresh()

    def stop(self) -> None:
        """Ask the run to stop; what is complete is kept."""
        self.result.setText("Stopping …")
        self.stop_button.setEnabled(False)
        self.run.stop()

    def open_case(self, name: str) -> None:
        """Open the image of a finished case with its labels and objects."""
        row = {} if self._watch is None else self._watch.rows.get(name, {})
        folder = self.inputs.path
        if self._watch is None or not row.get("outputs") or folder is None or self.bar.busy:
            return
        out = self._watch.out
        self.bar.start(lambda: _opening(row, folder, out), what=f"Opening {name}")

    def event(self, event: QEvent) -> bool:
        """Stop the run when the dock is closed: napari takes the widget out of it then."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.run.stop()
                self.bar.close_down()
            self._docked = self.parent() is not None
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Stop the run and wait for its summary."""
        self._timer.stop()
        self.run.close_down()
        self.bar.close_down()
        super().closeEvent(event)

    def _look(self) -> None:
        if self._watch is None:
            return
        fresh = self._watch.look()
        self.show_rows(self._watch.cases, fresh)
        if self._watch.cases and self.stop_button.isEnabled():
            done, total = len(self._watch.rows), len(self._watch.cases)
            self.show_progress(done, total, self._pace.left(done, total))

    def _step(self, step: Progress) -> None:
        """Show what is done within the case under way."""
        if self._watch is None:
            return
        case = max((name for name in self._watch.cases if step.phase.startswith(f"{name}: ")), key=len, default="")
        if case and case not in self._watch.rows:
            self._pace.begin(case, step.seconds_left)
            self.show_step(case, replace(step, phase=step.phase[len(case) + 2 :]))

    def _end(self, code: int) -> None:
        self._timer.stop()
        if self._watch is not None:
            self._look()
            self.show_rows(self._watch.cases, self._watch.conclude())
        words = self.run.words
        own = code in (1, 2, 5) or (code == -1 and words)
        self.result.setText(f"{sentence(code)}\n{words}" if own else sentence(code))
        self.refresh()

    def _show_case(self, layers: list[LayerData]) -> None:
        for data, attributes, kind in layers:
            getattr(self._viewer, f"add_{kind}")(data, **attributes)

    def _open_file(self, name: str) -> None:
        if self.out.path is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.out.path / name)))

    def _propose_out(self) -> None:
        folder = self.inputs.path
        if folder is not None and folder.is_dir() and self.out.path is None:
            self.out.path = folder.with_name(f"{folder.name}_results")

    def _copy(self, *, recipe: bool) -> None:
        try:
            request = self.request()
        except LookupError as missing:
            self.result.setText(str(missing))
            return
        QApplication.clipboard().setText(request.recipe() if recipe else request.command_line())
        self.result.setText("Copied. Save it as recipe.yaml and run: medseg run recipe.yaml" if recipe else "Copied.")


def _opening(row: dict[str, Any], folder: Path, out: Path) -> Steps[list[LayerData]]:
    """Read a finished case; runs on another thread."""
    yield Progress(f"opening {row['case']}", 0, 0)
    layers = case_layers(row, folder, out)
    ready(layers)
    return layers
