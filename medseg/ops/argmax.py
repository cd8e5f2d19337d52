"""From maps per class on the working grid to labels on the native grid, without ever enlarging the maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError
from medseg.labels import smallest_integer_type
from medseg.ops.argmax_planes import Cells, cells, decide, winners
from medseg.ops.slab import Slab, cut

Floats32 = npt.NDArray[np.float32]


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
    slabs = LabelSlabs(maps.shape[1:], shape)
    slabs.take(Slab(np.ascontiguousarray(maps, dtype=np.float32), axis=0, start=0, count=maps.shape[1]))
    return slabs.labels


class LabelSlabs:
    """Labels on the native grid, decided while the maps still come in, so that they never lie in memory whole.

    A native plane is decided as soon as its neighbours on both sides are finished; of what came before, one plane of
    each map is kept.

    Parameters
    ----------
    working, shape : (n,) ints
        Voxels of the working and of the native grid along each axis, two or three.

    Examples
    --------
    >>> slabs = LabelSlabs((2, 1), (4, 1))
    >>> for start, maps in enumerate(([[[0.0]], [[3.0]]], [[[1.0]], [[0.0]]])):
    ...     slabs.take(Slab(np.array(maps, np.float32), axis=0, start=start, count=1))
    >>> slabs.labels.ravel().tolist()
    [1, 1, 0, 0]
    """

    def __init__(self, working: tuple[int, ...], shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._native = _three(shape)
        self._axes = [cells(n, m) for n, m in zip(_three(working), self._native, strict=True)]
        self._same = working == shape
        self._labels: npt.NDArray[Any] = np.empty(0, np.uint8)
        self._done = 0
        self._last: Floats32 | None = None

    @property
    def labels(self) -> npt.NDArray[Any]:
        """The labels, uint8 or above 256 classes uint16: whole once all slabs were taken."""
        return self._labels.reshape(self._shape)

    def take(self, slab: Slab) -> None:
        """Decide all native planes that the slab makes decidable; one that starts at 0 begins anew.

        Parameters
        ----------
        slab : Slab
            Of finite logits or probabilities, the one that follows the last; of equal maps the lowest class wins.

        Raises
        ------
        OutputError
            If a map holds a value that is not a number.
        """
        n_maps = slab.maps.shape[0]
        if slab.start == 0:
            self._labels = np.empty(self._native, dtype=smallest_integer_type(n_maps - 1))
            self._done, self._last = 0, None
        maps = np.ascontiguousarray(slab.maps, dtype=np.float32).reshape(n_maps, *_three(slab.maps.shape[1:]))
        along = self._axes[slab.axis]
        # native planes between the last slab and this one, then those within this one
        between = int(np.searchsorted(along.lower, slab.start))
        end = int(np.searchsorted(along.upper, slab.stop))
        if self._last is not None and between > self._done:
            pair = np.concatenate([self._last, cut(maps, slab.axis, slice(0, 1))], axis=slab.axis or 1)
            self._decide(pair, slab.axis, slab.start - 1, 2, slice(self._done, between))
        self._decide(maps, slab.axis, slab.start, slab.count, slice(between, end))
        self._done = end
        self._last = cut(maps, slab.axis, slice(slab.count - 1, slab.count)).copy()

    def _decide(self, maps: Floats32, axis: int, start: int, count: int, native: slice) -> None:
        finished = (count, maps.shape[3]) if axis == 0 else (maps.shape[1], count)
        low = winners(maps, *finished)
        labels = self._labels[native] if axis == 0 else self._labels[..., native]
        if self._same:
            labels[:] = low[: finished[0], :, : finished[1]]
            return
        part = self._axes[axis].at(native)
        axes = list(self._axes)
        axes[axis] = Cells(part.lower - start, part.upper - start, part.weight)
        decide(maps, low, (axes[0], axes[1], axes[2]), labels)


def _three(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of three axes: slabs follow each other along the first or the last, so a third goes between."""
    return shape if len(shape) == 3 else (shape[0], 1, shape[1])
