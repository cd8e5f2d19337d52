"""Resize an array over the same extent, one axis after the other.

Linear and cubic interpolation are linear maps of each axis: row i of the map holds the weights of a few neighbouring
old voxels. A cubic B-spline depends on all old voxels, but its weights fall by 0.27 per voxel, so 24 suffice.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.grid import AxisMap
from medseg.ops.compiled import kernels, over_slabs

Values = npt.NDArray[Any]
Floats32 = npt.NDArray[np.float32]

CUBIC_TAPS = 24
_POLE = np.sqrt(3.0) - 2.0
_READ_DIRECTLY = (np.uint8, np.int16, np.uint16, np.float32)
"""Types that the compiled loops read without a copy; others become float32 first."""


class Band(NamedTuple):
    """One axis: new voxel i is ``sum(weights[i, k] * old[first[i] + k])``."""

    first: npt.NDArray[np.intp]
    weights: Floats32


def resized(values: Values, shape: tuple[int, ...], *, order: Literal[0, 1, 3]) -> Values:
    """Return `values` with `shape` voxels over the same extent; the outer faces of the voxels coincide.

    Parameters
    ----------
    values : (*spatial) array
        2-D or 3-D.
    shape : (n,) ints
    order : {0, 1, 3}
        Nearest (of two equally near the upper), linear, or cubic B-spline clipped to the range of `values`.

    Returns
    -------
    (*shape) array
        The type of `values` for order 0, float32 otherwise.

    Examples
    --------
    >>> resized(np.array([[0, 4]]), (1, 4), order=1).tolist()
    [[0.0, 1.0, 3.0, 4.0]]
    """
    axes = _memory_order(values)
    source = axes.apply(values)
    target = tuple(shape[o] for o in axes.order)
    made = _nearest(source, target) if order == 0 else _interpolated(source, target, order)
    return axes.inverse().apply(made)


def resized_part(values: Values, shape: tuple[int, ...], box: tuple[slice, ...]) -> Floats32:
    """Return a box of ``resized(values, shape, order=1)``, bit for bit, without making the rest.

    Parameters
    ----------
    values : (*spatial) array
        2-D or 3-D, its last axis fastest in memory.
    shape : (n,) ints
    box : (n,) slices
        Start and stop within `shape`.

    Examples
    --------
    >>> resized_part(np.array([[0, 4]]), (1, 4), (slice(0, 1), slice(1, 3))).tolist()
    [[1.0, 3.0]]
    """
    bands: list[Band | None] = []
    source = []
    for n, m, part in zip(values.shape, shape, box, strict=True):
        whole = _same(n) if n == m else band(n, m, 1)
        first, weights = whole.first[part], whole.weights[part]
        low, high = int(first.min()), int(first.max()) + weights.shape[1]
        source.append(slice(low, high))
        bands.append(None if n == m else Band(first - low, weights))
    cut = np.ascontiguousarray(values[tuple(source)])
    kind = cut.dtype.newbyteorder("=")
    solid = cut.astype(kind if kind in _READ_DIRECTLY else np.float32, copy=False)
    flat = solid.ndim == 2
    axes = [None, *bands] if flat else bands
    solid = solid[None] if flat else solid
    made = _applied(solid, axes, planes_first=not flat and shape[0] < values.shape[0])
    return made[0] if flat else made


def band(n_old: int, n_new: int, order: Literal[1, 3]) -> Band:
    """Return the weights of one axis; voxels beyond the ends repeat the outermost ones.

    Parameters
    ----------
    n_old, n_new : int
    order : {1, 3}

    Returns
    -------
    Band
        ``first`` (n_new,) intp and ``weights`` (n_new, k) float32, k = 2 or 24, less where the axis is shorter.

    Examples
    --------
    >>> band(2, 4, 1).weights.tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    place = (np.arange(n_new) + 0.5) * (n_old / n_new) - 0.5
    n_taps = 2 if order == 1 else CUBIC_TAPS
    base = np.floor(place).astype(np.intp) - (n_taps // 2 - 1)
    taps = base[:, None] + np.arange(n_taps)
    distance = place[:, None] - taps
    raw = np.maximum(0.0, 1.0 - np.abs(distance)) if order == 1 else _cardinal(distance)
    raw /= raw.sum(axis=1, keepdims=True)
    width = min(n_taps, n_old)
    first = np.clip(base, 0, n_old - width)
    weights = np.zeros((n_new, width))
    rows = np.broadcast_to(np.arange(n_new)[:, None], taps.shape)
    np.add.at(weights, (rows, np.clip(taps, 0, n_old - 1) - first[:, None]), raw)
    return Band(first, weights.astype(np.float32))


def _cardinal(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the cubic spline that is 1 at 0 and 0 at every other whole number: P. Thevenaz et al., 2000."""
    total = np.zeros_like(x)
    base = np.floor(x)
    for k in range(-1, 3):  # the four B-splines that reach x, each times the filter that makes the sum interpolate
        total += np.sqrt(3.0) * _POLE ** np.abs(base + k) * _b_spline(x - base - k)
    return total


def _b_spline(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    a = np.abs(x)
    inner = 2.0 / 3.0 - a**2 + a**3 / 2.0
    outer = np.maximum(2.0 - a, 0.0) ** 3 / 6.0
    return np.where(a < 1.0, inner, outer)


def _memory_order(values: Values) -> AxisMap:
    """Return the map to axes that run through memory upwards, the fastest last: loops are several times faster so."""
    order = tuple(sorted(range(values.ndim), key=lambda a: (-abs(values.strides[a]), a)))
    return AxisMap(order, tuple(values.strides[o] < 0 for o in order))


def _nearest(values: Values, shape: tuple[int, ...]) -> Values:
    pairs = list(zip(values.shape, shape, strict=True))
    for axis in sorted(range(values.ndim), key=lambda a: pairs[a][1] / pairs[a][0]):  # shrinking axes first
        n, m = pairs[axis]
        if n != m:
            values = values.take(((2 * np.arange(m) + 1) * n) // (2 * m), axis=axis)
    return values


def _interpolated(values: Values, shape: tuple[int, ...], order: Literal[1, 3]) -> Floats32:
    if values.shape == shape:
        return values.astype(np.float32)
    kind = values.dtype.newbyteorder("=")
    direct = kind if kind in _READ_DIRECTLY else np.dtype(np.float32)
    solid = np.ascontiguousarray(values, dtype=direct)
    flat = solid.ndim == 2
    bands = [
        None if n == m else band(n, m, order) for n, m in zip(solid.shape, shape, strict=True)
    ]  # fmt: skip
    planes_first = not flat and shape[0] < values.shape[0]
    made = _applied(solid[None] if flat else solid, [None, *bands] if flat else bands, planes_first=planes_first)
    if order == 3:
        np.clip(made, np.fmin.reduce(solid, axis=None), np.fmax.reduce(solid, axis=None), out=made)
    return made[0] if flat else made


def _applied(values: Values, bands: list[Band | None], *, planes_first: bool) -> Floats32:
    """Apply one band to each of three axes; the first axis comes first where it shrinks, for then it costs least."""
    for step in (0, 1) if planes_first else (1, 0):
        if step == 0 and bands[0] is not None:
            values = _along_planes(values, bands[0])
        elif step == 1 and (bands[1] is not None or bands[2] is not None):
            values = _within_planes(values, bands[1], bands[2])
    return values.astype(np.float32, copy=False)


def _along_planes(values: Values, z: Band) -> Floats32:
    loops = kernels("separable_kernels")
    if loops is None:
        return np.tensordot(_dense(z, values.shape[0]), values.astype(np.float32, copy=False), axes=1)
    out = np.empty((len(z.first), *values.shape[1:]), dtype=np.float32)
    over_slabs(lambda start, stop: loops.along_planes(values, *z, start, stop, out), out.shape[1])
    return out


def _within_planes(values: Values, y: Band | None, x: Band | None) -> Floats32:
    y, x = y or _same(values.shape[1]), x or _same(values.shape[2])
    out = np.empty((values.shape[0], len(y.first), len(x.first)), dtype=np.float32)
    loops = kernels("separable_kernels")
    if loops is None:
        from_y, from_x = _dense(y, values.shape[1]), _dense(x, values.shape[2]).T
        for plane, target in zip(values, out, strict=True):
            target[...] = from_y @ plane.astype(np.float32, copy=False) @ from_x
        return out
    if values.shape[0] > 1:
        over_slabs(lambda a, b: loops.within_planes(values, *y, *x, a, b, 0, out.shape[1], out), out.shape[0])
    else:
        over_slabs(lambda a, b: loops.within_planes(values, *y, *x, 0, 1, a, b, out), out.shape[1])
    return out


def _same(n: int) -> Band:
    return Band(np.arange(n), np.ones((n, 1), dtype=np.float32))


def _dense(axis: Band, n_old: int) -> Floats32:
    matrix = np.zeros((len(axis.first), n_old), dtype=np.float32)
    columns = axis.first[:, None] + np.arange(axis.weights.shape[1])
    np.put_along_axis(matrix, columns, axis.weights, axis=1)
    return matrix
