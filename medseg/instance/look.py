"""Objects of a part of an image, for a look at what other numbers would do: as in the whole, without doing the whole.

What happens in one connected part of the foreground depends on nothing outside of it. So whatever lies in the box that
is read, and stays away from its cut faces by as much as the smoothing reaches, has exactly the objects of the whole.
Of a part that a face cuts, the objects are a guess, good where the face is farther away than an object is wide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medseg.grid import Grid
from medseg.instance.basins import Rule
from medseg.instance.landscape import check_maps, offset_names
from medseg.instance.options import SplitOptions
from medseg.instance.retune import Method, SplitSource, mask_of
from medseg.instance.scale import REFERENCE_DIAMETER
from medseg.instance.stitch import Box, Scene, objects_steps
from medseg.instance.watershed import map_scene, mask_scene
from medseg.labels import LabelMap
from medseg.ops.separable import resized_part
from medseg.progress import Steps
from medseg.volume import Volume

MARGIN = 0.5
"""How far around the wanted box is read, in diameters that objects have on a working grid: an object whose middle lies
at the edge of the box is read whole."""
AT_ONCE = 1_250_000
"""Voxels worked on for a first answer: one core of a laptop does 15 to 25 million in a second."""
AT_MOST = 16_000_000
"""Voxels worked on for all that is in view, when nothing newer is wished for."""
_SMOOTHING_REACH = 3.0
_HALVINGS = 24


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """Objects in a box of an image.

    Parameters
    ----------
    array : int32 array
        Numbers of the objects, those of this look only.
    box : tuple of slices
        Where it lies in the image.
    count : int
        Objects of which at least one voxel lies in the box.
    """

    array: npt.NDArray[np.int32]
    box: Box
    count: int


def look_steps(source: SplitSource, method: Method, options: SplitOptions, box: Box) -> Steps[Seen]:
    """Separate the objects in a box of an image.

    Parameters
    ----------
    source : SplitSource
    method : {"watershed", "components"}
    options : SplitOptions
    box : tuple of slices
        Voxels of ``source.grid`` whose objects are wanted; more is read around them, see `read_box`.

    Returns
    -------
    Seen
        Equal to the same box of `separated_steps` but for the numbers of the objects, in every connected part of the
        foreground that does not come nearer than the smoothing reaches to a face of the box read behind which the
        image goes on.

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> from medseg.progress import finish
    >>> labels = LabelMap(np.array([[1, 1, 0, 1]]), image_grid((1, 4), (1.0, 1.0), "px"))
    >>> box = (slice(0, 1), slice(1, 4))
    >>> finish(look_steps(SplitSource.of_labels(labels), "watershed", SplitOptions(), box)).count
    2
    """
    wide = read_box(source, options, box)
    if source.labels is not None:
        found = yield from objects_steps(_mask_scene(_labels_in(source.labels, wide), method, options))
    else:
        maps = _maps_in(source, wide, options)
        if method == "components" and not source.seen_by_model:
            scene = _mask_scene(mask_of(maps, options.foreground_threshold), method, options)
        else:
            check_maps(maps, options)
            scene = map_scene(maps, options)
        found = yield from objects_steps(scene)
    array = found.array
    if method == "components" and source.seen_by_model:
        mask = LabelMap((array > 0).astype(np.uint8), _part_of(source.grid, wide))
        array = (yield from objects_steps(_mask_scene(mask, method, options))).array
    array = array[tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))]
    return Seen(array, box, int(np.count_nonzero(np.bincount(array.reshape(-1))[1:])))


def outlined(array: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return objects without what lies inside of them: voxels all of whose neighbours across a face are of the same.

    Parameters
    ----------
    array : integer array

    Examples
    --------
    >>> outlined(np.array([[1, 1, 1, 2], [1, 1, 1, 2], [1, 1, 1, 2]], np.int32)).tolist()
    [[0, 0, 1, 2], [0, 0, 1, 2], [0, 0, 1, 2]]
    """
    edge = np.zeros(array.shape, np.bool_)
    for axis in range(array.ndim):
        upper, lower = np.moveaxis(array, axis, 0)[1:], np.moveaxis(array, axis, 0)[:-1]
        differs = upper != lower
        for side in (np.moveaxis(edge, axis, 0)[1:], np.moveaxis(edge, axis, 0)[:-1]):
            np.logical_or(side, differs, out=side)
    return np.where(edge, array, 0)


def read_box(source: SplitSource, options: SplitOptions, box: Box) -> Box:
    """Return the box that is read for a look at `box`: with a margin all around, as far as the image reaches."""
    reach = MARGIN * REFERENCE_DIAMETER * min(source.spacing) + _SMOOTHING_REACH * options.smoothing
    return tuple(
        slice(max(0, b.start - around), min(n, b.stop + around))
        for b, n, around in zip(
            box, source.grid.shape, (int(np.ceil(reach / s)) for s in source.grid.spacing), strict=True
        )
    )


def box_within(
    source: SplitSource, options: SplitOptions, box: Box, *, most_voxels: int, about: tuple[int, ...] | None = None
) -> Box:
    """Return the largest part of a box for which no more than some voxels are worked on.

    Parameters
    ----------
    source : SplitSource
    options : SplitOptions
    box : tuple of slices
        In voxels of ``source.grid``.
    most_voxels : int
        Of the grid that is worked on, the margin included; the smallest part is one voxel with its margin.
    about : tuple of int, optional
        Voxel that the part lies around as far as the box allows; the middle of the box by default.
    """
    if _cost(source, options, box) <= most_voxels:
        return box
    centre = about or tuple((b.start + b.stop) // 2 for b in box)
    spacing = source.grid.spacing
    low, high = min(spacing), max((b.stop - b.start) * s for b, s in zip(box, spacing, strict=True))
    best = _around(centre, box, low, spacing)
    for _ in range(_HALVINGS):
        side = (low + high) / 2
        part = _around(centre, box, side, spacing)
        if _cost(source, options, part) <= most_voxels:
            low, best = side, part
        else:
            high = side
    return best


def _cost(source: SplitSource, options: SplitOptions, box: Box) -> float:
    return float(np.prod([float(w.stop - w.start) for w in read_box(source, options, box)]))


def _around(centre: tuple[int, ...], box: Box, side: float, spacing: tuple[float, ...]) -> Box:
    """Return the part of a box around a voxel, none of whose sides is longer than `side`."""
    found = []
    for c, b, s in zip(centre, box, spacing, strict=True):
        n = min(b.stop - b.start, max(1, int(side / s)))
        start = min(max(c - n // 2, b.start), b.stop - n)
        found.append(slice(start, start + n))
    return tuple(found)


def _maps_in(source: SplitSource, wide: Box, options: SplitOptions) -> Volume:
    maps, shape = source.maps, source.grid.shape
    assert maps is not None
    part = _part_of(source.grid, wide)
    if not source.seen_by_model:
        return Volume(np.asarray(maps.array[(slice(None), *wide)]), part, maps.channels)
    from medseg.instance.segment import SPLIT_MAPS  # knows networks: slow to import, and a mask needs none

    names = SPLIT_MAPS + (offset_names(maps.grid.ndim) if options.decoder == "offsets" else ())
    chosen = [maps.channels.index(name) for name in names]
    if shape == maps.grid.shape:
        array = maps.numpy()
        return Volume(np.stack([array[c][wide] for c in chosen]), part, names)
    finer = np.stack([resized_part(maps.numpy()[c], shape, wide) for c in chosen])
    # a way counts voxels of the finest axis, which have another size now
    finer[len(SPLIT_MAPS) :] *= np.float32(min(maps.grid.spacing) / min(source.grid.spacing))
    return Volume(finer, part, names)


def _labels_in(labels: LabelMap, box: Box) -> LabelMap:
    return replace(labels, array=np.asarray(labels.array[box]), grid=_part_of(labels.grid, box))


def _part_of(grid: Grid, box: Box) -> Grid:
    return grid.cropped(tuple(b.start for b in box), tuple(b.stop - b.start for b in box))


def _mask_scene(labels: LabelMap, method: Method, options: SplitOptions) -> Scene:
    scene = mask_scene(labels, options)
    if method == "watershed":
        return scene
    return replace(scene, whole=True, rule=Rule(min_voxels=scene.rule.min_voxels))
