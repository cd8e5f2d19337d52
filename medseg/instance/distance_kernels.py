"""Compiled loops of `medseg.instance.distance`; imported only when they run.

A squared distance splits into one term per axis (Felzenszwalb & Huttenlocher, Distance transforms of sampled functions,
2012). Along a line only the run of one label matters: beyond its ends everything is at least as far as the end itself.
Short runs of small distances are searched outwards, the others by the lower envelope of parabolas. The weights are
whole numbers, so that all sums are exact and a box gives the very distances that the whole image gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled

FAR = 1e30
_NEAR = 16
_BLOCK = 16


@compiled()
def along_rows(labels: Any, squared: Any, start: int, stop: int, weight: float, closed: bool) -> None:
    """Write squared distances along the last axis for planes `start` to `stop` of the padded arrays."""
    _, height, width = labels.shape
    for z in range(start, stop):
        for y in range(1, height - 1):
            x = 1
            while x < width - 1:
                label = labels[z, y, x]
                if label == 0:
                    squared[z, y, x] = 0.0
                    x += 1
                    continue
                first = x
                while x < width - 1 and labels[z, y, x] == label:
                    x += 1
                left = closed or first > 1
                right = closed or x < width - 1
                for k in range(first, x):
                    away = FAR
                    if left:
                        away = float(k - first + 1)
                    if right:
                        away = min(away, float(x - k))
                    squared[z, y, k] = away * away * weight if away < FAR else FAR


@compiled()
def along_columns(labels: Any, squared: Any, low: int, high: int, weight: float, closed: bool) -> None:
    """Add the first axis of two (n, width) planes, rows `low` to `high`; columns are taken in blocks."""
    width = labels.shape[1]
    n = high - low
    held = np.empty((_BLOCK, n), labels.dtype)
    value = np.empty((_BLOCK, n), np.float64)
    found = np.empty(n, np.float64)
    place = np.empty(n + 2, np.int64)
    border = np.empty(n + 3, np.float64)
    height = np.empty(n + 2, np.float64)
    for first in range(1, width - 1, _BLOCK):
        many = min(_BLOCK, width - 1 - first)
        for r in range(n):
            for k in range(many):
                held[k, r] = labels[low + r, first + k]
                value[k, r] = squared[low + r, first + k]
        for k in range(many):
            line(held[k], value[k], found, weight, closed, place, border, height)
            for r in range(n):
                value[k, r] = found[r]
        for r in range(n):
            for k in range(many):
                squared[low + r, first + k] = value[k, r]


@compiled()
def line(
    labels: Any, value: Any, found: Any, weight: float, closed: bool, place: Any, border: Any, height: Any
) -> None:
    """Turn the squared distances along one line into those that may also leave along it."""
    n = labels.shape[0]
    i = 0
    while i < n:
        label = labels[i]
        if label == 0:
            found[i] = 0.0
            i += 1
            continue
        first = i
        most = 0.0
        while i < n and labels[i] == label:
            most = max(most, value[i])
            i += 1
        left = closed or first > 0
        right = closed or i < n
        if left or right:
            half = (i - first + 1) // 2 if left and right else i - first
            most = min(most, half * half * weight)
        if most <= _NEAR * _NEAR * weight:
            search(value, found, first, i, left, right, weight)
        else:
            envelope(value, found, first, i, left, right, weight, place, border, height)


@compiled()
def search(value: Any, found: Any, first: int, stop: int, left: bool, right: bool, weight: float) -> None:
    """Look outwards from each voxel until the step alone is farther than the best found."""
    for k in range(first, stop):
        best = value[k]
        if left:
            best = min(best, (k - first + 1) * (k - first + 1) * weight)
        if right:
            best = min(best, (stop - k) * (stop - k) * weight)
        step = 1
        apart = weight
        while apart < best:
            if k - step >= first:
                best = min(best, value[k - step] + apart)
            if k + step < stop:
                best = min(best, value[k + step] + apart)
            step += 1
            apart = step * step * weight
        found[k] = best


@compiled()
def envelope(  # noqa: PLR0913
    value: Any, found: Any, first: int, stop: int, left: bool, right: bool, weight: float,
    place: Any, border: Any, height: Any,
) -> None:  # fmt: skip
    """Take the lower envelope of one parabola per voxel, and one of height 0 beyond each end."""
    top = -1
    for j in range(first - 1 if left else first, stop + 1 if right else stop):
        h = value[j] if first <= j < stop else 0.0
        if h >= FAR:
            continue
        crossing = -np.inf
        while top >= 0:
            p = place[top]
            crossing = (h - height[top]) / (2.0 * weight * (j - p)) + 0.5 * (j + p)
            if crossing > border[top]:
                break
            top -= 1
        top += 1
        place[top] = j
        height[top] = h
        border[top] = crossing if top > 0 else -np.inf
    if top < 0:
        for k in range(first, stop):
            found[k] = FAR
        return
    border[top + 1] = np.inf
    at = 0
    for k in range(first, stop):
        while border[at + 1] < k:
            at += 1
        away = k - place[at]
        found[k] = away * away * weight + height[at]
