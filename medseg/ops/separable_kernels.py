"""Compiled loops of `medseg.ops.separable`; imported only when they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled(sums_in_any_order=True)
def within_planes(  # noqa: PLR0913
    values: Any, y_first: Any, y_weights: Any, x_first: Any, x_weights: Any,
    z_start: int, z_stop: int, y_start: int, y_stop: int, out: Any,
) -> None:  # fmt: skip
    """Write rows `y_start` to `y_stop` of planes `z_start` to `z_stop`: blend old rows, then along the row."""
    n_x = values.shape[2]
    row = np.empty(n_x, np.float32)
    for z in range(z_start, z_stop):
        for j in range(y_start, y_stop):
            for x in range(n_x):
                row[x] = 0
            for k in range(y_weights.shape[1]):
                w = y_weights[j, k]
                y = y_first[j] + k
                if w != 0:
                    for x in range(n_x):
                        row[x] += w * np.float32(values[z, y, x])
            for i in range(x_first.shape[0]):
                total = np.float32(0)
                first = x_first[i]
                for k in range(x_weights.shape[1]):
                    total += x_weights[i, k] * row[first + k]
                out[z, j, i] = total


@compiled(sums_in_any_order=True)
def along_planes(values: Any, z_first: Any, z_weights: Any, y_start: int, y_stop: int, out: Any) -> None:
    """Write rows `y_start` to `y_stop` of every new plane: blend the same row of old planes."""
    n_x = values.shape[2]
    row = np.empty(n_x, np.float32)
    for y in range(y_start, y_stop):
        for i in range(z_first.shape[0]):
            for x in range(n_x):
                row[x] = 0
            for k in range(z_weights.shape[1]):
                w = z_weights[i, k]
                z = z_first[i] + k
                if w != 0:
                    for x in range(n_x):
                        row[x] += w * np.float32(values[z, y, x])
            for x in range(n_x):
                out[i, y, x] = row[x]
