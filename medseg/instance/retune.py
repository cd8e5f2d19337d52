"""Objects separated anew with other numbers, from what a network said before or from a mask: no network is asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from medseg.grid import Grid
from medseg.instance.landscape import as_box, check_maps, foreground
from medseg.instance.options import SplitOptions
from medseg.instance.watershed import components_steps, split_maps_steps, split_mask_steps
from medseg.labels import Instances, LabelMap
from medseg.progress import Steps
from medseg.volume import Volume

Method = Literal["watershed", "components"]


@dataclass(frozen=True, eq=False, slots=True)
class SplitSource:
    """What objects are separated from: exactly one of maps and labels.

    Parameters
    ----------
    grid : Grid
        The objects lie on it. Maps cover its extent, on it or on a working grid of their own.
    maps : Volume, optional
        Of a model for objects.
    labels : LabelMap, optional
        A mask or classes, each of which is split by itself.
    classes : dict of int to str
        For maps: what the objects are.
    seen_by_model : bool
        The maps are those of an image that a model has just seen, on its working grid; otherwise they are the input.
    home : Grid, optional
        Grid of the whole image where the model has seen a part of it only; the objects are put there.
    """

    grid: Grid
    maps: Volume | None = None
    labels: LabelMap | None = None
    classes: dict[int, str] = field(default_factory=lambda: {1: "object"})
    seen_by_model: bool = False
    home: Grid | None = None

    @classmethod
    def of_model(cls, maps: Volume, grid: Grid, classes: dict[int, str]) -> SplitSource:
        """Return the source of an image, or of the part of it that a model for objects has seen.

        Parameters
        ----------
        maps : Volume
            On the working grid of the model.
        grid : Grid
            Of the whole image.
        classes : dict of int to str
        """
        start, stop = _covered(maps.grid, grid)
        part = grid.cropped(start, tuple(b - a for a, b in zip(start, stop, strict=True)))
        whole = part.shape == grid.shape
        return cls(
            grid if whole else part,
            maps=maps,
            classes=dict(classes) or {1: "object"},
            seen_by_model=True,
            home=None if whole else grid,
        )

    @classmethod
    def of_maps(cls, maps: Volume) -> SplitSource:
        """Return the source of saved maps: their objects lie on the grid of the maps."""
        return cls(maps.grid, maps=maps)

    @classmethod
    def of_labels(cls, labels: LabelMap) -> SplitSource:
        """Return the source of a mask, or of classes."""
        return cls(labels.grid, labels=labels)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Spacing of the voxels that are worked on: of the maps where there are any."""
        return self.grid.spacing if self.maps is None else self.maps.grid.spacing

    @property
    def start(self) -> tuple[int, ...]:
        """Voxel of the whole image at which the part begins that is worked on."""
        if self.home is None:
            return (0,) * self.grid.ndim
        return tuple(int(i) for i in np.rint(self.home.index(self.grid.origin)))


def separated_steps(source: SplitSource, method: Method, options: SplitOptions) -> Steps[Instances]:
    """Separate the objects of a whole image.

    The result is that of ``medseg segment --split METHOD`` for the maps of a model on an image, and that of
    ``medseg split --method METHOD`` for saved maps and for labels, with the same numbers.

    Parameters
    ----------
    source : SplitSource
    method : {"watershed", "components"}
    options : SplitOptions
        Lengths in the unit of the source's grid.

    Returns
    -------
    Instances
        On ``source.grid``, or on ``source.home`` where there is one.

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> from medseg.progress import finish
    >>> labels = LabelMap(np.array([[1, 1, 0, 1]]), image_grid((1, 4), (1.0, 1.0), "px"))
    >>> finish(separated_steps(SplitSource.of_labels(labels), "components", SplitOptions())).array.tolist()
    [[1, 1, 0, 2]]
    """
    if source.labels is not None:
        if method == "components":
            return (yield from components_steps(source.labels, min_volume=options.min_size))
        return (yield from split_mask_steps(source.labels, options=options))
    assert source.maps is not None
    if source.seen_by_model:
        return _placed((yield from _of_model_steps(source.maps, source, method, options)), source)
    if method == "components":
        mask = mask_of(source.maps, options.foreground_threshold)
        return (yield from components_steps(mask, min_volume=options.min_size))
    return (yield from split_maps_steps(source.maps, options=options))


def mask_of(maps: Volume, threshold: float) -> LabelMap:
    """Return where maps see an object of any kind, as class 1."""
    check_maps(maps, SplitOptions())
    inside = foreground(maps, as_box((0,) * maps.grid.ndim, maps.grid.shape)) >= threshold
    return LabelMap(inside.astype(np.uint8), maps.grid, {1: "object"})


def _of_model_steps(maps: Volume, source: SplitSource, method: Method, options: SplitOptions) -> Steps[Instances]:
    class_id = min(source.classes)
    from medseg.instance.segment import instances_on_steps  # knows networks: slow to import, and a mask needs none

    found = yield from instances_on_steps(maps, source.grid, options)
    if method == "components":
        mask = (found.array > 0).astype(np.uint8) * np.uint8(class_id)
        return (
            yield from components_steps(LabelMap(mask, source.grid, dict(source.classes)), min_volume=options.min_size)
        )
    segments = tuple(replace(s, class_id=class_id) for s in found.segments)
    return replace(found, segments=segments, classes=dict(source.classes))


def _placed(found: Instances, source: SplitSource) -> Instances:
    """Return objects of a part in the whole image."""
    if source.home is None:
        return found
    array = np.zeros(source.home.shape, found.array.dtype)
    array[tuple(slice(a, a + n) for a, n in zip(source.start, source.grid.shape, strict=True))] = found.array
    return replace(found, array=array, grid=source.home)


def _covered(working: Grid, grid: Grid) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the first voxels of a grid that another covers, and those behind the last."""
    faces = np.array([np.full(grid.ndim, -0.5), np.array(working.shape) - 0.5])
    ends = np.rint(grid.index(working.world(faces)) + 0.5).astype(int)
    low, high = np.clip(np.sort(ends, axis=0), 0, np.array(grid.shape))
    return tuple(low.tolist()), tuple(high.tolist())
