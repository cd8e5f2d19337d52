"""The exact distance from each voxel of one set to the nearest voxel of another, on an anisotropic grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.ops.compiled import kernels, over_slabs

_WORTH_THREADS = 2_000_000

Mask = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float64]


def nearest_distances(asking: Mask, targets: Mask, spacing: tuple[float, ...]) -> Distances:
    """Return how far each voxel of `asking` lies from the nearest voxel of `targets`.

    Parameters
    ----------
    asking, targets : (n, m) or (n, m, l) bool arrays of one shape
        `targets` holds at least one voxel.
    spacing : tuple of float
        Distance between voxels along each axis.

    Returns
    -------
    (k,) float64 array
        One distance per voxel of `asking`, in C order, in the unit of `spacing`.

    Examples
    --------
    >>> nearest_distances(np.array([[True, False]]), np.array([[False, True]]), (1.0, 3.0)).tolist()
    [3.0]
    """
    loops = kernels("nearest_kernels")
    if loops is None:
        return _slower(asking, targets, spacing)
    if asking.ndim == 2:
        asking, targets, spacing = asking[None], targets[None], (1.0, *spacing)
    targets = np.ascontiguousarray(targets)
    squared = np.empty(targets.shape, np.float64)

    def within(start: int, stop: int) -> None:
        loops.squared_in_planes(targets[start:stop], spacing[1], spacing[2], squared[start:stop])

    if targets.size < _WORTH_THREADS:
        within(0, len(targets))
    else:
        over_slabs(within, len(targets))
    found: Distances = np.sqrt(loops.across_planes(squared, np.argwhere(asking), spacing[0]))
    return found


def _slower(asking: Mask, targets: Mask, spacing: tuple[float, ...]) -> Distances:
    from scipy import ndimage

    distances: Distances = ndimage.distance_transform_edt(~targets, sampling=spacing)
    return distances[asking]
