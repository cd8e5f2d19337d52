"""How much of an image the tiles of its mosaic leave bare: what no tile covers reads as 0, and is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from medseg.io.czi_container import Tile

_MOST_TILES = 2000
"""Of planes with more tiles only the sum of their areas is looked at, which counts places where they overlap twice."""


def bare_share(planes: Iterable[Sequence[Tile]], height: int, width: int) -> float:
    """Return the share of the pixels of some planes that no tile covers.

    Parameters
    ----------
    planes : iterable of sequences of Tile
        The tiles of each plane.
    height, width : int
        Of a plane, which all its tiles lie in.
    """
    known: dict[bytes, int] = {}  # most planes are laid out alike
    n_bare = n_planes = 0
    for tiles in planes:
        boxes = np.array([(t.start[a], t.start[a] + t.size[a]) for t in tiles for a in "YX"], np.int64).reshape(-1, 4)
        key = boxes.tobytes()
        if key not in known:
            known[key] = height * width - _covered(boxes)
        n_bare, n_planes = n_bare + max(0, known[key]), n_planes + 1
    return n_bare / (height * width * n_planes) if n_planes else 0.0


def _covered(boxes: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> int:
    """Return the area of a union of boxes (top, bottom, left, right), strip by strip."""
    if len(boxes) > _MOST_TILES:
        return int(((boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])).sum())
    boxes = boxes[np.argsort(boxes[:, 2], kind="stable")]
    area = 0
    for top, bottom in pairwise(np.unique(boxes[:, :2]).tolist()):
        lines = boxes[(boxes[:, 0] <= top) & (boxes[:, 1] > top), 2:]
        reach = np.maximum.accumulate(lines[:, 1])
        begin = np.maximum(lines[:, 0], np.append(lines[:1, 0], reach[:-1]))
        area += (bottom - top) * int(np.maximum(0, lines[:, 1] - begin).sum())
    return area
