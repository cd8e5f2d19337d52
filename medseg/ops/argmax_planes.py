"""The two steps from maps to labels, for some planes: who wins on the working grid, and who wins between its voxels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.errors import OutputError
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


def winners(maps: Floats32, n_z: int, n_x: int) -> npt.NDArray[Any]:
    """Return the first highest of (c, z, y, x) maps for each voxel with z below `n_z` and x below `n_x`; else 0.

    Raises
    ------
    OutputError
        If a map holds a value that is not a number there.
    """
    labels = np.zeros(maps.shape[1:], dtype=smallest_integer_type(maps.shape[0] - 1))
    loops = kernels("argmax_kernels")
    if loops is None:
        bad = _winners_without_compiler(maps[:, :n_z, :, :n_x], labels[:n_z, :, :n_x])
    else:
        broken = np.zeros(n_z, dtype=np.uint8)
        over_slabs(lambda start, stop: loops.argmax(maps, start, stop, n_x, labels, broken), n_z)
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


def decide(maps: Floats32, low: npt.NDArray[Any], axes: tuple[Cells, Cells, Cells], labels: npt.NDArray[Any]) -> None:
    """Write the class of each voxel of `labels`: the one that its neighbours agree on, else that of the highest map.

    Parameters
    ----------
    maps : (c, *working) float32 array
        Contiguous, three working axes.
    low : (*working) integer array
        The winners of `maps`.
    axes : three Cells
        The neighbours on the working grid, one row per plane, line and column of `labels`.
    labels : (*native) integer array
        Written.
    """
    loops = kernels("argmax_kernels")
    if loops is None:
        step = max(1, _SLAB_BYTES // max(1, 8 * labels.shape[1] * labels.shape[2]))
        for z in range(0, labels.shape[0], step):
            slab = slice(z, z + step)
            labels[slab] = _slab(maps, low, (axes[0].at(slab), axes[1], axes[2]))
        return

    def planes(start: int, stop: int) -> None:
        tables = [table for axis in axes for table in axis]
        loops.fill(maps, low, *tables, start, stop, labels)

    over_slabs(planes, labels.shape[0])


def _winners_without_compiler(maps: Floats32, labels: npt.NDArray[Any]) -> bool:
    """Write the winners of all voxels; tell whether some value is not a number."""
    best = maps[0].copy()
    bad = not np.isfinite(best).all()
    for c in range(1, maps.shape[0]):
        bad = bad or not np.isfinite(maps[c]).all()
        better = maps[c] > best
        labels[better] = c
        np.maximum(best, maps[c], out=best)
    return bad


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
