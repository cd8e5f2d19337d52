"""How deep each voxel lies inside its object: the exact Euclidean distance to the nearest voxel of anything else."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.instance.frame import Frame
from medseg.instance.threads import over_steps, slab_edges
from medseg.progress import Steps, finish

_EXACT_BITS = 52
_PHASE = "measuring depths"

Floats = npt.NDArray[np.float32]


def distances(labels: npt.NDArray[Any], spacing: tuple[float, ...]) -> Floats:
    """Return the distance of every voxel to the nearest voxel of another label or of background.

    What lies beyond the edge of the image is unknown and no background, unless one object fills the whole image:
    then the distance to the edge is returned.

    Parameters
    ----------
    labels : (n, m) or (n, m, l) integer or bool array
        0 is background.
    spacing : tuple of float
        Distance between voxels along each axis.

    Returns
    -------
    float32 array of the same shape
        In the unit of `spacing`; 0 in the background.

    Examples
    --------
    >>> distances(np.array([[1, 1, 0, 2, 2, 2]]), (1.0, 3.0)).tolist()
    [[6.0, 3.0, 0.0, 3.0, 6.0, 9.0]]
    """
    frame = Frame.of(labels.shape)
    padded = frame.zeros(np.int32)
    frame.inner(padded)[...] = labels.reshape(frame.nz, frame.ny, frame.nx)
    squared = frame.zeros(np.float32)
    unit = finish(squared_distances_steps(padded, squared, frame, weights(spacing, labels.shape)))
    found = np.sqrt(frame.inner(squared) * np.float32(unit))
    return np.asarray(found.reshape(labels.shape), np.float32)


def weights(spacing: tuple[float, ...], shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return (z, y, x, unit): whole numbers in the ratio of the squared spacings, and what one of them measures.

    They are as large as keeps every squared distance on a grid of `shape` exact; equal spacings give ones.

    Examples
    --------
    >>> weights((2.0, 1.0, 1.0), (10, 10, 10))
    (4.0, 1.0, 1.0, 1.0)
    """
    smallest = min(spacing)
    ratios = [(s / smallest) ** 2 for s in spacing]
    if all(abs(r - round(r)) < 1e-9 * r for r in ratios):
        scale = 1.0
    else:
        largest = sum(r * n * n for r, n in zip(ratios, shape, strict=True))
        scale = 2.0 ** int(_EXACT_BITS - 1 - log2(largest))
    whole = [float(round(r * scale)) for r in ratios]
    return (*[1.0] * (3 - len(whole)), *whole, smallest**2 / scale)


def squared_distances_steps(labels: Any, squared: Any, frame: Frame, weighed: tuple[float, ...]) -> Steps[float]:
    """Fill a padded array with squared distances in units of the weights, yielding; return what one unit measures.

    Parameters
    ----------
    labels : padded int32 array
        Any numbers, of either sign; 0 is background.
    squared : padded float32 array
        Written.
    frame : Frame
    weighed : tuple of float
        From `weights`.
    """
    yield from _fill_steps(labels, squared, frame, weighed, closed=False)
    from medseg.instance.distance_kernels import FAR

    if frame.inner(squared)[0, 0, 0] >= FAR:  # nothing but one object anywhere: only then can a voxel have no end
        yield from _fill_steps(labels, squared, frame, weighed, closed=True)
    return weighed[3]


def _fill_steps(labels: Any, squared: Any, frame: Frame, weighed: tuple[float, ...], *, closed: bool) -> Steps[None]:
    from medseg.instance import distance_kernels as loops

    margin, size = frame.margin, labels.size
    wz, wy, wx, _ = weighed

    def in_planes(start: int, stop: int) -> None:
        loops.along_rows(labels, squared, start + margin, stop + margin, wx, closed)
        for z in range(start + margin, stop + margin):
            loops.along_columns(labels[z], squared[z], 1, frame.ny + 1, wy, closed)

    def across_planes(start: int, stop: int) -> None:
        for y in range(start + 1, stop + 1):
            loops.along_columns(labels[:, y], squared[:, y], margin, margin + frame.nz, wz, closed)

    yield from over_steps(in_planes, slab_edges(frame.nz, size), _PHASE)
    if frame.margin:
        yield from over_steps(across_planes, slab_edges(frame.ny, size), _PHASE)
