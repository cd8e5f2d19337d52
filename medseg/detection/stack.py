"""A detector of flat images sees a stack slice by slice; sections that lie upon each other become one object.

Two sections of neighbouring slices belong together where half of the smaller one lies upon the other: sections of a
ball lie upon each other wholly, however far apart the slices are. A section has one partner above and one below; those
whose masks overlap (IoU) most find each other first. Over a missed slice sections are joined where they overlap by half
and the way is no longer than half their width. Where an object is waisted, its section less than half as large as below
and above, it is two that lie upon each other. What is flat, lower than a quarter of its width, is no object unless the
first or the last slice cuts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medseg.detection.found import Found, Part, masked
from medseg.detection.look import Looker
from medseg.detection.near import sharing_pairs
from medseg.detection.size import Seen, seen_steps
from medseg.errors import Notice
from medseg.grid import image_grid
from medseg.instance.sizing import watched
from medseg.nets.tiled import stopped_notice
from medseg.progress import FinishEarly, Pace, Progress, Steps
from medseg.volume import Volume

Piece = tuple[tuple[int, ...], npt.NDArray[np.bool_]]
Chain = list[tuple[int, int]]
"""Slice and place of the sections of one object, from the first slice on."""

SEEN_FLAT = (
    "the detector knows flat images: the stack was looked at slice by slice and sections that lie upon each other were"
    " joined; cells that touch across slices may be one: a detector of volumes or the watershed parts them better"
)


@dataclass(frozen=True, slots=True)
class LinkRule:
    """When sections are of one object.

    Parameters
    ----------
    share : float
        Least share of the smaller of two sections in neighbouring slices that lies upon the other.
    overlap_across : float
        Least overlap (IoU) of sections with a missed slice between them.
    reach : float
        Longest way across a missed slice, in widths of the section.
    waist : float
        A section smaller than this share of larger ones below and above parts two objects.
    height : float
        Least height, in widths of the largest section.
    """

    share: float = 0.5
    overlap_across: float = 0.5
    reach: float = 0.5
    waist: float = 0.5
    height: float = 0.25


def stack_steps(image: Volume, zoom: float, looker: Looker) -> Steps[Seen]:
    """Return the objects of a stack, in its voxels, by a detector of flat images.

    Parameters
    ----------
    image : Volume
        Three axes; in the canonical look.
    zoom : float
        For every slice.
    looker : Looker
        Of two axes.
    """
    grid, array = image.grid, image.numpy()
    plane = image_grid(grid.shape[1:], grid.spacing[1:], grid.unit)
    sections: list[list[Found]] = []
    notices: tuple[Notice, ...] = (Notice("W_OUT_OF_DISTRIBUTION", SEEN_FLAT),)
    pace = Pace("looking at the slices", grid.shape[0])
    yield pace.at(0)
    try:
        for k in range(grid.shape[0]):
            flat = Volume(np.ascontiguousarray(array[:, k]), plane, image.channels)
            found, more = yield from watched(seen_steps(flat, zoom, looker), pace.at(k))
            sections.append(found)
            notices = tuple(dict.fromkeys((*notices, *more)))
            yield pace.at(k + 1)
    except FinishEarly:
        notices = (*notices, stopped_notice(len(sections), grid.shape[0], "slices"))
    with suppress(FinishEarly):  # all slices are seen
        yield Progress("joining the slices", 0, 1)
    return linked(sections, plane.shape, grid.spacing), notices


def linked(
    sections: Sequence[Sequence[Found]],
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    rule: LinkRule | None = None,
) -> list[Found]:
    """Return the objects of which the slices show sections, best first.

    Parameters
    ----------
    sections : sequence of sequences of Found
        Of each slice, in voxels of the slice.
    shape : tuple of int
        Of a slice.
    spacing : (z, y, x)
    rule : LinkRule, optional
    """
    rule = rule or LinkRule()
    masks = [[masked(f, shape) for f in own] for own in sections]
    areas = [np.array([np.count_nonzero(m) for _, m in own], float) * spacing[1] * spacing[2] for own in masks]
    slices = _Slices(sections, masks, areas)
    chains = [part for chain in _chains(slices, spacing[0], rule) for part in _parted(chain, areas, rule.waist)]
    tall = [c for c in chains if _is_tall(c, areas, spacing[0], len(sections), rule.height)]
    found = [_stacked([sections[k][i] for k, i in chain], [k for k, _ in chain]) for chain in tall]
    return sorted(found, key=lambda f: (-f.score, f.class_id, *f.start.tolist(), *f.stop.tolist()))


@dataclass(frozen=True, eq=False, slots=True)
class _Slices:
    found: Sequence[Sequence[Found]]
    masks: Sequence[Sequence[Piece]]
    areas: Sequence[npt.NDArray[np.float64]]

    def overlaps(self, low: int, high: int) -> list[tuple[float, float, int, int]]:
        """Return IoU and share of the smaller for sections of one class that lie upon each other, best IoU first."""
        one, two = self.found[low], self.found[high]
        if not one or not two:
            return []
        starts, stops = (np.array([getattr(f, name) for f in (*one, *two)]) for name in ("start", "stop"))
        pairs = sharing_pairs(starts, stops)
        crossing = pairs[(pairs[:, 0] < len(one)) & (pairs[:, 1] >= len(one))].tolist()
        same = [(i, j - len(one)) for i, j in crossing if one[i].class_id == two[j - len(one)].class_id]
        return sorted(((*_overlap(self.masks[low][i], self.masks[high][j]), i, j) for i, j in same), reverse=True)


def _chains(slices: _Slices, step: float, rule: LinkRule) -> list[Chain]:
    n = len(slices.found)
    after: dict[tuple[int, int], tuple[int, int]] = {}
    taken: set[tuple[int, int]] = set()

    for gap in (1, 2):
        for k in range(n - gap):
            for overlap, share, i, j in slices.overlaps(k, k + gap):
                if gap == 1:
                    fits = share >= rule.share
                else:
                    fits = overlap >= rule.overlap_across and gap * step <= rule.reach * _width(slices.areas[k][i])
                if fits and (k, i) not in after and (k + gap, j) not in taken:
                    after[k, i] = (k + gap, j)
                    taken.add((k + gap, j))
    chains = []
    for first in ((k, i) for k in range(n) for i in range(len(slices.found[k]))):
        if first not in taken:
            chain = [first]
            while chain[-1] in after:
                chain.append(after[chain[-1]])
            chains.append(chain)
    return chains


def _parted(chain: Chain, areas: Sequence[npt.NDArray[np.float64]], waist: float) -> list[Chain]:
    """Return the chain, or its parts below and above each waist."""
    sizes = np.array([areas[k][i] for k, i in chain])
    if len(sizes) < 3:
        return [chain]
    below = np.maximum.accumulate(sizes)[:-2]
    above = np.maximum.accumulate(sizes[::-1])[::-1][2:]
    depth = sizes[1:-1] / np.maximum(np.minimum(below, above), 1e-9)
    at = int(depth.argmin()) + 1
    if depth[at - 1] >= waist:
        return [chain]
    return [*_parted(chain[:at], areas, waist), *_parted(chain[at:], areas, waist)]


def _is_tall(chain: Chain, areas: Sequence[npt.NDArray[np.float64]], step: float, n: int, height: float) -> bool:
    first, last = chain[0][0], chain[-1][0]
    cut = first == 0 or last == n - 1
    widest = max(_width(areas[k][i]) for k, i in chain)
    return cut or (last - first + 1) * step >= height * widest


def _stacked(sections: Sequence[Found], places: Sequence[int]) -> Found:
    """Return sections as one object of three axes; a missed slice gets the mean of its neighbours."""
    parts: list[Part] = []
    for number, (section, k) in enumerate(zip(sections, places, strict=True)):
        if number and k - places[number - 1] == 2:
            parts += (_raised(part, k - 1) for part in _between(sections[number - 1], section))
        parts += (_raised(part, k) for part in section.parts)
    score = float(np.mean([s.score for s in sections]))
    return Found(tuple(parts), sections[0].class_id, score)


def _between(one: Found, two: Found) -> tuple[Part, ...]:
    """Return the mean of two sections; the first where one of them was put together from pieces."""
    if len(one.parts) > 1 or len(two.parts) > 1:
        return one.parts
    (low,), (high,) = one.parts, two.parts
    grid = (low.grid + high.grid) / 2 if low.grid.shape == high.grid.shape else low.grid
    return (Part((low.start + high.start) / 2, (low.stop + high.stop) / 2, grid.astype(low.grid.dtype)),)


def _raised(part: Part, k: int) -> Part:
    return replace(part, start=np.array([k, *part.start]), stop=np.array([k + 1, *part.stop]), grid=part.grid[None])


def _width(area: float) -> float:
    return float(np.sqrt(area * 4 / np.pi))


def _overlap(one: Piece, two: Piece) -> tuple[float, float]:
    """Return the overlap (IoU) of two masks, and the share of the smaller one that both have."""
    (start, mask), (other_start, other) = one, two
    low = [max(a, b) for a, b in zip(start, other_start, strict=True)]
    ends = zip(start, mask.shape, other_start, other.shape, strict=True)
    high = [min(a + n, b + m) for a, n, b, m in ends]
    if any(b <= a for a, b in zip(low, high, strict=True)):
        return 0.0, 0.0
    own = mask[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))]
    theirs = other[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, other_start, strict=True))]
    shared = int(np.count_nonzero(own & theirs))
    sizes = [int(np.count_nonzero(m)) for m in (mask, other)]
    return shared / max(sum(sizes) - shared, 1), shared / max(min(sizes), 1)
