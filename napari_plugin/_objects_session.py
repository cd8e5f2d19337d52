"""One labels layer under review: its table follows every stroke, undo and redo, measuring only what changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer, Signal

from medseg import Instances, LabelMap, MedsegError, Progress, Segment, Volume
from medseg.measure import measure_steps
from medseg.measure.one import measure_some, nearest_after_change, touching_some
from medseg.progress import Steps, named
from napari_plugin._layers import present_ids, record_of
from napari_plugin._objects_history import Box, History, Note, Notes, Step, Touched, touched_by
from napari_plugin._objects_model import ObjectModel
from napari_plugin._objects_store import ID, REVIEWED, ObjectStore

if TYPE_CHECKING:
    import pandas as pd

MOST_AT_ONCE = 200
"""A change that touches more objects than this is measured as a whole, beside the window."""
LARGE = 2_000_000
"""Objects in larger boxes (in voxels) are measured again when the hand rests, not after every stroke."""
_REST_MS = 400
_TOUCHING = "neighbours_touching"

_Indices = tuple[npt.NDArray[np.int64], ...]


@dataclass(frozen=True)
class Measured:
    """The whole table of a layer, as the work beside the window brings it."""

    table: pd.DataFrame
    segments: dict[int, Segment]


def measuring(labels: LabelMap, known: Mapping[int, Segment], image: Volume | None, *, structures: bool) -> Steps[Any]:
    """Measure all objects of a layer: work for a `RunBar`; the layer itself is not touched."""
    yield Progress("finding objects", 0, 2)
    ids = present_ids(np.asarray(labels.array))
    segments = {i: known.get(i) or Segment(i, i if structures else 1) for i in ids}
    objects = Instances(labels.array, labels.grid, tuple(segments.values()), _names(labels))
    steps = measure_steps(objects, image)
    table = yield from named(steps, f"measuring {len(ids)} objects")
    return Measured(table, segments)


class ObjectSession(QObject):
    """A labels layer, the table of its objects, and what was done to them.

    `edited` comes after every change of objects or notes, `outgrown` when the whole layer has to be measured again.

    Parameters
    ----------
    layer : napari.layers.Labels
    labels : LabelMap
        The layer's value; its array shares the layer's memory.
    found : Measured
    image : Volume, optional
        For intensities.
    reviewed : iterable of int
        Ids that were ticked before.
    """

    edited = Signal()
    outgrown = Signal()

    def __init__(
        self, layer: Any, labels: LabelMap, found: Measured, image: Volume | None, reviewed: Iterable[int] = ()
    ) -> None:
        super().__init__()
        self.layer, self.labels, self.image = layer, labels, image
        self.structures = is_structures(layer)
        self.classes = _names(labels)
        self.history = History()
        self.store = ObjectStore(found.table, reviewed)
        self.model = ObjectModel(lambda number: layer.get_color(number))
        self.model.show(self.store)
        self.model.ticked.connect(self.tick)
        self._segments = dict(found.segments)
        self._planned: Notes | None = None
        self._waiting: list[Step] = []
        self._late: dict[int, Box] = {}
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self.catch_up)
        layer.events.paint.connect(self._painted)
        layer.events.labels_update.connect(self.take_strokes)
        layer.events.set_data.connect(self.look_for_undo)
        self._keep_record()

    @property
    def array(self) -> npt.NDArray[Any]:
        """The labels in the axes of the grid; the memory is that of the layer."""
        return np.asarray(self.labels.array)

    @property
    def reviewed(self) -> tuple[int, ...]:
        """Ids that are ticked as seen."""
        places = self.store.places()
        return tuple(int(i) for i in self.store.column(ID)[places[self.store.column(REVIEWED)[places]]])

    def close(self) -> None:
        """Listen to the layer no longer."""
        self._rest.stop()
        self.layer.events.paint.disconnect(self._painted)
        self.layer.events.labels_update.disconnect(self.take_strokes)
        self.layer.events.set_data.disconnect(self.look_for_undo)
        self._waiting = []

    def note(self, number: int) -> Note | None:
        """Return what is known of an object, None where there is none."""
        if number not in self.store:
            return None
        return Note(self._segments[number], bool(self.store.value(self.store.place(number), REVIEWED)))

    def box(self, number: int) -> Box:
        """Return the box of an object, in the axes of the grid."""
        names = [n for n in self.store.names if n.startswith("bbox_")]
        place = self.store.place(number)
        ends = [int(self.store.value(place, name)) for name in names]
        return tuple(slice(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True))

    def voxels(self, number: int) -> _Indices:
        """Return the indices of an object's voxels, in the axes of the grid; only its box is searched."""
        box = self.box(number)
        found = np.nonzero(self.array[box] == number)
        return tuple(i + s.start for i, s in zip(found, box, strict=True))

    def write(self, changes: Iterable[tuple[_Indices, int]], notes: Notes) -> None:
        """Write numbers into voxels as one step that napari can undo, together with what is then known."""
        with self._planning(notes):
            with self.layer.block_history():
                for indices, number in changes:
                    self.layer.data_setitem(self._in_layer(indices), number, refresh=False)
            self.layer.refresh()

    def set_notes(self, notes: Notes) -> None:
        """Change what is known of objects, as one step that can be undone."""
        self.history.add(Step({i: self.note(i) for i in notes}, dict(notes)))
        self._apply(notes)

    def tick(self, number: int, yes: bool) -> None:
        """Mark an object as seen, or not."""
        self.model.put(number, {REVIEWED: yes})
        self.edited.emit()

    def undo(self) -> None:
        """Take back the last step, made here or with napari's brush."""
        if not self.history.done:
            return
        last = self.history.done[-1]
        if last.touched is None:
            self.history.done.pop()
            self._apply(last.before)
        else:
            self.layer.undo()
            self.look_for_undo()  # an invisible layer does not tell that it was drawn again

    def look_for_undo(self, _: Any = None) -> None:
        """Follow what napari's undo and redo did; asked whenever the layer is drawn, so it looks at two voxels."""
        if not isinstance(self.layer.data, np.ndarray):
            return
        self.take_strokes()
        for touched, notes in self.history.noticed(self.layer.data):
            self._follow(touched, notes)

    def _painted(self, event: Any) -> None:
        touched = touched_by(event.value)
        if touched is None:
            self.outgrown.emit()
            return
        before = {i: self.note(i) for i in touched.ids}
        after = self._planned or {i: note or Note(self._fresh(i)) for i, note in before.items()}
        self._waiting.append(Step(before, dict(after), touched))
        if touched.holds(self.layer.data):
            self.take_strokes()
        else:  # outside of a drag napari tells of a change before it makes it
            QTimer.singleShot(0, self.take_strokes)

    def take_strokes(self, _: Any = None) -> None:
        """Follow the strokes that napari has told of."""
        strokes, self._waiting = self._waiting, []
        for step in strokes:
            if step.touched is not None:
                self.history.add(step)
                self._follow(step.touched, step.after)

    def _follow(self, touched: Touched, notes: Notes) -> None:
        """Measure what a change touched and what lies beside it."""
        region = self._in_grid(touched.box)
        beside = np.unique(self.array[_grown(region, self.array.shape)])
        boxes = {i: _around(region, self.box(i) if i in self.store else None) for i in touched.ids}
        near = {int(i): self.box(int(i)) for i in beside if int(i) not in boxes and i != 0 and int(i) in self.store}
        self._segments |= {i: note.segment for i, note in notes.items() if note is not None}
        if len(boxes) + len(near) > MOST_AT_ONCE:
            self._keep_record()
            self.outgrown.emit()
            return
        now = {i: box for i, box in boxes.items() if _size(box) <= LARGE or i not in self.store}
        self._late |= {i: box for i, box in boxes.items() if i not in now}
        self._measure(now)
        for number, n in touching_some(Instances(self.array, self.labels.grid), near).items():
            self.model.put(number, {_TOUCHING: n})
        self._apply({i: note for i, note in notes.items() if i in self.store})
        if self._late:
            self._rest.start()

    def catch_up(self) -> None:
        """Measure the large objects that changed, now that the hand rests."""
        late, self._late = self._late, {}
        self._measure({i: _around(self.box(i), box) for i, box in late.items() if i in self.store})
        self._keep_record()
        self.edited.emit()

    def _measure(self, boxes: dict[int, Box]) -> None:
        """Measure objects in their boxes, write their rows, and drop those without a voxel."""
        old = self.store.centres(np.array([self.store.place(i) for i in boxes if i in self.store], np.int64))
        segments = tuple(self._segments.setdefault(i, self._fresh(i)) for i in boxes)
        try:
            table = measure_some(Instances(self.array, self.labels.grid, segments, self.classes), boxes, self.image)
        except MedsegError:
            self.outgrown.emit()
            return
        here = {int(i) for i in table["object_id"]}
        gone = set(boxes) - here
        self.model.update_rows(table, gone=gone)
        for number in gone:
            self._segments.pop(number, None)
        self._measure_distances(here, old)

    def _measure_distances(self, ids: set[int], left: npt.NDArray[np.float64]) -> None:
        name = next((n for n in self.store.names if n.startswith("nearest_neighbour_")), None)
        if name is None or not len(self.store):
            return
        places = self.store.places()
        rows = np.searchsorted(self.store.column(ID)[places], sorted(ids))
        centres = self.store.centres(places)
        before = self.store.column(name)[places]
        self.store.column(name)[places] = nearest_after_change(centres, before, rows, left)
        self.model.refresh_columns([name])

    def _apply(self, notes: Notes) -> None:
        """Write notes into the rows and the layer's record."""
        for number, note in notes.items():
            if note is None or number not in self.store:
                continue
            segment = self._segments[number] = note.segment
            name = self.classes.get(segment.class_id, f"class {segment.class_id}")
            values = {"class_id": segment.class_id, "name": name, "score": segment.score}
            self.model.put(number, {**values, "flags": ";".join(segment.flags), REVIEWED: note.reviewed})
        self._keep_record()
        self.edited.emit()

    def _keep_record(self) -> None:
        """Keep the layer's own record in step, so that whoever saves it saves the same objects."""
        if self.structures:
            return
        record = self.layer.metadata.setdefault("medseg", {})
        record["segments"] = tuple(self._segments.values())
        record["classes"] = dict(self.classes)

    def _fresh(self, number: int) -> Segment:
        return Segment(number, number if self.structures else min(self.classes, default=1))

    @contextmanager
    def _planning(self, notes: Notes) -> Iterator[None]:
        self._planned = notes
        try:
            yield
        finally:
            self._planned = None

    def _in_grid(self, box: Box) -> Box:
        return box[::-1] if self.labels.grid.space == "patient" else box

    def _in_layer(self, indices: _Indices) -> _Indices:
        return indices[::-1] if self.labels.grid.space == "patient" else indices


def is_structures(layer: Any) -> bool:
    """Tell whether the numbers of a layer are classes, not objects."""
    record = record_of(layer)
    return bool(record.get("classes")) and "segments" not in record


def with_class(note: Note, class_id: int) -> Note:
    """Return a note of the same object in another class."""
    return replace(note, segment=replace(note.segment, class_id=class_id))


def _names(labels: LabelMap) -> dict[int, str]:
    return dict(labels.classes) or {1: "object"}


def _grown(box: Box, shape: tuple[int, ...]) -> Box:
    return tuple(slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, shape, strict=True))


def _around(box: Box, other: Box | None) -> Box:
    if other is None:
        return box
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(box, other, strict=True))


def _size(box: Box) -> int:
    return int(np.prod([s.stop - s.start for s in box], dtype=np.int64))
