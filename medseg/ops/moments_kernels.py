"""Compiled loops of `medseg.ops.moments`; imported only when they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled()
def mark(numbers: Any, seen: Any) -> None:
    """Mark which numbers occur."""
    for v in range(numbers.shape[0]):
        seen[numbers[v]] = True


@compiled()
def located(numbers: Any, place: Any, n: int) -> Any:
    """Return voxels, box and sum of coordinates at each place; place 0, the background, stays empty."""
    voxels = np.zeros(n, np.int64)
    start = np.full((n, 3), np.iinfo(np.int64).max, np.int64)
    stop = np.zeros((n, 3), np.int64)
    total = np.zeros((n, 3), np.float64)
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            for k in range(numbers.shape[2]):
                r = place[numbers[i, j, k]]
                if r == 0:
                    continue
                voxels[r] += 1
                total[r, 0] += i
                total[r, 1] += j
                total[r, 2] += k
                start[r, 0] = min(start[r, 0], i)
                stop[r, 0] = i + 1
                start[r, 1] = min(start[r, 1], j)
                stop[r, 1] = max(stop[r, 1], j + 1)
                start[r, 2] = min(start[r, 2], k)
                stop[r, 2] = max(stop[r, 2], k + 1)
    return voxels, start, stop, total


@compiled()
def summarised(numbers: Any, place: Any, values: Any, n: int) -> Any:
    """Return mean, deviation, minimum and maximum of the finite values at each place; NaN where there are none."""
    # deviations are summed from the first value of each id: large offsets would cancel the digits otherwise
    count = np.zeros(n, np.int64)
    base = np.zeros(n, np.float64)
    sums = np.zeros((n, 2), np.float64)
    out = np.full((n, 4), np.nan, np.float64)
    for v in range(numbers.shape[0]):
        r = place[numbers[v]]
        value = float(values[v])
        if r == 0 or not np.isfinite(value):
            continue
        if count[r] == 0:
            base[r] = value
            out[r, 2] = value
            out[r, 3] = value
        count[r] += 1
        moved = value - base[r]
        sums[r, 0] += moved
        sums[r, 1] += moved * moved
        out[r, 2] = min(out[r, 2], value)
        out[r, 3] = max(out[r, 3], value)
    for r in range(n):
        if count[r] > 0:
            mean = sums[r, 0] / count[r]
            out[r, 0] = base[r] + mean
            out[r, 1] = np.sqrt(max(0.0, sums[r, 1] / count[r] - mean * mean))
    return out
