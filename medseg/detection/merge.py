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

from medseg.detection.found import Corner, Found, in_rank, masked
from medseg.detection.near import Floats, Ints, earlier, sharing_pairs
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
        An object of whose mask a single better one of its class covers this share is none of its own.
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
    if not every:
        return []
    found, homes = [f for _, f in every], np.array([t for t, _ in every])
    places = np.array([[[b.start for b in t.box], [b.stop for b in t.box]] for t in tiles], np.int64)
    seen = _Seen(found, homes, places[homes], _Masks(shape))
    pairs = yield from _same_steps(seen, rule)
    cut = _are_cut(seen, shape, rule.margin)
    objects = [_one_of([(found[i], cut[i]) for i in group]) for group in _groups(len(found), pairs)]
    # a piece that no other tile knows must not push a whole object aside
    ranked = in_rank([f for f, whole in objects if whole]) + in_rank([f for f, whole in objects if not whole])
    return (yield from _uncovered_steps(ranked, seen.masks, rule))


class _Masks:
    """Masks, made when they are asked for the first time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._made: dict[int, tuple[Found, Corner, Mask]] = {}

    def of(self, found: Found) -> tuple[Corner, Mask]:
        if id(found) not in self._made:
            # the object is kept as well: another one must not get its number
            self._made[id(found)] = (found, *masked(found, self._shape))
        return self._made[id(found)][1:]

    def shared(self, one: Found, two: Found, low: Sequence[int], high: Sequence[int]) -> tuple[int, int, int]:
        """Return the voxels of two masks within a box, and how many they share."""
        (corner, mask), (other_corner, other) = self.of(one), self.of(two)
        own, theirs, mine, both = [], [], [], []
        for a, n, b, m, first, last in zip(corner, mask.shape, other_corner, other.shape, low, high, strict=True):
            start, stop = max(a, first), min(a + n, last)
            begin, end = max(b, first), min(b + m, last)
            own.append(slice(start - a, max(stop - a, start - a)))
            theirs.append(slice(begin - b, max(end - b, begin - b)))
            start, stop = max(start, begin), min(stop, end)
            mine.append(slice(start - a, max(stop - a, start - a)))
            both.append(slice(start - b, max(stop - b, start - b)))
        shared = int(np.count_nonzero(mask[tuple(mine)] & other[tuple(both)]))
        return int(np.count_nonzero(mask[tuple(own)])), int(np.count_nonzero(other[tuple(theirs)])), shared


@dataclass(frozen=True, eq=False, slots=True)
class _Seen:
    """Findings of all tiles, the tile of each, and the (k, 2, n) first and last edges of these tiles."""

    found: Sequence[Found]
    homes: Ints
    boxes: Ints
    masks: _Masks


def _edges(found: Sequence[Found]) -> tuple[Floats, Floats]:
    return np.array([f.start for f in found]), np.array([f.stop for f in found])


def _same_steps(seen: _Seen, rule: MergeRule) -> Steps[list[tuple[int, int]]]:
    """Return the pairs of findings that are one object."""
    found, homes = seen.found, seen.homes
    near = sharing_pairs(*_edges(found))
    kinds = np.array([f.class_id for f in found])
    one, two = near.T
    near = near[(homes[one] != homes[two]) & (kinds[one] == kinds[two])]
    lows = np.maximum(seen.boxes[near[:, 0], 0], seen.boxes[near[:, 1], 0])
    highs = np.maximum(np.minimum(seen.boxes[near[:, 0], 1], seen.boxes[near[:, 1], 1]), lows)
    pairs: list[tuple[float, float, int, int]] = []
    zones = zip(near.tolist(), lows.tolist(), highs.tolist(), strict=True)
    for number, ((i, j), low, high) in enumerate(zones):
        a, b, shared = seen.masks.shared(found[i], found[j], low, high)
        if shared and shared >= rule.same * (a + b - shared):
            pairs.append((-shared / (a + b - shared), abs(found[i].score - found[j].score), i, j))
        if number % _REPORTED == 0:
            yield Progress("joining the tiles", number, len(near))
    return _one_to_one(sorted(pairs), homes.tolist())


def _one_to_one(pairs: list[tuple[float, float, int, int]], homes: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs, best first, in which nothing has two partners in one tile: what a tile tells apart stays apart."""
    taken: set[tuple[int, int]] = set()
    kept = []
    for _, _, i, j in pairs:
        if (i, homes[j]) not in taken and (j, homes[i]) not in taken:
            taken |= {(i, homes[j]), (j, homes[i])}
            kept.append((i, j))
    return kept


def _are_cut(seen: _Seen, shape: tuple[int, ...], margin: float) -> list[bool]:
    """Tell of each finding whether a face of its tile behind which the image goes on cuts it."""
    (starts, stops), low, high = _edges(seen.found), seen.boxes[:, 0], seen.boxes[:, 1]
    cut = ((low > 0) & (starts < low + margin)) | ((high < np.array(shape)) & (stops > high - margin))
    return [bool(own.any()) for own in cut]


def _groups(n: int, pairs: list[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield the places that pairs connect, each group once."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

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


def _uncovered_steps(ranked: list[Found], masks: _Masks, rule: MergeRule) -> Steps[list[Found]]:
    """Return the objects, best first, without those that better ones of their class cover.

    Objects of different classes may lie upon each other: a small one on a large one is no second finding of it.
    """
    kept = np.zeros(len(ranked), np.bool_)
    kinds = np.array([f.class_id for f in ranked])
    for i, near in enumerate(earlier(sharing_pairs(*_edges(ranked)), len(ranked))):
        corner, mask = masks.of(ranked[i])
        if not mask.any():
            continue
        high = [a + n for a, n in zip(corner, mask.shape, strict=True)]
        most = rule.covered * np.count_nonzero(mask)
        better = near[kept[near] & (kinds[near] == kinds[i])].tolist()
        kept[i] = all(masks.shared(ranked[i], ranked[j], corner, high)[2] < most for j in better)
        if i % _REPORTED == 0:
            yield Progress("joining the tiles", i, len(ranked))
    return [f for f, own in zip(ranked, kept.tolist(), strict=True) if own]
