"""Compiled loops of `medseg.ops.separable`; imported only when they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled
from medseg.ops.separable import CUBIC_TAPS


@compiled(sums_in_any_order=True)
def within_planes(  # noqa: PLR0913
    values: Any, y_first: Any, y_weights: Any, x_first: Any, x_weights: Any,
    z_start: int, z_stop: int, y_start: int, y_stop: int, out: Any,
) -> None:  # fmt: skip
    """Write rows `y_start` to `y_stop` of planes `z_start` to `z_stop`: blend old rows, then along the row."""
    row = np.empty(values.shape[2], np.float32)
    for z in range(z_start, z_stop):
        for j in range(y_start, y_stop):
            if y_weights.shape[1] == CUBIC_TAPS:  # a number that the compiler knows lets it unroll
                _blend_cubic(values, z, y_first[j], y_weights[j], row)
            else:
                _blend(values, z, y_first[j], y_weights[j], row)
            for i in range(x_first.shape[0]):
                first = x_first[i]
                total = np.float32(0)
                if x_weights.shape[1] == CUBIC_TAPS:
                    for k in range(CUBIC_TAPS):
                        total += x_weights[i, k] * row[first + k]
                else:
                    for k in range(x_weights.shape[1]):
                        total += x_weights[i, k] * row[first + k]
                out[z, j, i] = total


@compiled(sums_in_any_order=True)
def _blend(values: Any, z: int, first: int, weights: Any, row: Any) -> None:
    for x in range(row.size):
        row[x] = 0
    for k in range(weights.size):
        w = weights[k]
        if w != 0:
            for x in range(row.size):
                row[x] += w * np.float32(values[z, first + k, x])


@compiled(sums_in_any_order=True)
def _blend_cubic(values: Any, z: int, first: int, weights: Any, row: Any) -> None:
    for x in range(row.size):
        row[x] = 0
    for k in range(0, CUBIC_TAPS, 4):  # four old rows at once: the new row goes through memory less often
        a, b, c, d = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        y = first + k
        for x in range(row.size):
            row[x] += (
                a * np.float32(values[z, y, x])
                + b * np.float32(values[z, y + 1, x])
                + c * np.float32(values[z, y + 2, x])
                + d * np.float32(values[z, y + 3, x])
            )


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
