"""The Objects widget: a table of the objects of a labels layer, to look at, correct, count and take along."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QVBoxLayout, QWidget

from medseg import MedsegError, Volume
from medseg.ops.agreement import require_same_grid
from napari_plugin import _objects_edit as edit
from napari_plugin import _objects_table as table
from napari_plugin._docked import DockedWidget
from napari_plugin._layers import label_map_of, record_of, volume_from_layer
from napari_plugin._objects_click import Clicks
from napari_plugin._objects_counting import count, told
from napari_plugin._objects_export import as_text, save_csv, set_features
from napari_plugin._objects_goto import Frame, go_to
from napari_plugin._objects_keys import NEEDS_EYES, NEXT, PREVIOUS, SEEN, UNDO, Keys
from napari_plugin._objects_model import ObjectModel
from napari_plugin._objects_session import Measured, ObjectSession, is_structures, measuring
from napari_plugin._objects_state import NO_OBJECTS, reasons, summary, switch
from napari_plugin._objects_view import ObjectsView
from napari_plugin._telling import tell

if TYPE_CHECKING:
    import napari.viewer

_FEATURES_MS = 500
_FLAT = 2


class ObjectsWidget(DockedWidget):
    """Table of the objects of a labels layer, by label id.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        self.view = ObjectsView(viewer)
        super().__init__(self.view.run, parent)
        self._viewer = viewer
        self.session: ObjectSession | None = None
        self._problem, self._stale, self._quiet = "", False, False
        self._frame = Frame(viewer)
        self._empty = ObjectModel()
        self._features = QTimer(self)
        self._features.setSingleShot(True)
        self._features.setInterval(_FEATURES_MS)
        self._features.timeout.connect(self._hand_over)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self._connect()
        self.keys = Keys(
            viewer,
            {
                NEXT: lambda: self.step(1),
                PREVIOUS: lambda: self.step(-1),
                NEEDS_EYES: self.next_need,
                SEEN: self.tick_current,
                UNDO: self.undo,
            },
        )
        self._clicks = Clicks(viewer, lambda: self.session)
        self._clicks.picked.connect(self._pick)
        self._clicks.parted.connect(self._split)
        self._clicks.said.connect(self._say)
        self._take_model(self._empty)
        self.measure()

    @property
    def current(self) -> int | None:
        """The id of the row with the cursor; None where there is none."""
        index = self.view.table.currentIndex()
        return self._model.id_at(index.row()) if index.isValid() and index.row() < self._model.rowCount() else None

    @property
    def selected(self) -> list[int]:
        """The ids of the selected rows."""
        chosen = self.view.table.selectionModel()
        return [] if chosen is None else [self._model.id_at(index.row()) for index in chosen.selectedRows()]

    def measure(self, _: Any = None) -> None:
        """Measure the chosen layer as a whole, beside the window."""
        if self.view.run.busy:
            self._stale = True
            self.view.run.cancel()
            return
        layer = self.view.labels.layer
        seen = self.session.reviewed if self.session is not None and self.session.layer == layer else ()
        self._let_go()
        self._problem = ""
        if layer is None:
            self._tell_state()
            return
        try:
            labels = label_map_of(layer)
            image = self._image_on(labels.grid)
        except MedsegError as error:
            self._problem = str(error)
            self._tell_state()
            return
        known = {segment.id: segment for segment in record_of(layer).get("segments", ())}
        structures = is_structures(layer)
        self._making = (layer, labels, image, seen)
        self.view.run.start(
            lambda: measuring(labels, known, image, structures=structures), what=f"Measuring {layer.name}"
        )
        self._tell_state()

    def select(self, number: int) -> bool:
        """Select the row of an object and go there; tells whether it is shown."""
        row = self._model.row_of(number)
        if row is None:
            return False
        index = self._model.index(row, 0)
        self.view.table.setCurrentIndex(index)
        self.view.table.scrollTo(index)
        return True

    def step(self, by: int) -> None:
        """Go to the next or previous row, from the last to the first."""
        rows = self._model.rowCount()
        if rows:
            index = self.view.table.currentIndex()
            at = index.row() if index.isValid() else (-1 if by > 0 else 0)
            self.select(self._model.id_at((at + by) % rows))

    def next_need(self) -> None:
        """Go to the next row, in the order of the table, whose object needs eyes."""
        store = self._model.store
        if store is None or not self._model.rowCount():
            return
        wants = store.asks_for_eyes()[self._model.shown_places()]
        if not wants.any():
            self._say("No other object needs eyes.")
            return
        index = self.view.table.currentIndex()
        start = index.row() + 1 if index.isValid() else 0
        row = int((start + np.argmax(np.roll(wants, -start))) % len(wants))
        self.select(self._model.id_at(row))

    def tick_current(self) -> None:
        """Mark the current object as seen, or take the mark back."""
        if self.session is not None and (number := self.current) is not None:
            note = self.session.note(number)
            self.session.tick(number, not (note and note.reviewed))

    def undo(self) -> None:
        """Take back the last step."""
        if self.session is not None:
            self.session.undo()

    def save_csv(self, path: str) -> None:
        """Write the table; an error is shown in the viewer."""
        if self.session is not None:
            self._doing(lambda: save_csv(self._session.store, path))

    def let_go(self) -> None:
        """Leave the viewer as it was: no keys, callbacks or frame of ours stay behind."""
        self._clicks.close()
        self._let_go()
        self.keys.close()
        self._frame.close()
        self._viewer.dims.events.ndisplay.disconnect(self._tell_state)
        for choice in (self.view.labels, self.view.image, self.view.shapes):
            choice.let_go()

    @property
    def _model(self) -> ObjectModel:
        return self._empty if self.session is None else self.session.model

    @property
    def _session(self) -> ObjectSession:
        if self.session is None:
            raise RuntimeError("no layer is open")
        return self.session

    def _connect(self) -> None:
        view = self.view
        view.labels.changed.connect(self.measure)
        view.image.changed.connect(self.measure)
        view.run.done.connect(self._measured)
        view.run.ended.connect(self._rest)
        view.again.clicked.connect(lambda: self.measure())
        view.filter.textChanged.connect(self._filter)
        view.need_first.clicked.connect(lambda: table.sort_by_need(view, self._model))
        view.table.horizontalHeader().sectionClicked.connect(lambda column: table.sort_by(view, self._model, column))
        view.next.clicked.connect(lambda: self.step(1))
        view.previous.clicked.connect(lambda: self.step(-1))
        view.next_need.clicked.connect(self.next_need)
        view.frame.toggled.connect(lambda: self._highlight())
        view.only.toggled.connect(lambda: self._highlight())
        view.all_columns.toggled.connect(lambda: table.show_columns(self.view, self._model, self.session))
        view.set_class.clicked.connect(lambda: self._edit(self._set_class))
        view.delete.clicked.connect(lambda: self._edit(lambda: edit.delete(self._session, self.selected)))
        view.merge.clicked.connect(lambda: self._edit(self._merge))
        view.split.toggled.connect(self._start_split)
        view.undo.clicked.connect(self.undo)
        view.count.clicked.connect(self._count)
        view.shapes.changed.connect(lambda _: self._tell_state())
        view.save.clicked.connect(self._ask_and_save)
        view.copy.clicked.connect(self._copy)
        self._viewer.dims.events.ndisplay.connect(self._tell_state)

    def _measured(self, result: Any) -> None:
        if self.gone:
            return
        if callable(result):  # a split is ready to be made
            self._edit(lambda: self.select(result()))
            return
        if not isinstance(result, Measured):
            return
        layer, labels, image, seen = self._making
        if layer not in self._viewer.layers or layer != self.view.labels.layer:
            return
        self.session = ObjectSession(layer, labels, result, image, seen)
        self.session.edited.connect(self._edited)
        self.session.outgrown.connect(self.measure)
        self._take_model(self.session.model)
        table.list_classes(self.view, self.session)
        self._edited()

    def _rest(self) -> None:
        if self.gone:
            return
        if self._stale:
            self._stale = False
            self.measure()
        self._tell_state()

    def _let_go(self) -> None:
        if self.session is None:
            return
        self._features.stop()
        self.view.split.setChecked(False)
        self.session.close()
        self.session = None
        self._frame.show(None, None)
        self._take_model(self._empty)

    def _take_model(self, model: ObjectModel) -> None:
        self.view.table.setModel(model)
        self._filter(self.view.filter.text())
        table.show_columns(self.view, self._model, self.session)
        self.view.table.selectionModel().currentRowChanged.connect(self._row_changed)
        self.view.table.selectionModel().selectionChanged.connect(lambda *_: self._tell_state())

    def _image_on(self, grid: Any) -> Volume | None:
        if self.view.image.layer is None:
            return None
        volume = volume_from_layer(self.view.image.layer)
        require_same_grid(volume.grid, grid, what="image and labels", not_done="the objects were not measured")
        return volume

    def _edited(self) -> None:
        self._features.start()
        table.list_classes(self.view, self.session)
        self._highlight()
        self._tell_state()

    def _hand_over(self) -> None:
        if self.session is not None:
            set_features(self.session.layer, self.session.store)

    def _row_changed(self, current: Any, _: Any = None) -> None:
        if self.session is None or not current.isValid() or self._quiet:
            return
        number = self._model.id_at(current.row())
        session = self.session
        session.layer.selected_label = number
        go_to(self._viewer, session.layer, session.array, number, session.box(number), zoom=self.view.zoom.isChecked())
        self._highlight()

    def _highlight(self) -> None:
        if self.session is None:
            return
        number = self.current
        box = None if number is None or number not in self.session.store else self.session.box(number)
        self._frame.show(self.session.layer, box if self.view.frame.isChecked() else None)
        only = self.view.only.isChecked()
        if self.session.layer.show_selected_label != only:
            self.session.layer.show_selected_label = only

    def _pick(self, number: int) -> None:
        if not self.select(number) and number in self._session.store:
            self._say(f"Object {number} is hidden by the filter.")

    def _start_split(self, on: bool) -> None:
        number = self.current
        if on and number is not None:
            self._clicks.start_split(number)
        else:
            self._clicks.stop_split()
            self._tell_state()

    def _split(self, number: int, seeds: Any) -> None:
        session = self._session
        self.view.split.setChecked(False)
        self.view.run.start(lambda: edit.splitting(session, number, seeds), what="Splitting")

    def _set_class(self) -> None:
        edit.set_class(self._session, self.selected, self.view.classes.currentText())

    def _merge(self) -> None:
        self.select(edit.merge(self._session, self.selected))

    def _edit(self, action: Callable[[], object]) -> None:
        self._doing(action)
        self._tell_state()

    def _doing(self, action: Callable[[], object]) -> None:
        try:
            action()
        except MedsegError as error:
            tell(error)

    def _count(self) -> None:
        shapes, session = self.view.shapes.layer, self._session
        try:
            found = count(self._viewer, shapes, session.layer, session.store, session.labels.grid)
        except MedsegError as error:
            tell(error)
            return
        self.view.counted.setText(told(found, session.labels.grid.ndim))
        self.view.counted.show()
        self._quiet = True
        self.view.select_rows(self._model.row_of(i) for i in sorted({i for one in found for i in one.ids}))
        self._quiet = False

    def _filter(self, text: str) -> None:
        try:
            self._model.filter_by(text)
        except ValueError as error:
            self._say(f"Filter: {error}.")
            return
        self._tell_state()

    def _ask_and_save(self) -> None:
        session = self._session
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the table", f"{session.layer.name}_objects.csv", "CSV (*.csv)"
        )
        if path:
            self.save_csv(path if path.lower().endswith(".csv") else f"{path}.csv")

    def _copy(self) -> None:
        session, chosen = self._session, self.selected
        places = self._model.shown_places()
        if len(chosen) > 1:
            places = np.array([session.store.place(i) for i in chosen], np.int64)
        QApplication.clipboard().setText(as_text(session.store, places))
        self._say(f"{len(places)} rows are on the clipboard.")

    def _say(self, text: str) -> None:
        self.view.status.setText(text)

    def _tell_state(self, _: Any = None) -> None:
        self._say(self._problem or self._summary())
        self._allow()

    def _summary(self) -> str:
        if self.session is None:
            return "" if self.view.run.busy else NO_OBJECTS
        return summary(self.session)

    def _allow(self) -> None:
        flat, drawn = self._viewer.dims.ndisplay == _FLAT, self.view.shapes.layer is not None
        why = reasons(self.session, len(self.selected), flat=flat, drawn=drawn)
        for name, reason in why.items():
            switch(getattr(self.view, name), reason)
