"""Cut patches from cases so that rare classes are seen: a share of them is centred on a foreground voxel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.learn.cases import Case

Patch = tuple[npt.NDArray[np.float32], npt.NDArray[Any]]


def sample(cases: Sequence[Case], *, patch: tuple[int, ...], foreground: float, seed: tuple[int, ...]) -> Patch:
    """Cut one patch from a random case.

    Parameters
    ----------
    cases : sequence of Case
    patch : (n,) ints
    foreground : float
        Share of patches centred on a voxel of a class drawn with equal chance among those present.
    seed : ints
        Everything random follows from it, so any patch can be cut again.

    Returns
    -------
    image : (c, *patch) float32 array
    labels : (*patch) integer array
    """
    rng = np.random.default_rng(seed)
    case = cases[int(rng.integers(len(cases)))]
    return cut(case, start=_start(case, patch, foreground, rng), patch=patch)


def cut(case: Case, *, start: tuple[int, ...], patch: tuple[int, ...]) -> Patch:
    """Cut the patch that begins at `start`; outside the image are zeros (the mean after normalisation)."""
    inside = tuple(
        slice(max(0, s), max(0, min(n, s + p))) for s, p, n in zip(start, patch, case.labels.shape, strict=True)
    )
    target = tuple(slice(i.start - s, i.stop - s) for i, s in zip(inside, start, strict=True))
    image = np.zeros((case.image.shape[0], *patch), np.float32)
    labels = np.zeros(patch, case.labels.dtype)
    image[(slice(None), *target)] = case.image[(slice(None), *inside)]
    labels[target] = case.labels[inside]
    return image, labels


def _start(case: Case, patch: tuple[int, ...], foreground: float, rng: np.random.Generator) -> tuple[int, ...]:
    shape = np.array(case.labels.shape)
    size = np.array(patch)
    low = np.minimum(0, (shape - size) // 2)
    high = np.maximum(shape - size, low)
    if case.points and rng.random() < foreground:
        classes = sorted(case.points)
        points = case.points[classes[int(rng.integers(len(classes)))]]
        centre = points[int(rng.integers(len(points)))]
        jitter = rng.integers(-(size // 4), size // 4 + 1)
        start = np.clip(centre - size // 2 + jitter, low, high)
    else:
        start = rng.integers(low, high + 1)
    return tuple(int(s) for s in start)
