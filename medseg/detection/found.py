"""An object that was found: a score, and a mask kept as a small grid of probabilities over its box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Grid32 = npt.NDArray[np.float32]
Corner = tuple[int, ...]

INSIDE = 0.5
"""Probability from which a voxel belongs to an object."""


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """A box and the mask in it.

    Parameters
    ----------
    start, stop : (n,) float64 arrays
        In voxels; the voxel i reaches from i to i + 1.
    grid : (*m) float32 array
        Probability in the cells of a regular grid over the box; of any size.
    """

    start: Floats
    stop: Floats
    grid: Grid32


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """One object.

    Parameters
    ----------
    parts : tuple of Part
        One, or the pieces of an object that no tile saw whole.
    class_id : int
    score : float
        In [0, 1].
    """

    parts: tuple[Part, ...]
    class_id: int
    score: float

    @property
    def start(self) -> Floats:
        """(n,) lowest edge of the box of all parts."""
        first = self.parts[0].start
        return first if len(self.parts) == 1 else np.min([p.start for p in self.parts], axis=0)

    @property
    def stop(self) -> Floats:
        """(n,) highest edge of the box of all parts."""
        first = self.parts[0].stop
        return first if len(self.parts) == 1 else np.max([p.stop for p in self.parts], axis=0)

    @property
    def size(self) -> float:
        """Voxels of the mask, as far as the grids tell."""
        shares = [(np.count_nonzero(p.grid >= INSIDE) / p.grid.size, p) for p in self.parts]
        return float(sum(share * np.prod(p.stop - p.start) for share, p in shares))


def in_rank(found: Sequence[Found]) -> list[Found]:
    """Return objects by falling score; equal scores by their place, so that the order depends on nothing else."""
    return sorted(found, key=lambda f: (-f.score, f.class_id, *f.start.tolist(), *f.stop.tolist()))


def moved(found: Found, *, offset: npt.ArrayLike = 0.0, factor: npt.ArrayLike = 1.0) -> Found:
    """Return an object on other voxels: first shifted by `offset` voxels, then all edges times `factor`.

    Parameters
    ----------
    found : Found
    offset, factor : (n,) floats
    """
    shift, scale = np.asarray(offset, np.float64), np.asarray(factor, np.float64)
    parts = tuple(replace(p, start=(p.start + shift) * scale, stop=(p.stop + shift) * scale) for p in found.parts)
    return replace(found, parts=parts)


def flipped(found: Found, axes: Sequence[int], shape: Sequence[int]) -> Found:
    """Return an object of an image that is mirrored along `axes`.

    Parameters
    ----------
    found : Found
    axes : sequence of int
    shape : sequence of int
        Of the image.
    """
    return replace(found, parts=tuple(_flipped(p, axes, shape) for p in found.parts))


def probabilities(found: Found, shape: Sequence[int]) -> tuple[Corner, Grid32]:
    """Return where the object's box begins in an image, and the probability of each voxel of it.

    Between the centres of the grid's cells it is interpolated linearly, beyond the outer ones it stays as it is.

    Parameters
    ----------
    found : Found
    shape : sequence of int
        Of the image; what lies outside is cut off.

    Examples
    --------
    >>> part = Part(np.array([1.0, 0.0]), np.array([3.0, 2.0]), np.ones((4, 4), np.float32))
    >>> corner, values = probabilities(Found((part,), 1, 0.9), (9, 9))
    >>> corner, values.tolist()
    ((1, 0), [[1.0, 1.0], [1.0, 1.0]])
    """
    low = np.clip(np.floor(found.start + 0.5 - 1e-9), 0, shape).astype(int)
    high = np.clip(np.ceil(found.stop - 0.5 + 1e-9), low, shape).astype(int)
    total = np.zeros(high - low, np.float32)
    for part in found.parts:
        np.maximum(total, _sampled(part, low, high), out=total)
    return tuple(low.tolist()), total


def masked(found: Found, shape: Sequence[int]) -> tuple[Corner, npt.NDArray[np.bool_]]:
    """Return the same as `probabilities`, as a mask."""
    corner, values = probabilities(found, shape)
    return corner, values >= INSIDE


def box_of(corner: Corner, mask: npt.NDArray[Any]) -> tuple[slice, ...]:
    """Return the place of a piece in its image."""
    return tuple(slice(a, a + n) for a, n in zip(corner, mask.shape, strict=True))


def _sampled(part: Part, low: npt.NDArray[Any], high: npt.NDArray[Any]) -> Grid32:
    values = part.grid.astype(np.float32)
    edges = zip(part.start.tolist(), part.stop.tolist(), low.tolist(), high.tolist(), strict=True)
    for start, stop, a, b in edges:
        rows = _interpolation(start, stop, len(values), a, b)
        rest = values.shape[1:]
        # each axis comes first in its turn, and in the end all stand as they did
        values = np.moveaxis((rows @ values.reshape(len(values), -1)).reshape(len(rows), *rest), 0, -1)
    return np.asarray(values, np.float32)


def _interpolation(start: float, stop: float, cells: int, low: int, high: int) -> Grid32:
    """Return the (voxels, cells) shares with which cells count in voxels; none in voxels outside the box."""
    way = (np.arange(low, high) + 0.5 - start) / max(stop - start, 1e-9)
    # rounded, so that a grid of the image's own voxels gives back its values exactly
    place = np.minimum(np.maximum(np.round(way * cells - 0.5, 9), 0), cells - 1)
    below = np.minimum(place.astype(int), max(cells - 2, 0))
    rows = np.zeros((high - low, cells), np.float32)
    index = np.arange(high - low)
    rows[index, below] = 1.0 - (place - below)
    if cells > 1:
        rows[index, below + 1] = place - below
    rows[(way < 0) | (way >= 1)] = 0.0
    return rows


def _flipped(part: Part, axes: Sequence[int], shape: Sequence[int]) -> Part:
    start, stop = part.start.copy(), part.stop.copy()
    for axis in axes:
        start[axis], stop[axis] = shape[axis] - part.stop[axis], shape[axis] - part.start[axis]
    return Part(start, stop, np.ascontiguousarray(np.flip(part.grid, tuple(axes))))
