"""From parts and a landscape to objects, on arrays: find summits, flood, number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.instance.distance import squared_distances
from medseg.instance.frame import Frame
from medseg.instance.options import SplitOptions
from medseg.instance.threads import over, over_steps, slab_edges
from medseg.progress import Steps

Padded = npt.NDArray[Any]

VOXEL_NOISE = 0.5
"""A saddle less deep than this share of the finest voxel is a stair of the grid, not a waist."""
_GROUPS = 64


@dataclass(frozen=True, slots=True)
class Rule:
    """When two basins that meet stay apart; heights are shares of the landscape's range.

    Parameters
    ----------
    min_depth, min_peak, ceiling, min_distance : float
        See `medseg.instance.flood.divide`.
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
        return np.array([self.min_depth, self.min_peak, self.ceiling, self.min_distance, float(self.nothing_apart)])


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
    """Find connected parts of equal class.

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
    over(lambda a, b: loops.grow(solid, a, b, frame.margin, full, flat), edges)
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
        Its labels now hold basins.
    parent, peak, waist : arrays by basin
    only : array by part
        The basin of a part that had one summit and was not flooded; 0 for the others.
    """

    parts: Parts
    parent: npt.NDArray[np.int32]
    peak: npt.NDArray[np.float64]
    waist: npt.NDArray[np.float64]
    only: npt.NDArray[np.int32]


def distance_levels(parts: Parts, weighed: tuple[float, ...]) -> tuple[Padded, Padded, npt.NDArray[np.float64]]:
    """Return padded levels by distance, an array for links, and each part's largest distance."""
    from medseg.instance import flood as loops

    frame, labels = parts.frame, parts.labels.reshape(-1)
    links = frame.zeros(np.int32)  # first the distances lie here, afterwards the queues' links
    squared = links.view(np.float32)
    unit = squared_distances(parts.labels, squared, frame, weighed)
    tops = np.zeros(parts.count + 1, np.float32)
    loops.highest(squared.reshape(-1), labels, 0, labels.size, tops)
    levels = frame.zeros(np.uint16)
    flat = (squared.reshape(-1), labels, tops)
    over(
        lambda a, b: loops.levels_of_distances(*flat, a, b, levels.reshape(-1)), slab_edges(labels.size, labels.size)
    )
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

    frame, labels, flat_levels = parts.frame, parts.labels.reshape(-1), levels.reshape(-1)
    seeds = _seeds(labels, flat_levels, frame)
    owner = -labels[seeds]
    order = np.argsort(owner.astype(np.int64) * loops.LEVELS + flat_levels[seeds], kind="stable")
    seeds, owner = seeds[order], owner[order]
    starts = np.flatnonzero(np.diff(owner, prepend=0))
    bounds = np.append(starts, len(seeds))
    n = len(seeds) + 1
    parent, peak, waist = np.arange(n, dtype=np.int32), np.zeros(n), np.zeros(n)
    peak[1:] = 1.0 - flat_levels[seeds] / (loops.LEVELS - 1)
    alone = np.diff(bounds) == 1
    only = np.zeros(parts.count + 1, np.int32)
    only[owner[starts[alone]]] = starts[alone] + 1
    noise = np.zeros(len(starts)) if heights is None else rule.noise / np.maximum(heights[owner[starts]], 1e-30)
    centre = np.zeros((n if rule.min_distance > 0 else 1, 4))
    steps = (1.0,) * (3 - len(spacing)) + spacing
    strides = np.array([frame.padded[1] * frame.padded[2], frame.padded[2], *steps], np.float64)
    common = (flat_levels, labels, links.reshape(-1), frame.offsets, seeds, bounds)
    tables = (rule.packed(), noise, parent, peak, waist, centre, strides)
    edges = [len(starts) * i // _GROUPS for i in range(_GROUPS + 1)] if len(starts) >= _GROUPS else [0, len(starts)]
    yield from over_steps(lambda a, b: loops.divide(*common, a, b, *tables), edges, "separating objects")
    return Basins(parts, parent, peak, waist, only)


def _seeds(labels: Padded, levels: Padded, frame: Frame) -> npt.NDArray[np.int32]:
    from medseg.instance import flood as loops

    found: dict[int, npt.NDArray[np.int32]] = {}
    low = int(-frame.offsets[0])  # the first and last voxels are margin: their neighbours lie outside the array

    def within(start: int, stop: int) -> None:
        found[start] = loops.summits(levels, labels, frame.offsets, max(start, low), min(stop, labels.size - low))

    over(within, slab_edges(labels.size, labels.size))
    return np.concatenate([found[start] for start in sorted(found)])


def numbered(basins: Basins, rule: Rule, out: npt.NDArray[Any], first: int = 0) -> npt.NDArray[np.int64]:
    """Write objects into `out`, numbered from `first` + 1 by their first voxel.

    Parameters
    ----------
    basins : Basins
    rule : Rule
        Objects below its least height and size are left out.
    out : (n, m) or (n, m, l) integer array
        Zero where nothing was written.
    first : int

    Returns
    -------
    (k,) int64 array
        The root basin of each object, in the order of their numbers.
    """
    from medseg.instance import flood as loops

    labels, parent = basins.parts.labels.reshape(-1), basins.parent
    count = np.zeros(len(parent), np.int64)
    loops.sizes(labels, parent, basins.only, 0, labels.size, count)
    count[0] = 0
    kept = (count >= max(1, rule.min_voxels)) & (basins.peak >= rule.min_peak)
    final = loops.roots(parent, kept)
    ids = np.zeros(len(parent), np.int64)
    solid = out.reshape((1,) * (3 - out.ndim) + out.shape)
    highest = loops.renumber(basins.parts.labels, basins.parts.frame.margin, final, basins.only, ids, solid, first)
    order = np.zeros(highest - first, np.int64)
    used = np.flatnonzero(ids)
    order[ids[used] - first - 1] = used
    return order
