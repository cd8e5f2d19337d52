"""Corrections of objects: class, delete, merge, split. Each is one step that can be undone, in 3-D too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg import Instances, MedsegError, Progress
from medseg.errors import UsageError
from medseg.instance.seeds import split_object
from medseg.progress import Steps
from napari_plugin._objects_history import Note, Notes
from napari_plugin._objects_session import ObjectSession, with_class

_DOUBTS = ("likely_merged", "likely_fragment")
"""Flags that a person has answered who merged or split an object."""


def set_class(session: ObjectSession, ids: Sequence[int], name: str) -> None:
    """Give objects a class, a new one if there is none of this name."""
    wanted = name.strip()
    number = next((c for c, known in session.classes.items() if known.casefold() == wanted.casefold()), None)
    if number is None:
        number = max(session.classes, default=0) + 1
        session.classes[number] = wanted
    held = {i: session.note(i) for i in ids}
    session.set_notes({i: with_class(note, number) for i, note in held.items() if note is not None})


def delete(session: ObjectSession, ids: Sequence[int]) -> None:
    """Make objects background."""
    session.write([(session.voxels(i), 0) for i in ids], dict.fromkeys(ids))


def merge(session: ObjectSession, ids: Sequence[int]) -> int:
    """Make one object of several; it keeps the number, class and score of the largest. Returns its number."""
    size = {i: float(session.store.by_size(np.array([session.store.place(i)]))[0]) for i in ids}
    kept = max(sorted(ids), key=lambda i: size[i])
    notes: Notes = dict.fromkeys(ids)
    notes[kept] = _answered(session.note(kept))
    session.write([(session.voxels(i), kept) for i in ids if i != kept], notes)
    return kept


def splitting(session: ObjectSession, number: int, seeds: Sequence[tuple[int, ...]]) -> Steps[Any]:
    """Find where to split an object: work for a `RunBar`; returns a function that makes the change."""
    box = session.box(number)
    instances = Instances(session.array, session.labels.grid)
    yield Progress("splitting", 0, 1)
    second = split_object(instances, number, seeds, box)
    return lambda: _part(session, number, second, box)


def free_number(session: ObjectSession) -> int:
    """Return a number that no object has and that the layer can hold.

    Raises
    ------
    UsageError
        If there is none left (E_USAGE).
    """
    top = int(np.iinfo(session.array.dtype).max)
    ids = session.store.ids
    if not len(ids) or ids[-1] < top:
        return int(ids[-1]) + 1 if len(ids) else 1
    gaps = np.flatnonzero(np.diff(ids, prepend=0) > 1)
    if not len(gaps):
        raise UsageError(
            "E_USAGE",
            found=f"a layer of {session.array.dtype}, all {top} numbers of which are in use",
            expected="room for one more number",
            not_done="the object was not split",
            remedy="Right click on the layer, Convert data type, and choose a larger one; then measure again.",
        )
    at = int(gaps[0])
    return int(ids[at - 1]) + 1 if at else 1


def _part(session: ObjectSession, number: int, second: npt.NDArray[np.bool_], box: tuple[slice, ...]) -> int:
    """Give the smaller part a number of its own, and return it."""
    own = session.array[box] == number
    smaller = own & second if 2 * int((own & second).sum()) <= int(own.sum()) else own & ~second
    if not smaller.any():
        raise MedsegError(
            "E_USAGE",
            found="an object that changed meanwhile",
            expected="the object as it was when it was clicked",
            not_done="it was not split",
            remedy="Click the two points again.",
        )
    new = free_number(session)
    note = _answered(session.note(number))
    indices = tuple(i + s.start for i, s in zip(np.nonzero(smaller), box, strict=True))
    other = None if note is None else Note(replace(note.segment, id=new), note.reviewed)
    session.write([(indices, new)], {number: note, new: other})
    return new


def _answered(note: Note | None) -> Note | None:
    if note is None:
        return None
    flags = tuple(flag for flag in note.segment.flags if flag not in _DOUBTS)
    return replace(note, segment=replace(note.segment, flags=flags))
