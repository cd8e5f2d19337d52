"""One object becomes two, by a point that a person gave in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError
from medseg.instance.distance import distances
from medseg.labels import Instances

Index = tuple[int, ...]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

WAIST = 1.0
"""A saddle between two seeds is a waist when it lies this many of the finest voxel steps under both their summits."""


def split_by_seeds(piece: Instances, number: int, seeds: Sequence[Index]) -> Mask:
    """Tell which voxels of an object belong to the second of two seeds.

    Where the object narrows between the seeds it is cut at the narrowest place (a watershed of the depth inside the
    object); where it does not, each voxel goes to the seed that is nearer on a way inside the object. Distances are
    in the unit of the grid, so flat voxels do no harm. The same seeds always give the same cut.

    Parameters
    ----------
    piece : Instances
        The image, or a piece of it that holds all of the object and, where the image goes on, a voxel around it.
    number : int
        The object.
    seeds : two tuples of int
        Voxel indices inside the object.

    Returns
    -------
    bool array of the grid's shape

    Raises
    ------
    UsageError
        If a seed lies outside the object, or both are the same (E_USAGE).

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> row = np.array([[3, 3, 3, 3, 3, 3]])
    >>> split_by_seeds(Instances(row, image_grid((1, 6), (1.0, 2.0), "um")), 3, [(0, 0), (0, 5)]).tolist()
    [[False, False, False, True, True, True]]
    """
    first, second = (tuple(int(i) for i in seed) for seed in seeds)
    own: Mask = np.asarray(piece.array) == number
    for seed in (first, second):
        if any(not 0 <= i < n for i, n in zip(seed, own.shape, strict=True)) or not own[seed]:
            raise _refused("a point outside the object", "two points inside one object")
    if first == second:
        raise _refused("the same voxel twice", "two points, one in each part")
    # without ends along axes of one voxel: there is nothing to be deep in
    thick = tuple(n > 1 for n in own.shape)
    spacing = tuple(s for s, t in zip(piece.grid.spacing, thick, strict=True) if t)
    flat = own.reshape([n for n, t in zip(own.shape, thick, strict=True) if t])
    points = [tuple(i for i, t in zip(seed, thick, strict=True) if t) for seed in (first, second)]
    depth = np.asarray(distances(flat, spacing), np.float32) if flat.ndim > 1 else np.zeros(flat.shape, np.float32)
    parted = _at_waist(flat, depth, points, spacing) if flat.ndim > 1 else None
    if parted is None:
        parted = _nearer(flat, points, spacing)
    return parted.reshape(own.shape)


def split_object(instances: Instances, number: int, seeds: Sequence[Index], box: tuple[slice, ...]) -> Mask:
    """Split one object of a large image, looking only at its box.

    Parameters
    ----------
    instances : Instances
    number, seeds
        As in `split_by_seeds`, seeds counted in the whole image.
    box : tuple of slice
        Holds all of the object.

    Returns
    -------
    bool array of the box's shape
        True for the part of the second seed.
    """
    wide = tuple(slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, instances.grid.shape, strict=True))
    start = tuple(s.start for s in wide)
    grid = instances.grid.cropped(start, tuple(s.stop - s.start for s in wide))
    piece = replace(instances, array=np.asarray(instances.array[wide]), grid=grid, segments=())
    local = [tuple(i - a for i, a in zip(seed, start, strict=True)) for seed in seeds]
    second = split_by_seeds(piece, number, local)
    return second[tuple(slice(s.start - a, s.stop - a) for s, a in zip(box, start, strict=True))]


def _at_waist(own: Mask, depth: Floats, seeds: list[Index], spacing: tuple[float, ...]) -> Mask | None:
    """Return the second part of a watershed, None where the object does not narrow between the seeds."""
    from skimage.segmentation import watershed

    seeds = [_climbed(depth, seed) for seed in seeds]
    if seeds[0] == seeds[1]:
        return None
    saddle = _saddle(own, depth, seeds)
    above, _ = _parts(own & (depth > saddle))
    summits = [float(depth[above == above[seed]].max()) if above[seed] else 0.0 for seed in seeds]
    if min(summits) - saddle < WAIST * min(spacing):
        return None
    markers = np.zeros(own.shape, np.int8)
    for rank, seed in enumerate(seeds, start=1):
        markers[above == above[seed]] = rank
    return np.asarray(watershed(-depth, markers, mask=own, connectivity=own.ndim) == 2)


def _climbed(depth: Floats, seed: Index) -> Index:
    """Return the summit above a click, which need not be in the middle of its part."""
    while True:
        around = tuple(slice(max(0, i - 1), i + 2) for i in seed)
        best = np.unravel_index(int(depth[around].argmax()), depth[around].shape)
        higher = tuple(int(b) + s.start for b, s in zip(best, around, strict=True))
        if depth[higher] <= depth[seed]:
            return seed
        seed = higher


def _saddle(own: Mask, depth: Floats, seeds: list[Index]) -> float:
    """Return the depth of the shallowest place on the deepest way from seed to seed; -1 where there is no way."""
    levels = np.unique(depth[own])
    low, high = 0, len(levels)  # joined at levels[low - 1] and shallower, apart at levels[high] and deeper
    while low < high:
        middle = (low + high) // 2
        parts, _ = _parts(own & (depth >= levels[middle]))
        joined = parts[seeds[0]] != 0 and parts[seeds[0]] == parts[seeds[1]]
        low, high = (middle + 1, high) if joined else (low, middle)
    return float(levels[low - 1]) if low else -1.0


def _parts(mask: Mask) -> Any:
    from scipy import ndimage

    return ndimage.label(mask, np.ones((3,) * mask.ndim))


def _nearer(own: Mask, seeds: list[Index], spacing: tuple[float, ...]) -> Mask:
    from skimage.graph import MCP_Geometric

    costs = np.where(own, 1.0, -1.0)
    ways = [MCP_Geometric(costs, sampling=spacing).find_costs([seed])[0] for seed in seeds]
    # what neither reaches (a loose crumb) stays with the first
    return np.asarray(own & (ways[1] < ways[0]))


def _refused(found: str, expected: str) -> UsageError:
    return UsageError(
        "E_USAGE",
        found=found,
        expected=expected,
        not_done="nothing was split",
        remedy="Click once in each of the two parts.",
    )
