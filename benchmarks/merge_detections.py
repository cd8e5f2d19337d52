"""Joining what a detector found tile by tile: ours against the same joining over all pairs of findings.

    python benchmarks/merge_detections.py [--objects 2000,10000,50000] [--axes 2,3] [--rounds 3] [--threads 1]

Round objects of 10 to 18 voxels lie side by side on a shaken lattice, many of them touching, and are seen in tiles that
share a quarter of their length, so that those near a seam are found twice or more, some of them cut. Both ways answer
with the objects of the image and must give the same ones. "All pairs" differs from ours only in how it finds the boxes
that share something: it compares every box with every other, block by block in numpy.

Seconds are those of the process: what else the machine does does not count.
"""

from __future__ import annotations

import argparse
import sys
from time import process_time
from typing import Any
from unittest.mock import patch

import numpy as np
from side_by_side import compare, describe, set_threads

GAP = 16.0
TILE = {2: 480, 3: 64}
CELLS = 14
ROWS = 256


def scene(count: int, n_axes: int) -> tuple[list[Any], tuple[int, ...]]:
    """Return the tiles with their findings, and the shape of the image."""
    from medseg.detection.found import Found, Part
    from medseg.detection.merge import Tile
    from medseg.ops.tiles import tiles

    rng = np.random.default_rng(count + n_axes)
    side = round(count ** (1 / n_axes))
    shape = (int(side * GAP),) * n_axes
    centres = (np.indices((side,) * n_axes).reshape(n_axes, -1).T + 0.5) * GAP + rng.uniform(-2, 2, (side**n_axes, 1))
    radii = rng.uniform(5.0, 9.0, len(centres))
    scores = rng.uniform(0.3, 1.0, len(centres))
    ball = sum((g - CELLS / 2 + 0.5) ** 2 for g in np.indices((CELLS,) * n_axes)) <= (CELLS / 2) ** 2
    grid = ball.astype(np.float16)
    boxes = tiles(shape, (min(TILE[n_axes], shape[0]),) * n_axes, 0.25)
    found = []
    for box in boxes:
        low, high = np.array([b.start for b in box]), np.array([b.stop for b in box])
        seen = np.flatnonzero(((centres > low) & (centres < high)).all(axis=1))
        # each tile sees the same object a little differently; its faces cut what reaches beyond
        shift = rng.normal(0, 0.2, (len(seen), n_axes))
        starts = np.clip(centres[seen] - radii[seen, None] + shift, low, high)
        stops = np.clip(centres[seen] + radii[seen, None] + shift, low, high)
        own = zip(starts, stops, scores[seen].tolist(), strict=True)
        found.append(Tile(box, tuple(Found((Part(a, b, grid),), 1, s) for a, b, s in own)))
    return found, shape


def all_pairs(starts: Any, stops: Any) -> Any:
    """Return the pairs of boxes that share something by comparing all with all."""
    pairs = [np.zeros((0, 2), np.int64)]
    for begin in range(0, len(starts), ROWS):
        rows = slice(begin, begin + ROWS)
        near = np.ones((len(starts[rows]), len(starts)), np.bool_)
        for axis in range(starts.shape[1]):
            near &= starts[rows, None, axis] < stops[None, :, axis]
            near &= starts[None, :, axis] < stops[rows, None, axis]
        one, two = np.nonzero(near)
        pairs.append(np.stack([one + begin, two], axis=1)[one + begin < two])
    return np.concatenate(pairs)


def merged(tiles: list[Any], shape: tuple[int, ...]) -> list[Any]:
    from medseg.detection.merge import merged_steps
    from medseg.progress import finish

    return finish(merged_steps(tiles, shape))


def over_all_pairs(tiles: list[Any], shape: tuple[int, ...]) -> list[Any]:
    from medseg.detection import merge

    with patch.object(merge, "sharing_pairs", all_pairs):
        return merged(tiles, shape)


def agreement(found: list[Any], expected: list[Any]) -> str:
    same = len(found) == len(expected) and all(a is b or a == b for a, b in zip(found, expected, strict=True))
    return f"the same {len(found)} objects" if same else f"DIFFERENT: {len(found)} and {len(expected)} objects"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", default="2000,10000,50000")
    parser.add_argument("--axes", default="2,3")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    set_threads(chosen.threads)
    describe(chosen.threads, "numpy")
    for n_axes in map(int, chosen.axes.split(",")):
        for count in map(int, chosen.objects.split(",")):
            tiles, shape = scene(count, n_axes)
            findings = sum(len(t.found) for t in tiles)
            ways = {
                "ours": lambda tiles=tiles, shape=shape: merged(tiles, shape),
                "all pairs": lambda tiles=tiles, shape=shape: over_all_pairs(tiles, shape),
            }
            title = f"{count} objects, {n_axes}-D, {findings} findings in {len(tiles)} tiles"
            compare(title, ways, agreement, chosen.rounds, clock=process_time)
    return 0


if __name__ == "__main__":
    sys.exit(main())
