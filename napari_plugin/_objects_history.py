"""What was painted, and whether it was taken back: napari tells of strokes, but not of undo and redo."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medseg import Segment

LONGEST = 100
"""As many strokes as napari keeps."""

Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of an object beside its voxels."""

    segment: Segment
    reviewed: bool = False


Notes = dict[int, Note | None]
"""By id; None where there was no such object."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What one change of voxels touched.

    Parameters
    ----------
    ids : frozenset of int
        Objects that lost or won voxels, background left out.
    box : tuple of slice
        In the axes of the layer's data.
    probe : tuple of int
        A voxel that changed.
    value : int
        What it holds since.
    """

    ids: frozenset[int]
    box: Box
    probe: tuple[int, ...]
    value: int

    def holds(self, data: Any) -> bool:
        """Tell whether the change is still made."""
        return int(data[self.probe]) == self.value


@dataclass(slots=True, eq=False)
class Step:
    """One step that can be undone: a change of voxels, of notes, or of both."""

    before: Notes
    after: Notes
    touched: Touched | None = None


@dataclass(slots=True)
class History:
    """Steps in the order in which they were made, and those that were taken back."""

    done: deque[Step] = field(default_factory=lambda: deque(maxlen=LONGEST))
    undone: deque[Step] = field(default_factory=lambda: deque(maxlen=LONGEST))

    def add(self, step: Step) -> None:
        """Remember a new step; what was taken back before cannot be redone any more."""
        self.done.append(step)
        self.undone.clear()

    def noticed(self, data: Any) -> list[tuple[Touched, Notes]]:
        """Return the changes of voxels that were taken back or made again since the last time.

        Only one voxel of each is looked at, so this may be asked whenever the layer is drawn.

        Returns
        -------
        list of (Touched, Notes)
            With the notes that hold now.
        """
        found: list[tuple[Touched, Notes]] = []
        while (step := _last(self.done)) is not None and step.touched is not None and not step.touched.holds(data):
            self.done.remove(step)
            self.undone.append(step)
            found.append((step.touched, step.before))
        if found:
            return found
        while (step := _last(self.undone)) is not None and step.touched is not None and step.touched.holds(data):
            self.undone.remove(step)
            self.done.append(step)
            found.append((step.touched, step.after))
        return found


def touched_by(item: Iterable[Any]) -> Touched | None:
    """Read one entry of the ``paint`` event of a labels layer; None for a kind that is not known.

    An entry is a list of changes: (indices, old values, new values), or since napari 0.7 also a record of the box,
    the mask in it, the old values and the new one.
    """
    ids: set[int] = set()
    boxes: list[Box] = []
    probe: tuple[tuple[int, ...], int] | None = None
    for change in item:
        if hasattr(change, "slice_key"):
            ids |= {*_numbers(change.old_values), int(change.new_value)}
            boxes.append(tuple(change.slice_key))
            probe = _first_in(change), int(change.new_value)
        elif isinstance(change, tuple) and len(change) == 3 and len(change[0][0]):
            indices, old, new = change
            ids |= {*_numbers(old), *_numbers(new)}
            boxes.append(tuple(slice(int(np.min(i)), int(np.max(i)) + 1) for i in indices))
            probe = tuple(int(i[0]) for i in indices), int(np.ravel(new)[0])
        else:
            return None
    if probe is None:
        return None
    return Touched(frozenset(ids - {0}), union(boxes), *probe)


def union(boxes: Iterable[Box]) -> Box:
    """Return the box around boxes."""
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True))


def _first_in(change: Any) -> tuple[int, ...]:
    start = [s.start for s in change.slice_key]
    if change.mask is None:
        return tuple(int(i) for i in start)
    local = np.unravel_index(int(np.argmax(change.mask)), change.mask.shape)
    return tuple(int(a + b) for a, b in zip(start, local, strict=True))


def _numbers(values: Any) -> set[int]:
    return {int(v) for v in np.unique(values)}


def _last(steps: deque[Step]) -> Step | None:
    return next((step for step in reversed(steps) if step.touched is not None), None)
