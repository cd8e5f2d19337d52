"""Crowds of touching ellipsoids whose truth is known, for the tests of splitting."""

import numpy as np


def crowd(shape, n, radius, *, spacing, seed=0):
    """Return labels of overlapping ellipsoids; a voxel belongs to the centre that it is nearest to."""
    rng = np.random.default_rng(seed)
    best = np.full(shape, np.inf)
    labels = np.zeros(shape, np.int32)
    for number in range(1, n + 1):
        centre = [rng.uniform(0, s) for s in shape]
        reach = [rng.uniform(0.8, 1.2) * radius / s for s in spacing]
        box = tuple(
            slice(max(0, int(c - r - 1)), min(s, int(c + r + 2))) for c, r, s in zip(centre, reach, shape, strict=True)
        )
        grid = np.ogrid[box]
        away = sum(((x - c) / r) ** 2 for x, c, r in zip(grid, centre, reach, strict=True))
        won = (away <= 1) & (away < best[box])
        best[box][won] = away[won]
        labels[box][won] = number
    return labels
