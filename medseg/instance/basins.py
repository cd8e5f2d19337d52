"""From parts and a landscape to objects, on arrays: find summits, flood, number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.instance.distance import squared_distances_steps
from medseg.instance.frame import Frame
from medseg.instance.options import SplitOptions
from medseg.instance.threads import over, over_steps, slab_edges
from medseg.progress import Steps, finish

Padded = npt.NDArray[Any]

VOXEL_NOISE = 1.0
"""A saddle less deep than this many of the finest voxel steps is a stair of the grid, not a waist (chosen on outlines
of nuclei whose objects are known)."""
_GROUPS = 64


@dataclass(frozen=True, slots=True)
class Rule:
    """When two basins that meet stay apart; heights are shares of the landscape's range.

    Parameters
    ----------
    min_depth, min_peak, ceiling, min_distance : float
        Least depth of a saddle as a share of the lower summit, least height of a summit, height of a saddle from which
        two summits are one, least distance of two summits in the unit of the grid.
    min_voxels : int
        Smaller objects are left out.
    noise : float
        Least depth in the unit of the grid; only for distances.
    nothing_apart : bool
        Every part stays whole; its waist is measured.
    """

    min_depth: float = 0.0
    min_peak: float = 0.0
    ceiling: float = np.inf
    min_distance: float = 0.0
    min_voxels: int = 0
    noise: float = 0.0
    nothing_apart: bool = False

    def packed(self) -> npt.NDArray[np.float64]:
        """Return the numbers as the compiled loop reads them."""
        return np.array([self.min_depth, self.min_peak, self.ceiling, float(self.nothing_apart)])


def rule_for(options: SplitOptions, spacing: tuple[float, ...], voxel_size: float, *, mask: bool) -> Rule:
    """Return the rule behind a user's options, for a bare mask or for maps."""
    smallest = int(np.ceil(options.min_size / voxel_size - 1e-9))
    if mask:
        return Rule(
            min_depth=options.min_depth,
            min_distance=options.min_distance,
            min_voxels=smallest,
            noise=VOXEL_NOISE * min(spacing),
        )
    return Rule(
        min_depth=options.min_depth,
        min_peak=options.seed_threshold,
        ceiling=options.seed_threshold if options.decoder == "boundary" else np.inf,
        min_distance=options.min_distance,
        min_voxels=smallest,
    )


@dataclass(frozen=True, eq=False, slots=True)
class Parts:
    """Connected parts of a mask.

    Parameters
    ----------
    labels : padded int32 array
        Minus the number of the part; 0 outside. Parts are numbered by their first voxel.
    count : int
    frame : Frame
    """

    labels: Padded
    count: int
    frame: Frame


def find_parts(classes: npt.NDArray[Any], *, full: bool = False) -> Parts:
    """Find connected parts of equal class; see `find_parts_steps`."""
    return finish(find_parts_steps(classes, full=full))


def find_parts_steps(classes: npt.NDArray[Any], *, full: bool = False) -> Steps[Parts]:
    """Find connected parts of equal class, yielding on the way.

    Parameters
    ----------
    classes : (n, m) or (n, m, l) integer or bool array
    full : bool
        Voxels that share an edge or a corner are connected, not only those that share a face.
    """
    from medseg.instance import parts as loops

    frame = Frame.of(classes.shape)
    solid = as_solid(classes)
    forest = frame.zeros(np.int32)
    flat = forest.reshape(-1)
    edges = slab_edges(frame.nz, classes.size)
    yield from over_steps(lambda a, b: loops.grow(solid, a, b, frame.margin, full, flat), edges, "finding parts")
    for z in edges[1:-1]:
        loops.seam(solid, z, frame.margin, full, flat)
    return Parts(forest, int(loops.number(flat)), frame)


def as_solid(classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of three axes, of 8 bits where it is a mask or small, else of 32 bits."""
    solid = classes.reshape((1,) * (3 - classes.ndim) + classes.shape)
    if solid.dtype == np.bool_:
        return np.ascontiguousarray(solid).view(np.uint8)
    if solid.dtype == np.uint8:
        return np.ascontiguousarray(solid)
    return np.ascontiguousarray(solid, np.int32)


@dataclass(frozen=True, eq=False, slots=True)
class Basins:
    """Flooded parts.

    Parameters
    ----------
    parts : Parts
        Their labels now hold objects, 1 to n; a part with one object still holds minus its number.
    only : array by part
        The object of a part that has just one; 0 for the others.
    waist : (n + 1,) float64 array
        Deepest saddle inside each object as a share of the lower of the two summits: 0 for a simple shape.
    owner : (n + 1,) int array
        The part of each object.
    """

    parts: Parts
    only: npt.NDArray[np.int32]
    waist: npt.NDArray[np.float64]
    owner: npt.NDArray[np.int64]


def distance_levels_steps(
    parts: Parts, weighed: tuple[float, ...]
) -> Steps[tuple[Padded, Padded, npt.NDArray[np.float64]]]:
    """Return padded levels by distance, an array for links, and each part's largest distance."""
    from medseg.instance import flood as loops

    frame, labels = parts.frame, parts.labels.reshape(-1)
    links = frame.zeros(np.int32)  # first the distances lie here, afterwards the queues' links
    squared = links.view(np.float32)
    unit = yield from squared_distances_steps(parts.labels, squared, frame, weighed)
    tops = np.zeros(parts.count + 1, np.float32)
    loops.highest(squared.reshape(-1), labels, tops)
    levels = frame.zeros(np.uint16)
    flat = (squared.reshape(-1), labels, tops)
    over(lambda a, b: loops.levels_of_distances(*flat, a, b, levels.reshape(-1)), slab_edges(labels.size, labels.size))
    return levels, links, np.sqrt(tops * np.float64(unit))


def flooded_steps(
    parts: Parts,
    levels: Padded,
    links: Padded,
    rule: Rule,
    *,
    spacing: tuple[float, ...],
    heights: npt.NDArray[np.float64] | None = None,
) -> Steps[Basins]:
    """Flood every part from its summits.

    Parameters
    ----------
    parts : Parts
        Their labels are overwritten with basins.
    levels, links : padded uint16 and int32 arrays
        `links` needs no content.
    rule : Rule
    spacing : tuple of float
    heights : array by part, optional
        Largest distance of each part, where the landscape is one of distances.
    """
    from medseg.instance import flood as loops

    flat = (levels.reshape(-1), parts.labels.reshape(-1), links.reshape(-1), parts.frame.offsets)
    summits = _summits(parts, flat[0])
    noise = np.zeros(len(summits.names))
    if heights is not None:
        noise = rule.noise / np.maximum(heights[-summits.names], 1e-30)
    width = np.array(parts.frame.padded[1:], np.int64)
    width[0] *= width[1]
    written = (summits.verdict, summits.waist, summits.plateau, width)
    ways = (summits.places, summits.bounds, summits.names)
    parts.labels.reshape(-1)[summits.places] = np.arange(1, len(summits.places) + 1)
    edges = _groups(len(summits.names))
    yield from over_steps(
        lambda a, b: loops.judge(*flat, *ways, a, b, rule.packed(), noise, *written), edges, "finding objects"
    )
    seeds, bounds, basins = _chosen(parts, summits, rule, spacing)
    yield from over_steps(
        lambda a, b: loops.flood(*flat, seeds, bounds, summits.names, a, b), edges, "separating objects"
    )
    _measure_waists(basins, summits)
    return basins


@dataclass(frozen=True, eq=False, slots=True)
class _Summits:
    places: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]
    names: npt.NDArray[np.int32]
    verdict: npt.NDArray[np.uint8]
    waist: npt.NDArray[np.float64]
    plateau: npt.NDArray[np.float64]


def _summits(parts: Parts, levels: Padded) -> _Summits:
    from medseg.instance import flood as loops

    labels, frame = parts.labels.reshape(-1), parts.frame
    found: dict[int, npt.NDArray[np.int32]] = {}
    low = int(-frame.offsets[0])  # the first and last voxels are margin: their neighbours lie outside the array

    def within(start: int, stop: int) -> None:
        found[start] = loops.summits(levels, labels, frame.offsets, max(start, low), min(stop, labels.size - low))

    over(within, slab_edges(labels.size, labels.size))
    places = np.concatenate([found[start] for start in sorted(found)])
    owner = -labels[places]
    order = np.argsort(owner.astype(np.int64) * loops.LEVELS + levels[places], kind="stable")
    places, owner = places[order], owner[order]
    starts = np.flatnonzero(np.diff(owner, prepend=0))
    n = len(places)
    return _Summits(
        places=places,
        bounds=np.append(starts, n),
        names=-owner[starts],
        verdict=np.zeros(n, np.uint8),
        waist=np.zeros(n),
        plateau=np.zeros((n, 3)),
    )


def _chosen(
    parts: Parts, summits: _Summits, rule: Rule, spacing: tuple[float, ...]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], Basins]:
    """Give the summits that are objects their numbers, in the labels too."""
    from medseg.instance.flood import IS_OBJECT

    labels = parts.labels.reshape(-1)
    per_part = np.diff(summits.bounds)
    owner = np.repeat(-summits.names, per_part)
    labels[summits.places] = -owner
    chosen = summits.verdict == IS_OBJECT
    if rule.min_distance > 0:
        step = np.array((1.0,) * (3 - len(spacing)) + spacing)
        rows = np.flatnonzero(chosen)
        chosen[rows[~_far_apart(summits.plateau[rows] * step, owner[rows], rule.min_distance)]] = False
    before = np.append(0, np.cumsum(chosen))
    bounds = before[summits.bounds]
    seeds = summits.places[chosen]
    owners = np.append(0, owner[chosen]).astype(np.int64)
    single = np.flatnonzero(np.diff(bounds) == 1)
    only = np.zeros(parts.count + 1, np.int32)
    only[-summits.names[single]] = bounds[single] + 1
    flooded = np.repeat(np.diff(bounds) > 1, np.diff(bounds))
    labels[seeds[flooded]] = np.flatnonzero(flooded) + 1
    return seeds, bounds, Basins(parts, only, np.zeros(len(seeds) + 1), owners)


def _far_apart(points: npt.NDArray[np.float64], owner: npt.NDArray[Any], reach: float) -> npt.NDArray[np.bool_]:
    """Tell which points stay when, from the first to the last, each drops the later ones of its part within reach."""
    from scipy.spatial import cKDTree

    stays = np.ones(len(points), np.bool_)
    pairs = cKDTree(points).query_pairs(reach * (1 - 1e-9), output_type="ndarray")
    pairs = pairs[owner[pairs[:, 0]] == owner[pairs[:, 1]]]
    for a, b in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist():
        if stays[a]:
            stays[b] = False
    return stays


def _measure_waists(basins: Basins, summits: _Summits) -> None:
    rows = np.flatnonzero(summits.waist > 0)
    value = basins.parts.labels.reshape(-1)[summits.places[rows]]
    objects = np.where(value > 0, value, basins.only[np.maximum(-value, 0)])
    np.maximum.at(basins.waist, objects, summits.waist[rows])


def _groups(n: int) -> list[int]:
    return [n * i // _GROUPS for i in range(_GROUPS + 1)] if n >= _GROUPS else [0, n]


def numbered(basins: Basins, rule: Rule, out: npt.NDArray[Any], first: int = 0) -> npt.NDArray[np.int64]:
    """Write objects into `out`, numbered from `first` + 1 by their first voxel.

    Parameters
    ----------
    basins : Basins
    rule : Rule
        Objects below its least size are left out.
    out : (n, m) or (n, m, l) integer array
        Zero where nothing was written.
    first : int

    Returns
    -------
    (k,) int64 array
        The basin of each object, in the order of their numbers.
    """
    from medseg.instance import flood as loops

    labels, frame = basins.parts.labels, basins.parts.frame
    count = np.zeros(len(basins.owner), np.int64)
    loops.sizes(labels.reshape(-1), basins.only, count)
    kept = count >= max(1, rule.min_voxels)
    kept[0] = False
    ids = np.zeros(len(count), np.int64)
    solid = out.reshape((1,) * (3 - out.ndim) + out.shape)
    highest = loops.renumber(labels, frame.margin, basins.only, kept, ids, solid, first)
    order = np.zeros(highest - first, np.int64)
    used = np.flatnonzero(ids)
    order[ids[used] - first - 1] = used
    return order
