"""Connected parts of a structure: keep the largest, fill its holes, drop specks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.labels import LabelMap

Mask = npt.NDArray[np.bool_]


def largest_component(mask: Mask) -> Mask:
    """Return the largest connected part of a mask; of equal ones, that which comes first in memory order.

    Parameters
    ----------
    mask : (*spatial) bool array
        Voxels that share a face, an edge or a corner are connected.

    Examples
    --------
    >>> largest_component(np.array([[True, False, True, True]])).tolist()
    [[False, False, True, True]]
    """
    return _within_box(mask, _largest)


def remove_small(mask: Mask, min_voxels: int) -> Mask:
    """Return the mask without connected parts of fewer than `min_voxels` voxels.

    Examples
    --------
    >>> remove_small(np.array([[True, False, True, True]]), 2).tolist()
    [[False, False, True, True]]
    """
    return _within_box(mask, lambda box: _large_enough(box, min_voxels))


def fill_holes(mask: Mask) -> Mask:
    """Return the mask with every hole filled: background that no path across faces joins to the image's outside.

    Examples
    --------
    >>> fill_holes(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)).all()
    np.True_
    """
    return _within_box(mask, _filled)


def cleaned(
    labels: LabelMap,
    *,
    keep_largest: tuple[int, ...] = (),
    fill_holes: tuple[int, ...] = (),
    min_volume_mm3: dict[int, float] | None = None,
) -> LabelMap:
    """Clean each class by its rules: first drop small parts, then keep the largest, then fill holes.

    What is dropped becomes background. Holes are filled where they are background: another class inside a hole stays.

    Parameters
    ----------
    labels : LabelMap
    keep_largest, fill_holes : tuple of int
        Class ids.
    min_volume_mm3 : dict of int to float, optional
        Smallest volume of a connected part, per class id.

    Raises
    ------
    GeometryError
        If a smallest volume is asked for on a grid that is 2-D or has no physical unit.

    Examples
    --------
    >>> from medseg.grid import Grid
    >>> labels = LabelMap(np.array([[[1, 0, 1, 1]]], np.uint8), Grid((1, 1, 4), np.eye(4)))
    >>> cleaned(labels, keep_largest=(1,)).array.tolist()
    [[[0, 0, 1, 1]]]
    """
    smallest = {c: v for c, v in (min_volume_mm3 or {}).items() if v > 0}
    array = labels.array.copy()
    for class_id in sorted({*keep_largest, *fill_holes, *smallest}):
        mask = array == class_id
        if class_id == 0 or not mask.any():
            continue
        kept = mask
        if class_id in smallest:
            kept = remove_small(kept, _voxels(labels, smallest[class_id]))
        if class_id in keep_largest:
            kept = largest_component(kept)
        array[mask & ~kept] = 0
        if class_id in fill_holes:
            array[_within_box(kept, _filled) & (array == 0)] = class_id
    return replace(labels, array=array)


def _voxels(labels: LabelMap, volume_mm3: float) -> int:
    exact = volume_mm3 / (labels.grid.voxel_volume_ml * 1000)
    return ceil(exact - 1e-9 * max(1.0, exact))  # a part of exactly the smallest volume stays


def _within_box(mask: Mask, work: Callable[[Mask], Mask]) -> Mask:
    box = []
    for axis in range(mask.ndim):
        found = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if not found.size:
            return mask.copy()
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    result = np.zeros_like(mask)
    result[tuple(box)] = work(mask[tuple(box)])
    return result


def _parts(mask: Mask) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    from scipy import ndimage

    parts, _ = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    return parts, np.bincount(parts.ravel())


def _largest(mask: Mask) -> Mask:
    parts, sizes = _parts(mask)
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax())


def _large_enough(mask: Mask, min_voxels: int) -> Mask:
    parts, sizes = _parts(mask)
    keep = sizes >= min_voxels
    keep[0] = False
    return np.asarray(keep[parts])


def _filled(mask: Mask) -> Mask:
    from scipy import ndimage

    # one voxel of background all round joins everything outside to the first voxel, which gets label 1
    background, _ = ndimage.label(~np.pad(mask, 1))
    return np.asarray(background[(slice(1, -1),) * mask.ndim] != 1)
