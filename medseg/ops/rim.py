"""How wide the rim is in which a network hesitates, for each class; summed up slab by slab, no map of it is made."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.ops.compiled import kernels, over_slabs

FAR = 12.0
"""A class whose logit is this much below the highest has a share below 1e-5, which is not counted."""

Floats = npt.NDArray[np.floating[Any]]


class Rim(NamedTuple):
    """What was found of one class.

    ``n_voxels`` is how many it won, ``width`` how wide its rim is, in voxels; 0 where it won none.
    """

    n_voxels: int
    width: float


class Rims:
    """Sums over any number of slabs that together are an image, in any order.

    With the share p of a class in a voxel, the sum of p (1 - p) grows with the outline and with how blurred the
    network sees it. Divided by the size of an outline, that is the number of voxels to the power of 2/3 (in the plane
    1/2), it is a width in voxels that does not depend on the size of the structure.

    Parameters
    ----------
    n_classes : int
        Maps, the background among them.

    Examples
    --------
    >>> rims = Rims(2)
    >>> rims.add(np.array([[[9.0, 0.0]], [[0.0, 0.0]]], dtype=np.float32))
    >>> rims.result()[0].n_voxels
    2
    """

    def __init__(self, n_classes: int) -> None:
        self._sums = np.zeros(n_classes)
        self._counts = np.zeros(n_classes, dtype=np.int64)
        self._n_axes = 0

    def add(self, maps: Floats) -> None:
        """Count the voxels of a slab.

        Parameters
        ----------
        maps : (c, *planes) float array
            Finite logits; of equal ones the first wins.
        """
        self._n_axes = maps.ndim - 1
        solid = np.asarray(maps, dtype=np.float32).reshape(maps.shape[0], *(1,) * (4 - maps.ndim), *maps.shape[1:])
        n_classes, n_planes = solid.shape[:2]
        loops = kernels("rim_kernels")
        sums, counts = np.zeros((n_planes, n_classes)), np.zeros((n_planes, n_classes), dtype=np.int64)
        if loops is None:
            for k in range(n_planes):
                _count(solid[:, k], sums[k], counts[k])
        else:
            over_slabs(lambda start, stop: loops.count(solid, np.float32(FAR), start, stop, sums, counts), n_planes)
        self._sums += sums.sum(axis=0)
        self._counts += counts.sum(axis=0)

    def result(self) -> tuple[Rim, ...]:
        """Return what was found of each class, the background first."""
        power = (self._n_axes - 1) / max(self._n_axes, 1)
        return tuple(
            Rim(int(n), float(total / n**power) if n else 0.0)
            for n, total in zip(self._counts, self._sums, strict=True)
        )


def _count(maps: npt.NDArray[np.float32], sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> None:
    counts += np.bincount(maps.argmax(axis=0).ravel(), minlength=len(counts))
    below = maps - maps.max(axis=0)
    shares = np.where(below > -FAR, np.exp(below, dtype=np.float64), 0.0)
    shares /= shares.sum(axis=0)
    sums += (shares * (1 - shares)).sum(axis=(1, 2))
