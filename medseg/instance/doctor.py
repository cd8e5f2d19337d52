"""How sure each object is, and what needs eyes: a score and flags from its shape, its size and the network's maps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.grid import Grid
from medseg.instance.basins import VOXEL_NOISE, Parts, Rule, distance_levels_steps, flooded_steps
from medseg.instance.distance import weights
from medseg.instance.frame import Frame
from medseg.instance.landscape import as_box, foreground
from medseg.labels import Instances, Segment
from medseg.progress import finish
from medseg.volume import Volume

Floats = npt.NDArray[np.float64]

MERGED_WAIST = 0.05
"""A saddle this deep inside an object, as a share of its smaller half's depth, suggests two objects."""
OUTLIER = 3.5
"""Robust deviations of the logarithm of size from which an object is unusually large or small for its image."""
LOW_SCORE = 0.5
_FEW = 10
_LARGEST_TABLE = 1 << 24


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """What speaks for and against each object; rows in ascending order of ids.

    Parameters
    ----------
    ids, voxels : (n,) int64 arrays
    at_border : (n,) bool array
        A voxel lies on the edge of the image; edges of an axis with a single voxel do not count.
    contact : (n,) float64 array
        Share of the faces that lie against another object.
    inside : (n,) float64 array
        Mean foreground probability; 1 without maps.
    cut : (n,) float64 array
        Mean evidence of an outline where the object lies against another; 1 where it lies against none or no map says.
    waist : (n,) float64 array
        Depth of the deepest saddle inside its shape as a share of the lower summit; 0 for a simple shape.
    """

    ids: npt.NDArray[np.int64]
    voxels: npt.NDArray[np.int64]
    at_border: npt.NDArray[np.bool_]
    contact: Floats
    inside: Floats
    cut: Floats
    waist: Floats

    @property
    def score(self) -> Floats:
        """(n,) confidence in [0, 1]: how sure the inside, how clear the cuts, how simple the shape."""
        found: Floats = self.inside * (1 - self.contact * (1 - self.cut)) * (1 - self.waist)
        return np.clip(found, 0, 1)


def examine(instances: Instances, *, maps: Volume | None = None, waists: Floats | None = None) -> Instances:
    """Return the same objects with scores and flags.

    Flags are ``touches_border``; ``likely_merged`` (a waist, or unusually large for its class in this image);
    ``likely_fragment`` (unusually small and not cut by the border, or a low score beside another object).

    Parameters
    ----------
    instances : Instances
    maps : Volume, optional
        Of the network, on the same grid, with ``foreground`` or ``interior``; ``boundary`` and ``distance`` count too.
    waists : (n,) float64 array, optional
        By ascending id, where they are known already; otherwise they are measured.

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> array = np.zeros((6, 6), np.uint8)
    >>> array[:4, 1:5] = 1
    >>> examine(Instances(array, image_grid((6, 6), (1.0, 1.0), "px"))).segments[0].flags
    ('touches_border',)
    """
    evidence = gather_evidence(instances, maps=maps, waists=waists)
    known = {segment.id: segment for segment in instances.segments}
    kinds = np.array([known[i].class_id if i in known else 1 for i in evidence.ids.tolist()], np.int64)
    merged, fragment = _suspects(evidence, kinds)
    segments = []
    for row, (number, score) in enumerate(zip(evidence.ids.tolist(), evidence.score.tolist(), strict=True)):
        marks = (("touches_border", evidence.at_border), ("likely_merged", merged), ("likely_fragment", fragment))
        flags = tuple(name for name, hit in marks if hit[row])
        segments.append(replace(known.get(number, Segment(number)), score=round(score, 4), flags=flags))
    return replace(instances, segments=tuple(segments))


def gather_evidence(instances: Instances, *, maps: Volume | None = None, waists: Floats | None = None) -> Evidence:
    """Measure what speaks for and against each object."""
    from medseg.instance.doctor_kernels import inspect_faces, inspect_voxels

    ids, rank = _ranked(np.asarray(instances.array))
    solid = rank.reshape((1,) * (3 - rank.ndim) + rank.shape)
    inside, cut = _maps(maps, solid.shape)
    counts, sums = np.zeros((len(ids) + 1, 4), np.int64), np.zeros((len(ids) + 1, 2))
    inspect_voxels(solid, inside, counts, sums)
    inspect_faces(solid, cut, counts, sums)
    voxels, beside, outside, edge = counts[1:].T
    return Evidence(
        ids=ids,
        voxels=voxels,
        at_border=edge > 0,
        contact=beside / np.maximum(beside + outside, 1),
        inside=sums[1:, 0] / np.maximum(voxels, 1) if inside.size else np.ones(len(ids)),
        cut=np.where(beside > 0, sums[1:, 1] / np.maximum(beside, 1), 1.0) if cut.size else np.ones(len(ids)),
        waist=waists_of(rank, instances.grid) if waists is None else waists,
    )


def waists_of(rank: npt.NDArray[np.int32], grid: Grid) -> Floats:
    """Return the waist of each object 1 to n of a label array, from its own distance transform."""
    n = int(rank.max(initial=0))
    if n == 0:
        return np.zeros(0)
    frame = Frame.of(rank.shape)
    labels = frame.zeros(np.int32)
    frame.inner(labels)[...] = -rank.reshape(frame.nz, frame.ny, frame.nx)
    parts = Parts(labels, n, frame)
    levels, links, heights = finish(distance_levels_steps(parts, weights(grid.spacing, grid.shape)))
    rule = Rule(noise=VOXEL_NOISE * min(grid.spacing), nothing_apart=True)
    basins = finish(flooded_steps(parts, levels, links, rule, spacing=grid.spacing, heights=heights))
    found = np.zeros(n + 1)
    np.maximum.at(found, basins.owner, basins.waist)
    return found[1:]


def _ranked(array: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return the ids without 0, and the array with each id replaced by its place among them, from 1."""
    top = int(array.max(initial=0))
    if array.min(initial=0) < 0 or top >= _LARGEST_TABLE:
        every = np.append(0, np.unique(array))
        ids = every[every != 0]
        place = np.where(array == 0, 0, np.searchsorted(ids, array) + 1)
        return ids.astype(np.int64), np.ascontiguousarray(place, np.int32)
    seen = np.zeros(top + 1, np.bool_)
    seen[array.reshape(-1)] = True
    seen[0] = False
    ids = np.flatnonzero(seen)
    if len(ids) == top:
        return ids.astype(np.int64), np.ascontiguousarray(array, np.int32)
    table = np.zeros(top + 1, np.int32)
    table[ids] = np.arange(1, len(ids) + 1)
    return ids.astype(np.int64), np.ascontiguousarray(table[array])


def _maps(maps: Volume | None, shape: tuple[int, ...]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    nothing = np.zeros((0, 0, 0), np.float32)
    if maps is None:
        return nothing, nothing
    whole = as_box((0,) * maps.grid.ndim, maps.grid.shape)
    inside = np.ascontiguousarray(foreground(maps, whole), np.float32).reshape(shape)
    if "boundary" in maps.channels:
        cut = np.asarray(maps.array[maps.channels.index("boundary")], np.float32)
    elif "distance" in maps.channels:
        cut = 1 - np.asarray(maps.array[maps.channels.index("distance")], np.float32)
    else:
        return inside, nothing
    return inside, np.ascontiguousarray(np.clip(np.nan_to_num(cut), 0, 1)).reshape(shape)


def _suspects(evidence: Evidence, kinds: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    large, small = np.zeros(len(kinds), np.bool_), np.zeros(len(kinds), np.bool_)
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        whole = rows[~evidence.at_border[rows]]
        if len(whole) < _FEW:
            continue
        size = np.log(evidence.voxels[rows])
        middle = np.median(np.log(evidence.voxels[whole]))
        spread = 1.4826 * np.median(np.abs(np.log(evidence.voxels[whole]) - middle))
        # objects of equal size have no spread: twice or half the usual size is no outlier in any image
        reach = max(OUTLIER * spread, np.log(2.0))
        large[rows], small[rows] = size > middle + reach, size < middle - reach
    merged = (evidence.waist >= MERGED_WAIST) | large
    doubtful = (evidence.score < LOW_SCORE) & (evidence.contact > 0)
    return merged, ((small & ~evidence.at_border) | doubtful) & ~merged
