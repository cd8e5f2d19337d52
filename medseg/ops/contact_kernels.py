"""Compiled loop of `medseg.ops.contact`; imported only when it runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled


@compiled()
def _note(a: int, b: int, n: int, last: Any, axis: int, found: Any, count: int) -> int:
    """Note a pair that is not that of the face before along this axis: two objects meet along many faces in a row."""
    pair = min(a, b) * n + max(a, b)
    if pair == last[axis]:
        return count
    last[axis] = pair
    found[count] = pair
    return count + 1


@compiled()
def meetings(numbers: Any, place: Any, n: int) -> Any:
    """Return the pairs of objects that share a face as smaller place * n + larger place, some of them repeated."""
    ni, nj, nk = numbers.shape
    found = np.empty(1024, np.int64)
    count = 0
    last = np.full(3, -1, np.int64)
    for i in range(ni):
        for j in range(nj):
            if count + 3 * nk > found.size:
                larger = np.empty(2 * (count + 3 * nk), np.int64)
                larger[:count] = found[:count]
                found = larger
            for k in range(nk):
                here = numbers[i, j, k]
                if here == 0:
                    continue
                if k + 1 < nk and numbers[i, j, k + 1] != here and numbers[i, j, k + 1] != 0:
                    count = _note(place[here], place[numbers[i, j, k + 1]], n, last, 2, found, count)
                if j + 1 < nj and numbers[i, j + 1, k] != here and numbers[i, j + 1, k] != 0:
                    count = _note(place[here], place[numbers[i, j + 1, k]], n, last, 1, found, count)
                if i + 1 < ni and numbers[i + 1, j, k] != here and numbers[i + 1, j, k] != 0:
                    count = _note(place[here], place[numbers[i + 1, j, k]], n, last, 0, found, count)
    return found[:count]
