"""Sample an array at the voxels of any other grid, turned, shifted or scaled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

_SLAB_VOXELS = 2**20
_EDGE = 1e-6
"""Share of a voxel by which rounding may move a point across the outer face of the image."""


def sampled(
    values: Values, old_from_new: Floats, shape: tuple[int, ...], *, order: Literal[0, 1, 3], fill: float
) -> Values:
    """Return `values` at the places that an affine gives for each index of the new array.

    Parameters
    ----------
    values : (*spatial) array
    old_from_new : (n+1, n+1) float64 array
        Maps a new index to an old one.
    shape : (n,) ints
        Of the new array.
    order : {0, 1, 3}
        Nearest (of two equally near the upper), linear, or cubic B-spline clipped to the range of `values`.
    fill : float
        Value outside the outer faces of the old voxels; must fit the type for order 0.

    Returns
    -------
    (*shape) array
        The type of `values` for order 0, float32 otherwise.

    Examples
    --------
    >>> shift = np.array([[1, 0, 0], [0, 1, 0.75], [0, 0, 1]])
    >>> sampled(np.array([[4, 8]]), shift, (1, 2), order=1, fill=-1).tolist()
    [[7.0, -1.0]]
    """
    if order == 0:
        return _nearest(values, old_from_new, shape, fill)
    from scipy import ndimage

    n = values.ndim
    source = values.astype(np.float32, copy=False)
    out = np.empty(shape, dtype=np.float32)
    ndimage.affine_transform(source, old_from_new[:n, :n], old_from_new[:n, n], output=out, order=order, mode="nearest")
    if order == 3:
        np.clip(out, np.fmin.reduce(source, axis=None), np.fmax.reduce(source, axis=None), out=out)
    for slab, place in _places(old_from_new, shape):
        out[slab][~_inside(place, values.shape)] = fill
    return out


def _nearest(values: Values, old_from_new: Floats, shape: tuple[int, ...], fill: float) -> Values:
    # labels never pass through floating point here: numbers above 2**53 stay what they are
    out = np.empty(shape, dtype=values.dtype.newbyteorder("="))
    for slab, place in _places(old_from_new, shape):
        index = (
            np.clip(np.floor(x + 0.5 + _EDGE).astype(np.intp), 0, n - 1)
            for x, n in zip(place, values.shape, strict=True)
        )
        out[slab] = np.where(_inside(place, values.shape), values[tuple(index)], np.asarray(fill, dtype=out.dtype))
    return out


def _places(old_from_new: Floats, shape: tuple[int, ...]) -> Iterator[tuple[slice, list[Floats]]]:
    n = len(shape)
    step = max(1, _SLAB_VOXELS // int(np.prod(shape[1:], dtype=np.int64)))
    for start in range(0, shape[0], step):
        slab = slice(start, min(start + step, shape[0]))
        new = np.ogrid[(slab, *(slice(0, m) for m in shape[1:]))]
        # whole products first: where an axis does not matter its term is a broadcast zero
        yield slab, [sum((old_from_new[d, e] * new[e] for e in range(n)), old_from_new[d, n]) for d in range(n)]


def _inside(place: list[Floats], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    inside = np.ones((), dtype=bool)
    for x, n in zip(place, shape, strict=True):
        inside = inside & (x >= -0.5 - _EDGE) & (x < n - 0.5 - _EDGE)
    return inside
