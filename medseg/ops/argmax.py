"""From maps per class on the working grid to labels on the native grid, without ever enlarging the maps."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.errors import OutputError, UsageError
from medseg.labels import smallest_integer_type
from medseg.ops.compiled import kernels, over_slabs

Floats32 = npt.NDArray[np.float32]
_SLAB_BYTES = 2**24


class Cells(NamedTuple):
    """Per voxel of the new axis: the two old neighbours and the weight of the upper one."""

    lower: npt.NDArray[np.intp]
    upper: npt.NDArray[np.intp]
    weight: Floats32

    def at(self, index: Any) -> Cells:
        """Return the rows of the tables at `index`, a slice or an array of indices."""
        return Cells(self.lower[index], self.upper[index], self.weight[index])


def labels_from_maps(maps: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return the class with the highest linearly interpolated map, for each voxel of a grid over the same extent.

    Where all neighbours on the working grid agree on the class, no interpolation can change it: linear weights are
    not negative and sum to one. Only the other voxels are interpolated, so memory does not grow with the classes.

    Parameters
    ----------
    maps : (c, *working) float array
        Finite logits or probabilities, c at least 1, in 2-D or 3-D.
    shape : (n,) ints
        Voxels of the native grid along each axis.

    Returns
    -------
    (*shape) uint8 array
        uint16 above 256 classes. Of equal maps the lowest class wins.

    Raises
    ------
    OutputError
        If a map holds a value that is not a number.
    UsageError
        If the number of axes does not fit.

    Examples
    --------
    >>> maps = np.array([[[0.0, 2.0]], [[1.0, 0.0]]])
    >>> labels_from_maps(maps, (1, 6))
    array([[1, 1, 0, 0, 0, 0]], dtype=uint8)
    """
    n_axes = len(shape)
    if n_axes not in (2, 3) or maps.ndim != n_axes + 1 or maps.size == 0 or min(shape) < 1:
        raise UsageError(
            "E_USAGE",
            found=f"maps of shape {maps.shape} and a grid of {shape}",
            expected="one map per class with the grid's 2 or 3 axes",
            not_done="no labels were made",
            remedy="Give maps of shape (classes, *axes).",
        )
    solid = np.ascontiguousarray(maps, dtype=np.float32).reshape(maps.shape[0], *(1,) * (3 - n_axes), *maps.shape[1:])
    native = (*(1,) * (3 - n_axes), *shape)
    loops = kernels("argmax_kernels")
    low = _argmax(solid, loops)
    if low.shape == native:
        return low.reshape(shape)
    axes = [cells(n, m) for n, m in zip(low.shape, native, strict=True)]
    labels = np.empty(native, dtype=low.dtype)
    if loops is None:
        step = max(1, _SLAB_BYTES // (8 * native[1] * native[2]))
        for z in range(0, native[0], step):
            slab = slice(z, z + step)
            labels[slab] = _slab(solid, low, (axes[0].at(slab), axes[1], axes[2]))
    else:
        tables = [table for axis in axes for table in axis]
        over_slabs(lambda start, stop: loops.fill(solid, low, *tables, start, stop, labels), native[0])
    return labels.reshape(shape)


def cells(n_old: int, n_new: int) -> Cells:
    """Return the linear neighbours of each of `n_new` voxels among `n_old` over the same extent, clamped at the ends.

    Examples
    --------
    >>> cells(2, 4).weight.tolist()
    [0.0, 0.25, 0.75, 0.0]
    """
    place = np.clip((np.arange(n_new) + 0.5) * (n_old / n_new) - 0.5, 0, n_old - 1)
    lower = np.floor(place).astype(np.intp)
    weight = (place - lower).astype(np.float32)
    carried = weight >= 1  # rounded up to the next voxel
    lower[carried] += 1
    weight[carried] = 0
    return Cells(lower, np.where(weight > 0, np.minimum(lower + 1, n_old - 1), lower), weight)


def _argmax(maps: Floats32, loops: ModuleType | None) -> npt.NDArray[Any]:
    labels = np.zeros(maps.shape[1:], dtype=smallest_integer_type(maps.shape[0] - 1))
    if loops is None:
        best = maps[0].copy()
        bad = not np.isfinite(best).all()
        for c in range(1, maps.shape[0]):
            bad = bad or not np.isfinite(maps[c]).all()
            better = maps[c] > best
            labels[better] = c
            np.maximum(best, maps[c], out=best)
    else:
        broken = np.zeros(maps.shape[1], dtype=np.uint8)
        over_slabs(lambda start, stop: loops.argmax(maps, start, stop, labels, broken), maps.shape[1])
        bad = bool(broken.any())
    if bad:
        raise OutputError(
            "E_OUTPUT_NONFINITE",
            found="values that are not numbers in the network's maps",
            expected="finite maps",
            not_done="no labels were made of them",
            remedy="Repeat the run in full precision (float32); if that does not help, the model is damaged.",
        )
    return labels


def _slab(maps: Floats32, low: npt.NDArray[Any], axes: tuple[Cells, Cells, Cells]) -> npt.NDArray[Any]:
    z, y, x = axes
    labels = low[np.ix_(z.lower, y.lower, x.lower)]
    open_ = np.zeros(labels.shape, dtype=bool)
    for corner in range(1, 8):
        ends = (axis.upper if corner >> (2 - i) & 1 else axis.lower for i, axis in enumerate(axes))
        open_ |= low[np.ix_(*ends)] != labels
    k, j, i = np.nonzero(open_)
    z, y, x = z.at(k), y.at(j), x.at(i)
    best = _interpolated(maps[0], z, y, x)
    found = np.zeros(k.size, dtype=low.dtype)
    for c in range(1, maps.shape[0]):
        value = _interpolated(maps[c], z, y, x)
        better = value > best
        found[better] = c
        best[better] = value[better]
    labels[k, j, i] = found
    return labels


def _interpolated(a: Floats32, z: Cells, y: Cells, x: Cells) -> Floats32:
    def blend(first: Floats32, second: Floats32, weight: Floats32) -> Floats32:
        return first + weight * (second - first)

    def row(k: npt.NDArray[np.intp], j: npt.NDArray[np.intp]) -> Floats32:
        return blend(a[k, j, x.lower], a[k, j, x.upper], x.weight)

    near = blend(row(z.lower, y.lower), row(z.lower, y.upper), y.weight)
    far = blend(row(z.upper, y.lower), row(z.upper, y.upper), y.weight)
    return blend(near, far, z.weight)
