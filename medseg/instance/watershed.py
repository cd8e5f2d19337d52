"""Touching objects apart: from network maps, from a bare mask, or just connected parts; 2-D and 3-D, in real units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.instance.basins import Rule, rule_for
from medseg.instance.doctor import examine_steps
from medseg.instance.landscape import check_maps, foreground, halo, landscape, levels_of, smoothed, ways
from medseg.instance.options import SplitOptions
from medseg.instance.stitch import Box, Objects, Scene, objects_steps
from medseg.labels import Instances, LabelMap, Segment, smallest_integer_type
from medseg.ops.agreement import require_same_grid
from medseg.progress import Steps, finish
from medseg.volume import Volume

__all__ = [
    "SplitOptions", "components", "components_steps",
    "split_maps", "split_maps_steps", "split_mask", "split_mask_steps",
]  # fmt: skip

DEFAULTS = SplitOptions()


def split_maps(maps: Volume, *, options: SplitOptions = DEFAULTS, labels: LabelMap | None = None) -> Instances:
    """Separate objects by the maps of a network.

    Parameters
    ----------
    maps : Volume
        Channels by name: ``foreground``, ``interior`` and ``boundary`` (probabilities), ``distance`` (0 at the outline
        to 1 in the middle of an object), ``offset_*`` (way to the centre along each axis, in voxels of the grid's
        finest axis). Foreground is ``foreground``, else interior + boundary.
    options : SplitOptions
    labels : LabelMap, optional
        Classes on the same grid: each object takes the class of most of its voxels. Otherwise all are class 1.

    Returns
    -------
    Instances
        Objects numbered from 1 by their first voxel, in the smallest sufficient type, with score and flags.

    Raises
    ------
    InputError
        If the maps lack what the decoder needs (E_INPUT_FORMAT).
    GeometryError
        If `labels` lie on another grid (E_GEOMETRY_MISMATCH).

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> row = np.array([[0.1, 0.9, 0.9, 0.6, 0.9, 0.9, 0.1]], np.float32)
    >>> maps = Volume(row[None], image_grid((1, 7), (0.5, 0.5), "um"), ("interior",))
    >>> split_maps(maps, options=SplitOptions(min_depth=0.2)).array.tolist()
    [[0, 1, 1, 2, 2, 2, 0]]
    """
    return finish(split_maps_steps(maps, options=options, labels=labels))


def split_maps_steps(
    maps: Volume,
    *,
    options: SplitOptions = DEFAULTS,
    labels: LabelMap | None = None,
    tile: tuple[int, ...] | None = None,
) -> Steps[Instances]:
    """Do the work of `split_maps`, yielding on the way.

    Parameters
    ----------
    maps, options, labels
        As in `split_maps`; the array of the maps may be lazy.
    tile : tuple of int, optional
        Read and work in tiles of this shape: less memory, the same objects.
    """
    check_maps(maps, options)
    if labels is not None:
        require_same_grid(labels.grid, maps.grid, what="classes and maps", not_done="the objects were not separated")
    found = yield from objects_steps(map_scene(maps, options), tile)
    names = {1: "object"}
    if labels is not None:
        found = replace(found, class_ids=_majority(found, labels))
        names = labels.classes
    return (yield from examine_steps(_instances(found, maps, names), maps=maps))


def map_scene(maps: Volume, options: SplitOptions) -> Scene:
    """Return what `split_maps` separates: read box by box, so that a part can be done alone."""
    grid = maps.grid

    def classes(box: Box) -> npt.NDArray[np.bool_]:
        return np.asarray(foreground(maps, box) >= options.foreground_threshold)

    def levels(box: Box, out: npt.NDArray[np.uint16]) -> None:
        reach = halo(options, grid.spacing)
        wide = tuple(
            slice(max(0, s.start - r), min(n, s.stop + r)) for s, r, n in zip(box, reach, grid.shape, strict=True)
        )
        heights = smoothed(landscape(maps, options, wide), options, grid.spacing)
        core = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, wide, strict=True))
        levels_of(heights[core], out)

    rule = rule_for(options, grid.spacing, grid.voxel_size, mask=False)
    if options.decoder == "offsets":
        widths = tuple(options.smoothing / s for s in grid.spacing)
        return Scene(grid.shape, grid.spacing, classes, None, rule, ways=lambda box: ways(maps, box), widths=widths)
    return Scene(grid.shape, grid.spacing, classes, levels, rule)


def split_mask(labels: LabelMap, *, options: SplitOptions = DEFAULTS) -> Instances:
    """Separate touching objects of a mask where it narrows; every class by itself.

    Parameters
    ----------
    labels : LabelMap
        A mask, or several classes: different classes are never one object.
    options : SplitOptions
        `min_depth`, `min_distance` and `min_size` count; the others are for maps.

    Returns
    -------
    Instances
        As from `split_maps`; each object has the class of its voxels.

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> dumbbell = np.array([[1, 1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 1, 1, 1]])
    >>> labels = LabelMap(np.pad(dumbbell, 1), image_grid((5, 9), (1.0, 1.0), "px"), {1: "cell"})
    >>> len(split_mask(labels).segments)
    2
    """
    return finish(split_mask_steps(labels, options=options))


def split_mask_steps(
    labels: LabelMap, *, options: SplitOptions = DEFAULTS, tile: tuple[int, ...] | None = None
) -> Steps[Instances]:
    """Do the work of `split_mask`, yielding on the way; `tile` as in `split_maps_steps`."""
    found = yield from objects_steps(mask_scene(labels, options), tile)
    return (yield from examine_steps(_instances(found, labels, _names(labels, found)), waists=found.waists))


def mask_scene(labels: LabelMap, options: SplitOptions) -> Scene:
    """Return what the objects of a bare mask are found in."""
    grid = labels.grid
    rule = rule_for(options, grid.spacing, grid.voxel_size, mask=True)
    return Scene(grid.shape, grid.spacing, lambda box: np.asarray(labels.array[box]), None, rule)


def components(labels: LabelMap, *, min_voxels: int = 0, min_volume: float = 0.0) -> Instances:
    """Make an object of every connected part of every class, such as each lesion of a lesion mask.

    Parameters
    ----------
    labels : LabelMap
    min_voxels : int
        Smaller parts are left out.
    min_volume : float
        The same as an area or volume, in the grid's own unit (mm2, mm3, um2, ...).

    Returns
    -------
    Instances
        Voxels of one class that share a face, an edge or a corner are one object.

    Examples
    --------
    >>> from medseg.grid import Grid
    >>> labels = LabelMap(np.array([[[1, 0, 1, 2]]]), Grid((1, 1, 4), np.eye(4)), {1: "lesion", 2: "oedema"})
    >>> [(s.id, s.class_id) for s in components(labels).segments]
    [(1, 1), (2, 1), (3, 2)]
    """
    return finish(components_steps(labels, min_voxels=min_voxels, min_volume=min_volume))


def components_steps(
    labels: LabelMap, *, min_voxels: int = 0, min_volume: float = 0.0, tile: tuple[int, ...] | None = None
) -> Steps[Instances]:
    """Do the work of `components`, yielding on the way; `tile` as in `split_maps_steps`."""
    grid = labels.grid
    smallest = max(min_voxels, int(np.ceil(min_volume / grid.voxel_size - 1e-9)))

    scene = Scene(
        grid.shape, grid.spacing, lambda box: np.asarray(labels.array[box]), None, Rule(min_voxels=smallest), whole=True
    )
    found = yield from objects_steps(scene, tile)
    return (yield from examine_steps(_instances(found, labels, _names(labels, found))))


def _instances(found: Objects, source: Volume | LabelMap, names: dict[int, str]) -> Instances:
    n = len(found.class_ids)
    segments = tuple(Segment(i, int(c)) for i, c in enumerate(found.class_ids, start=1))
    array = found.array.astype(smallest_integer_type(n))
    return Instances(array, source.grid, segments, names, source.source, source.warnings)


def _names(labels: LabelMap, found: Objects) -> dict[int, str]:
    return labels.classes or {int(c): f"class {c}" for c in np.unique(found.class_ids)}


def _majority(found: Objects, labels: LabelMap) -> npt.NDArray[Any]:
    """Return the class of most voxels of each object, background not counted; of equal ones the lowest."""
    here = found.array > 0
    ids, classes = found.array[here], np.asarray(labels.array)[here].astype(np.int64)
    n = int(classes.max(initial=0)) + 1
    counts = np.bincount(ids * n + classes, minlength=(len(found.class_ids) + 1) * n).reshape(-1, n)
    counts[:, 0] = 0
    best = counts[1:].argmax(axis=1)
    return np.where(best == 0, 1, best)
