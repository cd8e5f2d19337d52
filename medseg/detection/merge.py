"""Objects of overlapping tiles become the objects of the image: none twice, none cut at a seam.

Two findings of different tiles are the same object where both tiles see the same there: their masks, within the zone
that the tiles share, overlap by half or more. Of the findings of an object the best that no face of its tile cuts is
taken as it is; an object that every tile cuts is put together from its pieces. Nothing here depends on how many tiles
there were, so that the same objects seen whole or tile by tile come out the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.detection.found import Corner, Found, box_of, in_rank, masked, neighbours
from medseg.progress import Progress, Steps

Box = tuple[slice, ...]
Mask = npt.NDArray[np.bool_]
_REPORTED = 500
"""Objects between two reports of progress."""


@dataclass(frozen=True, slots=True)
class MergeRule:
    """When findings are one object.

    Parameters
    ----------
    same : float
        Least overlap (IoU), within the zone that two tiles share, of findings that are one object.
    margin : float
        A box that comes this close to a face of its tile, in voxels, is cut by it where the image goes on.
    covered : float
        An object of whose mask better ones cover this share is none of its own.
    """

    same: float = 0.5
    margin: float = 1.0
    covered: float = 0.6


@dataclass(frozen=True, eq=False, slots=True)
class Tile:
    """What was found in a box of an image, in voxels of the image."""

    box: Box
    found: tuple[Found, ...]


def merged_steps(tiles: Sequence[Tile], shape: tuple[int, ...], rule: MergeRule | None = None) -> Steps[list[Found]]:
    """Return the objects of an image from those of its tiles, best first.

    Parameters
    ----------
    tiles : sequence of Tile
        Neighbours should share more than an object's width; longer objects are put together from pieces.
    shape : tuple of int
        Of the image.
    rule : MergeRule, optional
    """
    rule = rule or MergeRule()
    every = [(t, f) for t, tile in enumerate(tiles) for f in tile.found]
    boxes, homes, found = [t.box for t in tiles], [t for t, _ in every], [f for _, f in every]
    masks = _Masks(found, shape)
    pairs = yield from _same_steps(found, homes, boxes, masks, rule)
    cut = [_is_cut(f, boxes[t], shape, rule.margin) for f, t in zip(found, homes, strict=True)]
    objects = [_one_of([(found[i], cut[i]) for i in group]) for group in _groups(len(found), pairs)]
    # a piece that no other tile knows must not push a whole object aside
    return _uncovered(
        in_rank([f for f, whole in objects if whole]) + in_rank([f for f, whole in objects if not whole]), shape, rule
    )


class _Masks:
    """Masks, made when they are asked for the first time."""

    def __init__(self, found: Sequence[Found], shape: tuple[int, ...]) -> None:
        self._found, self._shape = found, shape
        self._made: dict[int, tuple[Corner, Mask]] = {}

    def within(self, i: int, low: npt.NDArray[np.intp], high: npt.NDArray[np.intp]) -> tuple[Mask, Box]:
        """Return the part of a mask in a box, and its place in the box."""
        corner, mask = self.of(i)
        start = np.array(corner)
        a, b = np.maximum(low, start), np.minimum(high, start + mask.shape)
        b = np.maximum(a, b)
        own = mask[tuple(slice(x, y) for x, y in zip(a - start, b - start, strict=True))]
        return own, tuple(slice(x, y) for x, y in zip(a - low, b - low, strict=True))

    def of(self, i: int) -> tuple[Corner, Mask]:
        if i not in self._made:
            self._made[i] = masked(self._found[i], self._shape)
        return self._made[i]

    def shared(self, i: int, j: int, low: npt.NDArray[np.intp], high: npt.NDArray[np.intp]) -> tuple[int, int, int]:
        """Return the voxels of two masks within a box, and how many they share."""
        (one, place), (two, other) = self.within(i, low, high), self.within(j, low, high)
        both = tuple(slice(max(p.start, o.start), min(p.stop, o.stop)) for p, o in zip(place, other, strict=True))
        sides = [tuple(slice(b.start - p.start, max(b.stop - p.start, 0)) for b, p in zip(both, q, strict=True))
                 for q in (place, other)]  # fmt: skip
        empty = any(b.stop <= b.start for b in both)
        shared = 0 if empty else int(np.count_nonzero(one[sides[0]] & two[sides[1]]))
        return int(np.count_nonzero(one)), int(np.count_nonzero(two)), shared


def _same_steps(
    found: Sequence[Found], homes: Sequence[int], boxes: Sequence[Box], masks: _Masks, rule: MergeRule
) -> Steps[list[tuple[int, int]]]:
    pairs: list[tuple[float, float, int, int]] = []
    for i, near in neighbours(found):
        for j in near.tolist():
            if j > i and homes[i] != homes[j] and found[i].class_id == found[j].class_id:
                zone = _zone(boxes[homes[i]], boxes[homes[j]])
                a, b, shared = masks.shared(i, j, *zone)
                if shared and shared >= rule.same * (a + b - shared):
                    pairs.append((-shared / (a + b - shared), abs(found[i].score - found[j].score), i, j))
        if i % _REPORTED == 0:
            yield Progress("joining the tiles", i, len(found))
    return _one_to_one(sorted(pairs), homes)


def _one_to_one(pairs: list[tuple[float, float, int, int]], homes: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs, best first, in which nothing has two partners in one tile: what a tile tells apart stays apart."""
    taken: set[tuple[int, int]] = set()
    kept = []
    for _, _, i, j in pairs:
        if (i, homes[j]) not in taken and (j, homes[i]) not in taken:
            taken |= {(i, homes[j]), (j, homes[i])}
            kept.append((i, j))
    return kept


def _zone(one: Box, two: Box) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    low = np.array([max(a.start, b.start) for a, b in zip(one, two, strict=True)])
    return low, np.maximum(low, [min(a.stop, b.stop) for a, b in zip(one, two, strict=True)])


def _is_cut(found: Found, box: Box, shape: tuple[int, ...], margin: float) -> bool:
    low, high = np.array([b.start for b in box]), np.array([b.stop for b in box])
    before = (low > 0) & (found.start < low + margin)
    after = (high < np.array(shape)) & (found.stop > high - margin)
    return bool((before | after).any())


def _groups(n: int, pairs: list[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield the places that pairs connect, each group once."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if n == 0:
        return
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.bool_), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        yield members.tolist()


def _one_of(group: list[tuple[Found, bool]]) -> tuple[Found, bool]:
    """Return the object that findings stand for, and whether all of it was seen."""
    whole = in_rank([f for f, cut in group if not cut])
    if whole:
        return whole[0], True
    pieces = in_rank([f for f, _ in group])
    best = pieces[0]
    return Found(tuple(p for f in pieces for p in f.parts), best.class_id, best.score), len(pieces) > 1


def _uncovered(ranked: list[Found], shape: tuple[int, ...], rule: MergeRule) -> list[Found]:
    """Return the objects, best first, without those that better ones cover."""
    masks = _Masks(ranked, shape)
    kept: dict[int, Found] = {}
    for i, near in neighbours(ranked):
        corner, mask = masks.of(i)
        if not mask.any():
            continue
        box = box_of(corner, mask)
        low, high = np.array([b.start for b in box]), np.array([b.stop for b in box])
        most = rule.covered * np.count_nonzero(mask)
        if all(masks.shared(i, j, low, high)[2] < most for j in near.tolist() if j in kept):
            kept[i] = ranked[i]
    return list(kept.values())
