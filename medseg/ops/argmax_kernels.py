"""Compiled loops of `medseg.ops.argmax`; imported only when they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled()
def argmax(maps: Any, start: int, stop: int, n_x: int, labels: Any, broken: Any) -> None:
    """Write the first highest class of planes `start` to `stop`, columns below `n_x`; mark planes with bad values."""
    n_classes, _, n_y, _ = maps.shape
    best = np.empty(n_x, np.float32)
    for z in range(start, stop):
        bad = False
        for y in range(n_y):
            for x in range(n_x):
                best[x] = maps[0, z, y, x]
                bad |= not np.isfinite(best[x])
            for c in range(1, n_classes):
                for x in range(n_x):
                    value = maps[c, z, y, x]
                    bad |= not np.isfinite(value)
                    if value > best[x]:
                        best[x] = value
                        labels[z, y, x] = c
        broken[z] = bad


@compiled()
def fill(  # noqa: PLR0913
    maps: Any, low: Any,
    z_lower: Any, z_upper: Any, z_weight: Any,
    y_lower: Any, y_upper: Any, y_weight: Any,
    x_lower: Any, x_upper: Any, x_weight: Any,
    start: int, stop: int, labels: Any,
) -> None:  # fmt: skip
    """Write native planes `start` to `stop`: the agreed class, or the highest map where the neighbours differ."""
    n_x = labels.shape[2]
    open_ = np.empty(n_x, np.intp)
    best = np.empty(n_x, np.float32)
    found = np.empty(n_x, labels.dtype)
    for z in range(start, stop):
        z0, z1, wz = z_lower[z], z_upper[z], z_weight[z]
        for y in range(labels.shape[1]):
            y0, y1, wy = y_lower[y], y_upper[y], y_weight[y]
            n_open = 0
            for x in range(n_x):
                x0, x1 = x_lower[x], x_upper[x]
                q = low[z0, y0, x0]
                labels[z, y, x] = q
                if (
                    low[z0, y0, x1] != q or low[z0, y1, x0] != q or low[z0, y1, x1] != q or low[z1, y0, x0] != q
                    or low[z1, y0, x1] != q or low[z1, y1, x0] != q or low[z1, y1, x1] != q
                ):  # fmt: skip
                    open_[n_open] = x
                    n_open += 1
            if n_open == 0:
                continue
            for c in range(maps.shape[0]):  # classes outside: the rows of one map are read in order
                for i in range(n_open):
                    x = open_[i]
                    x0, x1, wx = x_lower[x], x_upper[x], x_weight[x]
                    a = maps[c, z0, y0, x0] + wx * (maps[c, z0, y0, x1] - maps[c, z0, y0, x0])
                    b = maps[c, z0, y1, x0] + wx * (maps[c, z0, y1, x1] - maps[c, z0, y1, x0])
                    near = a + wy * (b - a)
                    a = maps[c, z1, y0, x0] + wx * (maps[c, z1, y0, x1] - maps[c, z1, y0, x0])
                    b = maps[c, z1, y1, x0] + wx * (maps[c, z1, y1, x1] - maps[c, z1, y1, x0])
                    far = a + wy * (b - a)
                    value = near + wz * (far - near)
                    if c == 0 or value > best[i]:
                        best[i] = value
                        found[i] = c
            for i in range(n_open):
                labels[z, y, open_[i]] = found[i]
