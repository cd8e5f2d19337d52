"""Compiled loops of non-maximum suppression; imported only when they run.

Boxes that stay are entered in a grid over their centres along the last two axes, so that a box is compared only with
those near enough to overlap it. Sums and products are those of `medseg.nets.maskrcnn.boxes.overlaps`, in float32, so
that ties fall alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled

_EPS = np.float32(1.1920929e-07)
_MOST_CELLS = 256
_LOW, _EDGE, _REACH = 0, 1, 2


@compiled()
def kept_boxes(boxes: Any, classes: Any, overlap: float, most: int) -> Any:
    """Return which of (k, 2n) float32 boxes, best first, are the first `most` that stay, as a (k,) bool array."""
    k, n = boxes.shape[0], boxes.shape[1] // 2
    limit = np.float32(overlap)
    spans, cells = _grid(boxes)
    heads = np.full(cells[0] * cells[1], -1, np.int64)
    following = np.full(k, -1, np.int64)
    kept = np.zeros(k, np.bool_)
    n_kept = 0
    for i in range(k):
        if n_kept >= most:
            break
        if _is_beaten(i, boxes, classes, limit, heads, following, spans, cells):
            continue
        kept[i] = True
        n_kept += 1
        at = 0
        for j in range(2):
            start, stop = boxes[i, n - 2 + j], boxes[i, 2 * n - 2 + j]
            spans[_REACH, j] = max(spans[_REACH, j], (stop - start) / 2)
            at = at * cells[j] + _cell((start + stop) / 2, spans[:, j], cells[j])
        following[i] = heads[at]
        heads[at] = i
    return kept


@compiled()
def _is_beaten(
    i: int, boxes: Any, classes: Any, limit: Any, heads: Any, following: Any, spans: Any, cells: Any
) -> bool:
    """Tell whether a box overlaps one that stays too much; a centre can be no further away than `_REACH`."""
    n = boxes.shape[1] // 2
    first = np.empty(2, np.int64)
    last = np.empty(2, np.int64)
    for j in range(2):
        first[j] = _cell(boxes[i, n - 2 + j] - spans[_REACH, j], spans[:, j], cells[j])
        last[j] = _cell(boxes[i, 2 * n - 2 + j] + spans[_REACH, j], spans[:, j], cells[j])
    for a in range(first[0], last[0] + 1):
        for b in range(first[1], last[1] + 1):
            other = heads[a * cells[1] + b]
            while other >= 0:
                if classes[other] == classes[i] and _overlap(boxes, i, other) > limit:
                    return True
                other = following[other]
    return False


@compiled()
def _cell(place: float, span: Any, cells: int) -> int:
    return min(max(int((place - span[_LOW]) / span[_EDGE]), 0), cells - 1)


@compiled()
def _overlap(boxes: Any, i: int, j: int) -> Any:
    n = boxes.shape[1] // 2
    shared = np.float32(1)
    one = np.float32(1)
    other = np.float32(1)
    for axis in range(n):
        start = max(boxes[i, axis], boxes[j, axis])
        stop = min(boxes[i, n + axis], boxes[j, n + axis])
        shared *= max(stop - start, np.float32(0))
        one *= max(boxes[i, n + axis] - boxes[i, axis], np.float32(0))
        other *= max(boxes[j, n + axis] - boxes[j, axis], np.float32(0))
    return shared / (one + other - shared + _EPS)


@compiled()
def _grid(boxes: Any) -> Any:
    """Return origin, cell length and reach (still 0) of a grid over the box centres, and its number of cells."""
    n = boxes.shape[1] // 2
    spans = np.zeros((3, 2), np.float32)
    cells = np.ones(2, np.int64)
    for j in range(2):
        start, stop = boxes[:, n - 2 + j], boxes[:, 2 * n - 2 + j]
        middles = (start + stop) / 2
        length = middles.max() - middles.min()
        spans[_LOW, j] = middles.min()
        spans[_EDGE, j] = max(np.median(stop - start), length / _MOST_CELLS, np.float32(1e-3))
        cells[j] = int(length / spans[_EDGE, j]) + 1
    return spans, cells
