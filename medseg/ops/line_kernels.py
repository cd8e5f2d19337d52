"""Compiled loops of `medseg.ops.line_ends`; imported only when they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled()
def line_ends(array: Any, number: int, axis: int) -> Any:
    """Return first and last place of `number` on each line along `axis` of a 3-D array; -1 where it is absent."""
    n_0, n_1, n_2 = array.shape
    rows = n_1 if axis == 0 else n_0
    columns = n_1 if axis == 2 else n_2
    first = np.full((rows, columns), -1, np.int64)
    last = np.full((rows, columns), -1, np.int64)
    for i in range(n_0):
        for j in range(n_1):
            for k in range(n_2):
                if array[i, j, k] != number:
                    continue
                if axis == 0:
                    row, column, at = j, k, i
                elif axis == 1:
                    row, column, at = i, k, j
                else:
                    row, column, at = i, j, k
                if last[row, column] < 0:
                    first[row, column] = at
                last[row, column] = at
    return first, last
