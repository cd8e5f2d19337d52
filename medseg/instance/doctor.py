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
from medseg.instance.landscape import as_box, foreground, offset_names, ways
from medseg.labels import Instances, Segment
from medseg.progress import Pace, Steps, finish
from medseg.volume import Volume

Floats = npt.NDArray[np.float64]

MERGED_WAIST = 0.05
"""A saddle this deep inside an object, as a share of its smaller half's depth, suggests two objects; for masks."""
OUTLIER = 3.5
"""Robust deviations of the logarithm of size from which an object is unusually large or small; for masks."""
LOW_SCORE = 0.6
"""Chance to be right below which an object that is smaller than usual is likely a fragment, or dirt."""
SMALLER, LARGER = 0.8, 2.0
"""Share of the usual size below and above which a network's other doubts count."""
SCATTERED = 0.15
"""Scatter of the votes from which a larger object is likely several."""
CHANCE = {
    "constant": -0.5,
    "inside": 1.51,
    "scatter": -3.27,
    "unclear": -2.03,
    "smaller": 0.7,
    "larger": -1.14,
    "at_border": 1.37,
}
"""Weights of what the score is made of, from a logistic regression (workflows/check_flags.py) on objects of pictures
that did not train the network."""
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
    relative : (n,) float64 array
        Logarithm of its size over the usual size of its class in this image; 0 where there are few to compare with.
    scatter : (n,) float64 array
        Root mean square distance between where its voxels' ways to the centre end and the mean of these ends, in radii
        of the disc or ball of its size; not a number where no map says.
    """

    ids: npt.NDArray[np.int64]
    voxels: npt.NDArray[np.int64]
    at_border: npt.NDArray[np.bool_]
    contact: Floats
    inside: Floats
    cut: Floats
    waist: Floats
    relative: Floats
    scatter: Floats

    @property
    def signs(self) -> Floats:
        """(n, 6) what the chance is made of, in the order of `CHANCE`."""
        sure = np.log(self.inside / (1.001 - self.inside))
        unclear = self.contact * (1 - self.cut)
        smaller, larger = np.minimum(self.relative, 0), np.maximum(self.relative, 0)
        return np.column_stack([sure, self.scatter, unclear, smaller, larger, self.at_border])

    @property
    def score(self) -> Floats:
        """(n,) confidence in [0, 1].

        With maps that hold the ways to the centre: the chance that the object matches a true one at IoU .5, as it was
        on pictures whose objects are known. Otherwise no chance, only an order: how sure the inside, how clear the
        cuts, how simple the shape.
        """
        constant, *weights = CHANCE.values()
        with np.errstate(invalid="ignore"):
            chance = 1 / (1 + np.exp(-(constant + self.signs @ np.array(weights))))
        plain = np.clip(self.inside * (1 - self.contact * (1 - self.cut)) * (1 - self.waist), 0, 1)
        found: Floats = np.where(np.isnan(self.scatter), plain, chance)
        return found


def examine(instances: Instances, *, maps: Volume | None = None, waists: Floats | None = None) -> Instances:
    """Return the same objects with scores and flags.

    Flags are ``touches_border``, ``likely_merged`` and ``likely_fragment``. With maps that hold the ways to the centre,
    the second is larger than usual with voxels that do not agree on a centre, and the third smaller than usual with a
    low score. Otherwise shape and size alone speak: a waist or an unusual size. docs/counting.md says how often they
    are right.

    Parameters
    ----------
    instances : Instances
    maps : Volume, optional
        Of the network, on the same grid, with ``foreground`` or ``interior``; ``boundary``, ``distance`` and
        ``offset_*`` count too.
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
    return finish(examine_steps(instances, maps=maps, waists=waists))


def examine_steps(
    instances: Instances, *, maps: Volume | None = None, waists: Floats | None = None
) -> Steps[Instances]:
    """Do the work of `examine`, yielding on the way."""
    evidence = yield from gather_evidence_steps(instances, maps=maps, waists=waists)
    known = {segment.id: segment for segment in instances.segments}
    merged, fragment = _suspects(evidence)
    segments = []
    for row, (number, score) in enumerate(zip(evidence.ids.tolist(), evidence.score.tolist(), strict=True)):
        marks = (("touches_border", evidence.at_border), ("likely_merged", merged), ("likely_fragment", fragment))
        flags = tuple(name for name, hit in marks if hit[row])
        segments.append(replace(known.get(number, Segment(number)), score=round(score, 4), flags=flags))
    return replace(instances, segments=tuple(segments))


def gather_evidence(instances: Instances, *, maps: Volume | None = None, waists: Floats | None = None) -> Evidence:
    """Measure what speaks for and against each object."""
    return finish(gather_evidence_steps(instances, maps=maps, waists=waists))


def gather_evidence_steps(instances: Instances, *, maps: Volume | None, waists: Floats | None) -> Steps[Evidence]:
    """Do the work of `gather_evidence`, yielding on the way."""
    from medseg.instance.doctor_kernels import inspect_faces, inspect_voxels

    pace = Pace("examining objects", 4)
    ids, rank = _ranked(np.asarray(instances.array))
    solid = rank.reshape((1,) * (3 - rank.ndim) + rank.shape)
    inside, cut = _maps(maps, solid.shape)
    yield pace.at(1)
    counts, sums = np.zeros((len(ids) + 1, 4), np.int64), np.zeros((len(ids) + 1, 2))
    inspect_voxels(solid, inside, counts, sums)
    yield pace.at(2)
    inspect_faces(solid, cut, counts, sums)
    yield pace.at(3)
    scatter = _scatter(solid, counts[1:, 0], maps)
    yield pace.at(4)
    if waists is None:
        waists = yield from waists_steps(rank, instances.grid)
    voxels, beside, outside, edge = counts[1:].T
    known = {segment.id: segment.class_id for segment in instances.segments}
    kinds = np.array([known.get(i, 1) for i in ids.tolist()], np.int64)
    return Evidence(
        ids=ids,
        voxels=voxels,
        at_border=edge > 0,
        contact=beside / np.maximum(beside + outside, 1),
        inside=sums[1:, 0] / np.maximum(voxels, 1) if inside.size else np.ones(len(ids)),
        cut=np.where(beside > 0, sums[1:, 1] / np.maximum(beside, 1), 1.0) if cut.size else np.ones(len(ids)),
        waist=waists,
        relative=_relative(voxels, edge > 0, kinds),
        scatter=scatter,
    )


def waists_steps(rank: npt.NDArray[np.int32], grid: Grid) -> Steps[Floats]:
    """Return the waist of each object 1 to n of a label array, from its own distance transform."""
    n = int(rank.max(initial=0))
    if n == 0:
        return np.zeros(0)
    frame = Frame.of(rank.shape)
    labels = frame.zeros(np.int32)
    frame.inner(labels)[...] = -rank.reshape(frame.nz, frame.ny, frame.nx)
    parts = Parts(labels, n, frame)
    levels, links, heights = yield from distance_levels_steps(parts, weights(grid.spacing, grid.shape))
    rule = Rule(noise=VOXEL_NOISE * min(grid.spacing), nothing_apart=True)
    basins = yield from flooded_steps(parts, levels, links, rule, spacing=grid.spacing, heights=heights)
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


def _relative(voxels: npt.NDArray[np.int64], at_border: npt.NDArray[np.bool_], kinds: npt.NDArray[np.int64]) -> Floats:
    found = np.zeros(len(voxels))
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        whole = rows[~at_border[rows]]
        if len(whole) >= _FEW:
            found[rows] = np.log(voxels[rows]) - np.median(np.log(voxels[whole]))
    return found


def _scatter(solid: npt.NDArray[np.int32], voxels: npt.NDArray[np.int64], maps: Volume | None) -> Floats:
    if maps is None or not set(maps.channels).issuperset(offset_names(maps.grid.ndim)):
        return np.full(len(voxels), np.nan)
    from medseg.instance.doctor_kernels import inspect_ways

    n_axes = maps.grid.ndim
    moves = np.zeros((3, *solid.shape), np.float32)
    moves[3 - n_axes :] = ways(maps, as_box((0,) * n_axes, maps.grid.shape)).reshape(n_axes, *solid.shape)
    sums = np.zeros((len(voxels) + 1, 6))
    inspect_ways(solid, moves, sums)
    mean, square = (part / np.maximum(voxels, 1)[:, None] for part in (sums[1:, :3], sums[1:, 3:]))
    steps = np.array((1.0,) * (3 - n_axes) + maps.grid.spacing)
    spread = (np.maximum(square - mean**2, 0) * steps**2).sum(axis=1)
    size = voxels * maps.grid.voxel_size
    radius = np.sqrt(size / np.pi) if n_axes == 2 else np.cbrt(size * 0.75 / np.pi)
    return np.asarray(np.sqrt(spread) / radius)


def _suspects(evidence: Evidence) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    relative, whole = evidence.relative, ~evidence.at_border
    deviation = 1.4826 * np.median(np.abs(relative[whole])) if whole.any() else 0.0
    # objects of equal size have no spread: twice or half the usual size is no outlier in any image
    reach = max(OUTLIER * deviation, np.log(2.0))
    merged = (evidence.waist >= MERGED_WAIST) | (relative > reach)
    fragment = (relative < -reach) & whole
    seen = ~np.isnan(evidence.scatter)
    if seen.any():
        merged = (relative > np.log(LARGER)) & (evidence.scatter > SCATTERED)
        fragment = (relative < np.log(SMALLER)) & (evidence.score < LOW_SCORE) & whole
    return merged, fragment & ~merged
