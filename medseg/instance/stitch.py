"""Objects from an image that is read tile by tile: exactly those of the whole image, with no seams.

What happens in one connected part of the foreground depends on nothing outside it. Parts that lie within a tile are
done there. The others are joined across the faces of the tiles (a graph of parts whose edges are contacts) and each
is then done once, in its own box.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.instance.basins import (
    Basins,
    Parts,
    Rule,
    as_solid,
    distance_levels_steps,
    find_parts,
    find_parts_steps,
    flooded_steps,
    numbered,
)
from medseg.instance.distance import weights
from medseg.instance.votes import follow_votes, landings, vote_levels
from medseg.progress import Pace, Progress, Steps, T, finish

Box = tuple[slice, ...]
ReadClasses = Callable[[Box], npt.NDArray[Any]]
WriteLevels = Callable[[Box, npt.NDArray[np.uint16]], None]
ReadWays = Callable[[Box], npt.NDArray[np.float32]]

AT_A_TIME = 2_000_000
"""Voxels read and smoothed between two pauses: a fraction of a second."""


@dataclass(frozen=True, eq=False, slots=True)
class Scene:
    """An image whose objects are wanted, read box by box.

    Parameters
    ----------
    shape : tuple of int
    spacing : tuple of float
    classes : callable
        Returns the classes (0 background) of a box.
    levels : callable or None
        Writes the levels of the landscape in a box; None to use the distance transform of the classes, or votes.
    rule : Rule
    whole : bool
        Every part is one object, and voxels that share an edge or a corner are connected too.
    ways : callable, optional
        Returns each voxel's way to the centre in a box, in voxels of each axis: objects are found by vote.
    widths : tuple of float
        Standard deviations of the smoothing of votes, in voxels.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    classes: ReadClasses
    levels: WriteLevels | None
    rule: Rule
    whole: bool = False
    ways: ReadWays | None = None
    widths: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Objects:
    """Separated objects, numbered from 1 by their first voxel.

    Parameters
    ----------
    array : int32 array
    class_ids : (n,) int array
    waists : (n,) float64 array
        See `medseg.instance.basins.Basins`.
    """

    array: npt.NDArray[np.int32]
    class_ids: npt.NDArray[np.int64]
    waists: npt.NDArray[np.float64]


def objects_steps(scene: Scene, tile: tuple[int, ...] | None = None) -> Steps[Objects]:
    """Separate the objects of a scene, whole or tile by tile; the result is the same.

    Parameters
    ----------
    scene : Scene
    tile : tuple of int, optional
        Largest shape that is held in memory at once, but for parts that are larger; the whole image by default.
    """
    canvas = _Canvas(scene)
    boxes = list(_boxes(scene.shape, tile or scene.shape))
    pace = Pace("separating objects", len(boxes))
    for done, box in enumerate(boxes, start=1):
        yield from canvas.do_tile_steps(box, quiet=len(boxes) > 1)
        yield pace.at(done)
    groups = canvas.groups(boxes)
    pace = Pace("joining tiles", len(groups))
    for done, group in enumerate(groups, start=1):
        yield from canvas.do_group_steps(group)
        yield pace.at(done)
    return canvas.finished()


class _Canvas:
    """The image that fills with objects; parts that a tile's face cuts wait in it as negative numbers."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._weights = weights(scene.spacing, scene.shape)
        self._out = np.zeros(scene.shape, np.int32)
        self._classes: list[npt.NDArray[Any]] = [np.zeros(1, np.int64)]
        self._waists: list[npt.NDArray[Any]] = [np.zeros(1)]
        self._n_objects = 0
        self._n_waiting = 0
        self._low: list[npt.NDArray[Any]] = [np.zeros((1, 3), np.int64)]
        self._high: list[npt.NDArray[Any]] = [np.zeros((1, 3), np.int64)]
        self._kind: list[npt.NDArray[Any]] = [np.zeros(1, np.int64)]

    def do_tile_steps(self, box: Box, *, quiet: bool) -> Steps[None]:
        classes = yield from _hushed(self._classes_steps(box), quiet)
        parts = yield from _hushed(find_parts_steps(classes, full=self._scene.whole), quiet)
        low, high, kind = _described(classes, parts)
        cut = _cut(low, high, box, self._scene.shape)
        if cut.any():
            self._set_aside(parts, cut, box, (low, high, kind))
        yield from _hushed(self._do_steps(parts, box, kind), quiet)

    def do_group_steps(self, group: npt.NDArray[Any]) -> Steps[None]:
        low, high, kind = (np.concatenate(part)[group] for part in (self._low, self._high, self._kind))
        shape, axes = self._scene.shape, len(self._scene.shape)
        start = np.maximum(low.min(axis=0)[3 - axes :] - 1, 0)
        stop = np.minimum(high.max(axis=0)[3 - axes :] + 1, shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        held = self._out[box]
        member = np.zeros(self._n_waiting + 1, np.bool_)
        member[group] = True
        mask = member[np.maximum(-held, 0)]
        held[mask] = 0
        parts = find_parts(mask, full=self._scene.whole)
        yield from _hushed(self._do_steps(parts, box, np.array([0, kind[0]])), True)

    def groups(self, boxes: list[Box]) -> list[npt.NDArray[Any]]:
        """Return the waiting parts that belong together, each group once."""
        if not self._n_waiting:
            return []
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n = self._n_waiting + 1
        kind = np.concatenate(self._kind)
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *self._contacts(boxes)])
        pairs = pairs[kind[pairs[:, 0]] == kind[pairs[:, 1]]]
        graph = coo_array((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
        _, group = connected_components(graph, directed=False)
        order = np.argsort(group, kind="stable")
        found = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
        return [members for members in found if members[0] != 0]

    def finished(self) -> Objects:
        from medseg.instance.parts import in_order

        ids = np.zeros(self._n_objects + 1, np.int64)
        in_order(self._out.reshape(-1), ids)
        order = np.argsort(ids[1:], kind="stable") + 1
        classes, waists = np.concatenate(self._classes), np.concatenate(self._waists)
        return Objects(self._out, classes[order], waists[order])

    def _classes_steps(self, box: Box) -> Steps[npt.NDArray[Any]]:
        slabs = _slabs(box)
        pace = Pace("reading the maps", len(slabs))
        found = []
        for done, slab in enumerate(slabs, start=1):
            found.append(self._scene.classes(slab))
            yield pace.at(done)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _do_steps(self, parts: Parts, box: Box, kind: npt.NDArray[Any]) -> Steps[None]:
        basins = yield from self._flooded_steps(parts, box)
        view = self._out[box]
        out = view if view.flags.c_contiguous else np.zeros(view.shape, np.int32)
        order = numbered(basins, self._scene.rule, out, self._n_objects)
        if out is not view:
            np.copyto(view, out, where=out > 0)
        self._n_objects += len(order)
        self._classes.append(kind[basins.owner[order]])
        self._waists.append(basins.waist[order])

    def _flooded_steps(self, parts: Parts, box: Box) -> Steps[Basins]:
        scene = self._scene
        if scene.whole:
            names = np.arange(parts.count + 1)
            return Basins(parts, names.astype(np.int32), np.zeros(parts.count + 1), names)
        if scene.levels is None and scene.ways is None:
            levels, links, heights = yield from distance_levels_steps(parts, self._weights)
            return (yield from flooded_steps(parts, levels, links, scene.rule, spacing=scene.spacing, heights=heights))
        links = parts.frame.zeros(np.int32)
        if scene.ways is not None:
            landing = landings(parts, scene.ways(box))
            yield Progress("counting votes", 0, 1)
            levels = vote_levels(parts, landing, scene.widths)
            basins = yield from flooded_steps(parts, levels, links, scene.rule, spacing=scene.spacing)
            follow_votes(basins, landing)
            return basins
        levels = parts.frame.zeros(np.uint16)
        yield from self._levels_steps(box, parts.frame.inner(levels))
        return (yield from flooded_steps(parts, levels, links, scene.rule, spacing=scene.spacing))

    def _levels_steps(self, box: Box, inner: npt.NDArray[Any]) -> Steps[None]:
        """Write the landscape slab by slab: a slab reads what lies around it, so there are no seams."""
        write = self._scene.levels
        assert write is not None
        out = inner if len(box) == 3 else inner[0]
        slabs = _slabs(box)
        pace = Pace("reading the maps", len(slabs))
        for done, slab in enumerate(slabs, start=1):
            write(slab, out[slab[0].start - box[0].start : slab[0].stop - box[0].start])
            yield pace.at(done)

    def _set_aside(self, parts: Parts, cut: npt.NDArray[np.bool_], box: Box, tables: tuple[Any, ...]) -> None:
        waiting = np.flatnonzero(cut)
        names = np.zeros(parts.count + 1, np.int32)
        names[waiting] = -np.arange(self._n_waiting + 1, self._n_waiting + 1 + len(waiting))
        inner = parts.frame.inner(parts.labels)
        written = names[-inner]
        self._out[box] += written.reshape(self._out[box].shape)
        inner[written != 0] = 0
        offset = np.array([0] * (3 - len(box)) + [s.start for s in box])
        low, high, kind = tables
        self._low.append(low[waiting] + offset)
        self._high.append(high[waiting] + offset)
        self._kind.append(kind[waiting])
        self._n_waiting += len(waiting)

    def _contacts(self, boxes: list[Box]) -> Iterator[npt.NDArray[np.int64]]:
        reach = 1 if self._scene.whole else 0
        for axis in range(len(self._scene.shape)):
            for at in sorted({box[axis].start for box in boxes} - {0}):
                before = -np.take(self._out, at - 1, axis=axis)
                after = -np.take(self._out, at, axis=axis)
                for shift in product(range(-reach, reach + 1), repeat=before.ndim):
                    a = before[
                        tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(shift, before.shape, strict=True))
                    ]
                    b = after[tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(shift, after.shape, strict=True))]
                    touching = (a > 0) & (b > 0)
                    yield np.unique(np.stack([a[touching], b[touching]], axis=1), axis=0).astype(np.int64)


def _slabs(box: Box) -> list[Box]:
    """Cut a box along its first axis into slabs of about as many voxels as are done between two pauses."""
    first, *rest = box
    plane = math.prod(side.stop - side.start for side in rest)
    thick = max(1, AT_A_TIME // max(1, plane))
    return [(slice(a, min(a + thick, first.stop)), *rest) for a in range(first.start, first.stop, thick)]


def _boxes(shape: tuple[int, ...], tile: tuple[int, ...]) -> Iterator[Box]:
    cuts = [[slice(a, min(a + t, n)) for a in range(0, n, t)] for n, t in zip(shape, tile, strict=True)]
    return product(*cuts)


def _described(classes: npt.NDArray[Any], parts: Parts) -> tuple[npt.NDArray[Any], ...]:
    from medseg.instance.parts import describe

    low, high = (np.zeros((parts.count + 1, 3), np.int64) for _ in range(2))
    kind = np.zeros(parts.count + 1, np.int64)
    describe(as_solid(classes), parts.labels, parts.frame.margin, parts.count, low, high, kind)
    return low, high, kind


def _cut(low: npt.NDArray[Any], high: npt.NDArray[Any], box: Box, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Tell which parts touch a face of the box behind which the image goes on."""
    cut = np.zeros(len(low), np.bool_)
    for axis, (side, n) in enumerate(zip(box, shape, strict=True), start=3 - len(box)):
        if side.start > 0:
            cut |= low[:, axis] == 0
        if side.stop < n:
            cut |= high[:, axis] == side.stop - side.start
    cut[0] = False
    return cut


def _hushed(steps: Steps[T], quiet: bool) -> Steps[T]:
    """Pass steps on, or none of them: one tile of many is a step of its own."""
    if quiet:
        return finish(steps)
    return (yield from steps)
