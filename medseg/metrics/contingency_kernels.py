"""Compiled loop of `medseg.metrics.contingency`; imported only when it runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled()
def slot(table: Any, a: int, b: int) -> int:
    """Return where the pair stands in an open hash table, or the free place where it belongs."""
    mask = table.shape[0] - 1
    at = (a * 0x9E3779B1 + b * 0x85EBCA77) & mask
    while table[at, 2] != 0 and (table[at, 0] != a or table[at, 1] != b):
        at = (at + 1) & mask
    return at


@compiled()
def count_pairs(first: Any, second: Any, start: int, stop: int) -> Any:
    """Return (a, b, count) of every pair of numbers that some voxel holds, but not (0, 0), in no order.

    Neighbouring voxels mostly hold the same pair: runs are counted, and the table is asked once per run.
    """
    table = np.zeros((1024, 3), np.int64)
    used = 0
    i = start
    while i < stop:
        a, b = first[i], second[i]
        run = i
        while i < stop and first[i] == a and second[i] == b:
            i += 1
        if a == 0 and b == 0:
            continue
        at = slot(table, np.int64(a), np.int64(b))
        if table[at, 2] == 0:
            table[at, 0], table[at, 1] = a, b
            used += 1
        table[at, 2] += i - run
        if 2 * used > table.shape[0]:
            larger = np.zeros((4 * table.shape[0], 3), np.int64)
            for row in range(table.shape[0]):
                if table[row, 2] != 0:
                    larger[slot(larger, table[row, 0], table[row, 1])] = table[row]
            table = larger
    found = np.empty((used, 3), np.int64)
    n = 0
    for row in range(table.shape[0]):
        if table[row, 2] != 0:
            found[n] = table[row]
            n += 1
    return found
