"""Compiled loops of `medseg.ops.nearest`; imported only when they run.

A squared distance splits into one term per axis (Felzenszwalb & Huttenlocher, Distance transforms of sampled functions,
2012): the last axis takes two sweeps, the middle one a lower envelope of parabolas. The first axis is only looked at
from the voxels that ask, outwards until the axis alone is farther than the best found: for two surfaces that nearly
agree that is a few steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled

_FAR = 1e30


@compiled()
def sweep(line: Any, out: Any, step: float) -> bool:
    """Write squared distances along one line; tell whether it holds a target."""
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


@compiled()
def envelope(plane: Any, k: int, step: float, place: Any, border: Any, height: Any) -> None:
    """Turn column `k` of squared distances along rows into those within the plane.

    Each row opens a parabola; `place` and `border` hold those of the lower envelope and where they begin.
    """
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


@compiled()
def squared_in_planes(targets: Any, step_1: float, step_2: float, squared: Any) -> None:
    """Write the squared distance of each voxel to the nearest target of its own plane."""
    n_0, n_1, n_2 = targets.shape
    place = np.empty(n_1, np.int64)
    border = np.empty(n_1 + 1, np.float64)
    height = np.empty(n_1, np.float64)
    for i in range(n_0):
        occupied = False
        for j in range(n_1):
            occupied |= sweep(targets[i, j], squared[i, j], step_2)
        if occupied:
            for k in range(n_2):
                envelope(squared[i], k, step_1, place, border, height)


@compiled()
def across_planes(squared: Any, points: Any, step: float) -> Any:
    """Return the squared distance of each point to the nearest target of any plane."""
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
