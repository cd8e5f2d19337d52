"""Which object is which: ours against a dense table with one assignment per threshold, and scikit-image's table.

    python benchmarks/instance_matching.py [--shapes 2048x2048,128x512x512] [--objects 5000] [--rounds 3] [--threads 1]

Every way goes from two label images to the number of matches at IoU .5 to .95. "Dense table" fills one cell per pair of
objects in a compiled loop and solves one assignment per threshold, as Cellpose does; scikit-image's contingency table
is sparse, and the matches are read off it as ours are.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from typing import Any

from side_by_side import compare, describe, set_threads

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))


def pair(shape: tuple[int, ...], n: int) -> tuple[Any, Any]:
    """Return a lattice of about `n` blocks, and the same moved, with every seventh gone."""
    import numpy as np

    side = max(3, int((np.prod(shape) / n) ** (1 / len(shape))))
    axes = np.ogrid[tuple(slice(0, s) for s in shape)]
    number, inside = 0, True
    for axis, length in zip(axes, shape, strict=True):
        number = number * (length // side + 1) + axis // side
        inside = inside & (axis % side > side // 8)
    truth = np.where(inside, number + 1, 0).astype(np.int32)
    found = np.roll(truth, (1,) * len(shape), tuple(range(len(shape))))
    return np.where(found % 7 == 0, 0, found), truth


def ours(found: Any, truth: Any) -> list[int]:
    from medseg.grid import image_grid
    from medseg.labels import Instances
    from medseg.metrics.contingency import contingency
    from medseg.metrics.matching import match

    grid = image_grid(truth.shape, (1.0,) * truth.ndim, "px")
    table = contingency(Instances(found, grid), Instances(truth, grid))
    return [len(match(table, t).rows) for t in THRESHOLDS]


def dense(found: Any, truth: Any) -> list[int]:
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((int(found.max()) + 1, int(truth.max()) + 1), np.uint32)
    fill()(found.reshape(-1), truth.reshape(-1), table)
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    iou = (table / np.maximum(union, 1))[1:, 1:]
    counts = []
    for threshold in THRESHOLDS:
        costs = -(iou >= threshold).astype(float) - iou / (2 * min(iou.shape))
        counts.append(int((iou[linear_sum_assignment(costs)] >= threshold).sum()))
    return counts


@cache
def fill() -> Any:
    """Return the compiled loop that counts pairs in a dense table."""
    from numba import njit

    @njit(nogil=True)
    def loop(found: Any, truth: Any, table: Any) -> None:
        for i in range(found.size):
            table[found[i], truth[i]] += 1

    return loop


def scikit(found: Any, truth: Any) -> list[int]:
    import numpy as np
    from skimage.metrics import contingency_table

    table = contingency_table(found, truth).tocoo()
    rows, columns = np.bincount(table.row, table.data), np.bincount(table.col, table.data)
    iou = table.data / (rows[table.row] + columns[table.col] - table.data)
    real = (table.row > 0) & (table.col > 0)
    return [int((real & (iou > 0.5) & (iou >= t)).sum()) for t in THRESHOLDS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="2048x2048,64x512x512")
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(sys.argv[1:])
    set_threads(given.threads)
    describe(given.threads, "numpy", "scipy", "scikit-image", "numba")
    import numpy as np

    for shape in given.shapes.split(","):
        found, truth = pair(tuple(int(n) for n in shape.split("x")), given.objects)
        ways = {
            "ours": lambda found=found, truth=truth: ours(found, truth),
            "dense table, assignments": lambda found=found, truth=truth: dense(found, truth),
            "scikit-image contingency table": lambda found=found, truth=truth: scikit(found, truth),
        }
        title = f"matching {shape}, {(np.unique(truth) > 0).sum()} objects"
        compare(title, ways, lambda a, b: f"matches equal: {a == b}, {a[0]} at .5, {a[-1]} at .95", given.rounds)


if __name__ == "__main__":
    main()
