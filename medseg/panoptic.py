"""Stuff and things in one map: every voxel one class, every thing one id, nothing twice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError
from medseg.labels import Instances, LabelMap, Segment, smallest_integer_type
from medseg.ops.agreement import require_same_grid


def merge(semantic: LabelMap, things: Instances, *, stuff: Iterable[int] | None = None) -> Instances:
    """Lay things over stuff.

    A voxel of an object belongs to that object, whatever the semantic map says there. Elsewhere it belongs to the one
    segment of its stuff class. A voxel of a thing class that no object covers has no object to belong to and becomes
    background, as does every class that is not named.

    Parameters
    ----------
    semantic : LabelMap
    things : Instances
        On the same grid. Objects without a segment are of class 1; stuff segments in it are ignored.
    stuff : iterable of int, optional
        Classes that are counted as one region each; by default all classes of `semantic` that no object has.

    Returns
    -------
    Instances
        Things first, numbered from 1 in the order of their old numbers; then stuff by ascending class. Scores and
        flags of things are kept. A segment that covers no voxel is left out.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).
    UsageError
        If a class is both stuff and that of an object (E_USAGE).

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> grid = image_grid((1, 6), (1.0, 1.0), "px")
    >>> tissue = LabelMap(np.array([[3, 3, 1, 1, 1, 0]]), grid, {1: "axon", 3: "myelin"})
    >>> axons = Instances(np.array([[0, 9, 9, 4, 0, 0]]), grid, (Segment(4), Segment(9)))
    >>> both = merge(tissue, axons)
    >>> both.array.tolist(), [(s.id, s.class_id, s.is_thing) for s in both.segments]
    ([[3, 2, 2, 1, 0, 0]], [(1, 1, True), (2, 1, True), (3, 3, False)])
    """
    require_same_grid(semantic.grid, things.grid, what="classes and objects", not_done="they were not merged")
    known = {segment.id: segment for segment in things.segments}
    ids = [int(i) for i in np.unique(things.array) if i != 0 and (i not in known or known[int(i)].is_thing)]
    segments = [_renumbered(known.get(i, Segment(i)), n) for n, i in enumerate(ids, start=1)]
    thing_classes = {segment.class_id for segment in segments} | {s.class_id for s in things.segments if s.is_thing}
    present = [int(c) for c in np.unique(semantic.array) if c != 0]
    regions = sorted(set(stuff)) if stuff is not None else [c for c in present if c not in thing_classes]
    _check_disjoint(regions, thing_classes)
    kind = smallest_integer_type(len(ids) + len(regions))
    array = _looked_up(things.array, dict(zip(ids, range(1, len(ids) + 1), strict=True)), kind)
    ground = _looked_up(semantic.array, {c: len(ids) + n for n, c in enumerate(regions, start=1)}, kind)
    array = np.where(array > 0, array, ground)
    seen = np.bincount(array.reshape(-1), minlength=len(ids) + len(regions) + 1) > 0
    segments += [Segment(len(ids) + n, c, is_thing=False) for n, c in enumerate(regions, start=1) if seen[len(ids) + n]]
    names = {**things.classes, **semantic.classes}
    return Instances(array, semantic.grid, tuple(segments), names, semantic.source, semantic.warnings)


def _renumbered(segment: Segment, number: int) -> Segment:
    return Segment(number, segment.class_id, segment.score, True, segment.flags)


def _looked_up(array: npt.NDArray[np.integer], numbers: dict[int, int], kind: npt.DTypeLike) -> npt.NDArray[np.integer]:
    """Return the array with its numbers replaced; those without a new number become 0."""
    old = np.array(sorted(numbers), np.int64)
    new = np.array([numbers[int(i)] for i in old], kind)
    if not len(old):
        return np.zeros(array.shape, kind)
    top = int(max(old[-1], array.max()))
    if array.min() >= 0 and top < 1 << 24:
        table = np.zeros(top + 1, kind)
        table[old] = new
        return table[array]
    place = np.minimum(np.searchsorted(old, array), len(old) - 1)
    return np.where(old[place] == array, new[place], np.zeros(1, kind))


def _check_disjoint(regions: Iterable[int], thing_classes: set[int]) -> None:
    both = sorted(set(regions) & thing_classes)
    if both:
        raise UsageError(
            "E_USAGE",
            found=f"class {', '.join(map(str, both))} both as stuff and as the class of objects",
            expected="each class either as stuff or as things",
            not_done="the maps were not merged",
            remedy="Leave the class out of the stuff classes, or give the objects another class.",
        )
