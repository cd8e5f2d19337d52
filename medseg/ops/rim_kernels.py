"""The compiled loop of `medseg.ops.rim`; imported only when it runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled()
def count(maps: Any, far: Any, start: int, stop: int, sums: Any, counts: Any) -> None:
    """Add p (1 - p) and the voxels won of each class in planes `start` to `stop`; sure voxels cost no exponential."""
    n_x = maps.shape[3]
    best = np.empty(n_x, np.float32)
    winner = np.empty(n_x, np.intp)
    near = np.empty(n_x, np.intp)
    shares = np.empty(maps.shape[0], np.float64)
    for z in range(start, stop):
        for y in range(maps.shape[2]):
            _winners(maps, z, y, best, winner)
            _rivals(maps, z, y, far, best, near)
            for x in range(n_x):
                counts[z, winner[x]] += 1
                if near[x] > 1:
                    _add_shares(maps[:, z, y, x], far, best[x], shares, sums[z])


@compiled()
def _winners(maps: Any, z: int, y: int, best: Any, winner: Any) -> None:
    for x in range(best.size):
        best[x] = maps[0, z, y, x]
        winner[x] = 0
    for c in range(1, maps.shape[0]):  # classes outside: the rows of one map are read in order
        for x in range(best.size):
            value = maps[c, z, y, x]
            if value > best[x]:
                best[x] = value
                winner[x] = c


@compiled()
def _rivals(maps: Any, z: int, y: int, far: Any, best: Any, near: Any) -> None:
    near[:] = 0
    for c in range(maps.shape[0]):
        for x in range(best.size):
            near[x] += maps[c, z, y, x] - best[x] > -far


@compiled()
def _add_shares(values: Any, far: Any, best: Any, shares: Any, sums: Any) -> None:
    total = 0.0
    for c in range(values.size):
        below = values[c] - best
        shares[c] = np.exp(np.float64(below)) if below > -far else 0.0
        total += shares[c]
    for c in range(values.size):
        share = shares[c] / total
        sums[c] += share * (1 - share)
