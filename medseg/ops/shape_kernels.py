"""Compiled loops of `medseg.ops.shape`, and of `medseg.ops.hull` in the plane; imported only when they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled()
def crossed(numbers: Any, place: Any, steps: Any, n: int) -> Any:
    """Return how often a walk along each direction leaves each object, both ways counted; place 0 stays empty."""
    ni, nj, nk = numbers.shape
    out = np.zeros((n, steps.shape[0]), np.int64)
    flat = numbers.reshape(-1)
    ways = (steps[:, 0] * nj + steps[:, 1]) * nk + steps[:, 2]
    reach = 1 if ni > 1 or np.abs(steps[:, 0]).max() > 0 else 0  # the planes of an image have no neighbours to miss
    for i in range(ni):
        for j in range(nj):
            line = reach <= i < ni - reach and 0 < j < nj - 1
            for k in range(nk):
                number = numbers[i, j, k]
                r = place[number]
                if r == 0:
                    continue
                if line and 0 < k < nk - 1:
                    v = (i * nj + j) * nk + k
                    for d in range(ways.shape[0]):
                        out[r, d] += int(flat[v + ways[d]] != number) + int(flat[v - ways[d]] != number)
                else:
                    _crossed_at_edge(numbers, i, j, k, steps, out[r])
    return out


@compiled()
def _crossed_at_edge(numbers: Any, i: int, j: int, k: int, steps: Any, row: Any) -> None:
    """Count for a voxel at the edge of the image, whose neighbours may be missing."""
    ni, nj, nk = numbers.shape
    for d in range(steps.shape[0]):
        for side in (-1, 1):
            a = i + side * steps[d, 0]
            b = j + side * steps[d, 1]
            c = k + side * steps[d, 2]
            inside = 0 <= a < ni and 0 <= b < nj and 0 <= c < nk
            if not inside or numbers[a, b, c] != numbers[i, j, k]:
                row[d] += 1


@compiled()
def spread(numbers: Any, place: Any, centroid: Any) -> Any:
    """Return the sums of products of coordinates about the centroid at each place: ii, jj, kk, ij, ik, jk."""
    out = np.zeros((centroid.shape[0], 6), np.float64)
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            for k in range(numbers.shape[2]):
                r = place[numbers[i, j, k]]
                if r == 0:
                    continue
                x = i - centroid[r, 0]
                y = j - centroid[r, 1]
                z = k - centroid[r, 2]
                out[r, 0] += x * x
                out[r, 1] += y * y
                out[r, 2] += z * z
                out[r, 3] += x * y
                out[r, 4] += x * z
                out[r, 5] += y * z
    return out


@compiled()
def profiles(numbers: Any, place: Any, first: Any, start: Any, low: Any, high: Any) -> None:
    """Write the lowest and highest column of each row of each object; row 0 of place r stands at ``first[r]``."""
    for j in range(numbers.shape[0]):
        for k in range(numbers.shape[1]):
            r = place[numbers[j, k]]
            if r > 0:
                at = first[r] + j - start[r]
                low[at] = min(low[at], k)
                high[at] = max(high[at], k)


@compiled()
def _envelope(values: Any, sign: int, stack: Any, out: Any) -> None:
    """Write, for every row, the innermost whole column of the convex hull of one side's columns."""
    top = 0
    absent = np.iinfo(np.int64).max
    for row in range(len(values)):
        if abs(values[row]) == absent:
            continue
        while top > 1:
            a, b = stack[top - 2], stack[top - 1]
            turn = (values[b] - values[a]) * (row - a) - (values[row] - values[a]) * (b - a)
            if sign * turn < 0:
                break
            top -= 1
        stack[top] = row
        top += 1
    for edge in range(max(top - 1, 1)):
        a, b = stack[edge], stack[min(edge + 1, top - 1)]
        for row in range(a, b + 1):
            rise = 0 if b == a else (values[b] - values[a]) * (row - a)
            wide = max(b - a, 1)
            # whole columns on the inner side: up on the low side, down on the high side
            out[row] = values[a] + (-((-rise) // wide) if sign > 0 else rise // wide)


@compiled()
def hull_pixels(first: Any, low: Any, high: Any, longest: int) -> Any:
    """Return how many pixels have their centre in the convex hull of each object's pixel centres, exactly."""
    n = len(first) - 1
    out = np.zeros(n, np.int64)
    stack = np.zeros(longest, np.int64)
    left = np.zeros(longest, np.int64)
    right = np.zeros(longest, np.int64)
    for r in range(n):
        rows = first[r + 1] - first[r]
        _envelope(low[first[r] : first[r + 1]], 1, stack, left)
        _envelope(high[first[r] : first[r + 1]], -1, stack, right)
        for row in range(rows):
            out[r] += max(0, right[row] - left[row] + 1)
    return out
