"""Sample an image on another grid: fast along the axes where the extent is the same, general where it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryError
from medseg.grid import Grid
from medseg.labels import LabelMap
from medseg.ops import affine, separable
from medseg.volume import Volume

Order = Literal[0, 1, 3]


def resampled(volume: Volume, grid: Grid, *, order: Order, fill: float | None = None) -> Volume:
    """Return the image sampled on `grid`.

    Nothing is smoothed before the image gets coarser, at any factor: this is what the peers do whose models and
    results ours are compared with, and a network sees the same in training and in use.

    Parameters
    ----------
    volume : Volume
        2-D or 3-D, every channel alike.
    grid : Grid
        With the extent of the image's grid (`Grid.resampled`, `Grid.reshaped`) or any other grid of the same space.
    order : {0, 1, 3}
        0: nearest voxel, 1: linear, 3: cubic B-spline, clipped to the range of the channel. Beyond the outermost
        voxel centres the outermost voxels go on.
    fill : float, optional
        Value outside the extent of the image; the channel's lowest value where not given.

    Returns
    -------
    Volume
        The image's type for order 0, float32 otherwise.

    Raises
    ------
    GeometryError
        If the grids do not share space, unit and number of axes.

    Examples
    --------
    >>> volume = Volume(np.arange(4.0).reshape(1, 1, 1, 4), Grid((1, 1, 4), np.eye(4)))
    >>> resampled(volume, volume.grid.reshaped((1, 1, 2)), order=1).array.tolist()
    [[[[0.5, 2.5]]]]
    """
    _check_comparable(volume.grid, grid)
    array = volume.numpy()
    kind = array.dtype.newbyteorder("=") if order == 0 else np.dtype(np.float32)
    out = np.empty((array.shape[0], *grid.shape), dtype=kind)
    same_extent = volume.grid.reshaped(grid.shape).same_as(grid)
    for c in range(array.shape[0]):
        if same_extent:
            out[c] = separable.resized(array[c], grid.shape, order=order)
        else:
            outside = _lowest(array[c]) if fill is None else fill
            out[c] = affine.sampled(array[c], _old_from_new(volume.grid, grid), grid.shape, order=order, fill=outside)
    return replace(volume, array=out, grid=grid)


def resampled_labels(labels: LabelMap, grid: Grid) -> LabelMap:
    """Return the labels on `grid`, each voxel from the nearest one; background outside the extent.

    Parameters
    ----------
    labels : LabelMap
        Numbers of any size are kept exactly.
    grid : Grid

    Raises
    ------
    GeometryError
        If the grids do not share space, unit and number of axes.

    Examples
    --------
    >>> labels = LabelMap(np.array([[[0, 7]]]), Grid((1, 1, 2), np.eye(4)))
    >>> resampled_labels(labels, labels.grid.reshaped((1, 1, 4))).array.tolist()
    [[[0, 0, 7, 7]]]
    """
    _check_comparable(labels.grid, grid)
    if labels.grid.reshaped(grid.shape).same_as(grid):
        array = separable.resized(labels.array, grid.shape, order=0)
    else:
        array = affine.sampled(labels.array, _old_from_new(labels.grid, grid), grid.shape, order=0, fill=0)
    return replace(labels, array=array, grid=grid)


def _old_from_new(old: Grid, new: Grid) -> npt.NDArray[np.float64]:
    return np.linalg.solve(old.world_from_index, new.world_from_index).astype(np.float64)


def _lowest(values: npt.NDArray[Any]) -> float:
    return float(np.fmin.reduce(values, axis=None))


def _check_comparable(old: Grid, new: Grid) -> None:
    if (old.ndim, old.unit, old.space) != (new.ndim, new.unit, new.space):
        raise GeometryError(
            "E_GEOMETRY_MISMATCH",
            found=f"an image on {old!r} to be put on {new!r}",
            expected="two grids of the same space, unit and number of axes",
            not_done="the image was not resampled",
            remedy="Choose a grid that lies in the space of the image.",
        )
