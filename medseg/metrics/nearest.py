"""The exact distance from each voxel of one set to the nearest voxel of another, on an anisotropic grid.

A squared distance splits into one term per axis (Felzenszwalb & Huttenlocher, Distance transforms of sampled functions,
2012): the last axis takes two sweeps, the middle one a lower envelope of parabolas. The first axis is only looked at
from the voxels that ask, outwards until the axis alone is farther than the best found, which for two surfaces that
nearly agree is a few steps.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

_FAR = 1e30


def nearest_distances(
    asking: npt.NDArray[np.bool_], targets: npt.NDArray[np.bool_], spacing: tuple[float, ...]
) -> npt.NDArray[np.float64]:
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
    if asking.ndim == 2:
        asking, targets, spacing = asking[None], targets[None], (1.0, *spacing)
    partial = _squared_in_planes(np.ascontiguousarray(targets), spacing[1], spacing[2])
    points = np.argwhere(asking)
    return np.sqrt(_across_planes(partial, points, spacing[0]))


@numba.njit(cache=True)
def _squared_in_planes(targets, step_1, step_2):  # type: ignore[no-untyped-def]
    n_0, n_1, n_2 = targets.shape
    squared = np.empty((n_0, n_1, n_2), np.float64)
    place = np.empty(n_1, np.int64)
    border = np.empty(n_1 + 1, np.float64)
    height = np.empty(n_1, np.float64)
    for i in range(n_0):
        occupied = False
        for j in range(n_1):
            occupied |= _sweep(targets[i, j], squared[i, j], step_2)
        if occupied:
            for k in range(n_2):
                _envelope(squared[i], k, step_1, place, border, height)
    return squared


@numba.njit(cache=True)
def _sweep(line, out, step):  # type: ignore[no-untyped-def]
    n = line.shape[0]
    last = -1
    for k in range(n):
        if line[k]:
            last = k
        out[k] = _FAR if last < 0 else ((k - last) * step) ** 2
    if last < 0:
        return False
    following = -1
    for k in range(n - 1, -1, -1):
        if line[k]:
            following = k
        if following >= 0:
            out[k] = min(out[k], ((following - k) * step) ** 2)
    return True


@numba.njit(cache=True)
def _envelope(plane, k, step, place, border, height):  # type: ignore[no-untyped-def]
    n = plane.shape[0]
    top = -1
    for j in range(n):
        value = plane[j, k]
        height[j] = value
        if value >= _FAR:
            continue
        crossing = -np.inf
        while top >= 0:
            p = place[top]
            crossing = ((value - height[p]) / (step * step) + j * j - p * p) / (2.0 * (j - p))
            if crossing > border[top]:
                break
            top -= 1
        top += 1
        place[top] = j
        border[top] = crossing if top > 0 else -np.inf
    if top < 0:
        return
    border[top + 1] = np.inf
    at = 0
    for j in range(n):
        while border[at + 1] < j:
            at += 1
        plane[j, k] = ((j - place[at]) * step) ** 2 + height[place[at]]


@numba.njit(cache=True)
def _across_planes(squared, points, step):  # type: ignore[no-untyped-def]
    n_0 = squared.shape[0]
    out = np.empty(points.shape[0], np.float64)
    for q in range(points.shape[0]):
        i, j, k = points[q, 0], points[q, 1], points[q, 2]
        best = squared[i, j, k]
        for away in range(1, n_0):
            apart = (away * step) ** 2
            if apart >= best:
                break
            if i >= away:
                best = min(best, squared[i - away, j, k] + apart)
            if i + away < n_0:
                best = min(best, squared[i + away, j, k] + apart)
        out[q] = best
    return out
