"""Compiled loops of `medseg.ops.feret`; imported only when they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled()
def farthest(points: Any, starts: Any) -> Any:
    """Return, for each run of `points` between two of `starts`, the largest distance between two of its points."""
    n, axes = len(starts) - 1, points.shape[1]
    out = np.zeros(n)
    for group in range(n):
        best = 0.0
        for i in range(starts[group], starts[group + 1]):
            for j in range(i + 1, starts[group + 1]):
                square = 0.0
                for axis in range(axes):
                    gap = points[i, axis] - points[j, axis]
                    square += gap * gap
                best = max(best, square)
        out[group] = np.sqrt(best)
    return out
