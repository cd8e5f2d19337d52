"""Compiled loops that compare two masks, each on a regular grid over its own box; imported only when they run.

Between the centres of a grid's cells values are interpolated linearly, one axis after the other, beyond the outer ones
they stay as they are. An image of two axes is a volume of one slice here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled()
def shared_shares(starts: Any, stops: Any, masks: Any, pairs: Any, points: Any, inside: float) -> Any:
    """Return for each pair at which share of the points over the box that both share both masks are inside.

    Parameters
    ----------
    starts, stops : (k, 3) float32 arrays
    masks : (k, m, m, m) float32 array
    pairs : (p, 2) int64 array
    points : (3,) int64 array
        Per axis, in the middle of equal parts.
    inside : float
        A mask is inside where it is above.
    """
    found = np.zeros(len(pairs), np.float32)
    cells = np.empty((2, 3, points.max()), np.int64)
    weights = np.empty((2, 3, points.max()), np.float32)
    limit = np.float32(inside)
    for p in range(len(pairs)):
        empty = False
        for axis in range(3):
            a, b = pairs[p, 0], pairs[p, 1]
            low = max(starts[a, axis], starts[b, axis])
            extent = min(stops[a, axis], stops[b, axis]) - low
            empty = empty or extent <= 0
            for side in range(2):
                own = pairs[p, side]
                length = max(stops[own, axis] - starts[own, axis], np.float32(1e-6))
                for i in range(points[axis]):
                    at = low + np.float32((i + 0.5) / points[axis]) * extent
                    _place(at - starts[own, axis], length, masks.shape[1 + axis], cells, weights, side, axis, i)
        if not empty:
            found[p] = _both(masks[pairs[p, 0]], masks[pairs[p, 1]], cells, weights, points, limit)
    return found


@compiled()
def _place(way: Any, length: Any, n: int, cells: Any, weights: Any, side: int, axis: int, i: int) -> None:
    """Note the lower of the two cells that a point lies between, and the weight of the upper one."""
    place = min(max(way / length * n - np.float32(0.5), np.float32(0)), np.float32(n - 1))
    below = min(int(place), max(n - 2, 0))
    cells[side, axis, i] = below
    weights[side, axis, i] = place - below if n > 1 else np.float32(0)


@compiled()
def _both(one: Any, two: Any, cells: Any, weights: Any, points: Any, limit: Any) -> float:
    planes = np.empty((2, *one.shape[1:]), np.float32)
    rows = np.empty((2, one.shape[2]), np.float32)
    count = 0
    for i in range(points[0]):
        for side, mask in enumerate((one, two)):
            low, share = cells[side, 0, i], weights[side, 0, i]
            high = min(low + 1, mask.shape[0] - 1)
            for y in range(mask.shape[1]):
                for x in range(mask.shape[2]):
                    planes[side, y, x] = (1 - share) * mask[low, y, x] + share * mask[high, y, x]
        for j in range(points[1]):
            for side in range(2):
                low, share = cells[side, 1, j], weights[side, 1, j]
                high = min(low + 1, planes.shape[1] - 1)
                for x in range(planes.shape[2]):
                    rows[side, x] = (1 - share) * planes[side, low, x] + share * planes[side, high, x]
            for k in range(points[2]):
                if _at(rows, cells, weights, 0, k) > limit and _at(rows, cells, weights, 1, k) > limit:
                    count += 1
    return count / points.prod()


@compiled()
def _at(rows: Any, cells: Any, weights: Any, side: int, k: int) -> Any:
    low, share = cells[side, 2, k], weights[side, 2, k]
    high = min(low + 1, rows.shape[1] - 1)
    return (1 - share) * rows[side, low] + share * rows[side, high]
