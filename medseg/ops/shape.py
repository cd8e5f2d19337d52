"""How long or large the boundary of every object is, and how drawn out it is, in one pass each."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from medseg.ops.compiled import kernels
from medseg.ops.moments import Floats, Indices, Labels, Moments, memory_order, numbered


def boundaries(array: Labels, found: Moments, spacing: tuple[float, ...]) -> Floats:
    """Return the perimeter (2-D) or surface (3-D) of every object, by Crofton's formula.

    Straight lines in 4 directions (in space 13) are laid through the voxel centres, and how often they cross the
    boundary is counted; directions stand for the share of the half circle (half sphere) that they are nearest to, so
    that anisotropic voxels are measured like others. On 2-D grids of equal steps this is
    ``skimage.measure.perimeter_crofton`` with 4 directions. Smooth outlines come out within 4 % of their true length
    from a radius of about 8 voxels on; flat faces along the axes come out up to 10 % too small in space. Where the
    image ends, objects end.

    Parameters
    ----------
    array : (n, m) or (n, m, l) label array
    found : Moments
        Of `array`.
    spacing : tuple of float

    Returns
    -------
    (k,) float64 array
        Rows as in `found`, in the unit of `spacing`, squared in 3-D.

    Examples
    --------
    >>> from medseg.ops.moments import moments
    >>> rows, columns = np.indices((41, 41)) - 20
    >>> disc = (rows**2 + columns**2 <= 15**2).astype(np.uint8)
    >>> bool(abs(boundaries(disc, moments(disc), (1.0, 1.0))[0] / (2 * np.pi * 15) - 1) < 0.03)
    True
    """
    steps = directions(array.ndim)
    weights = _weights(array.ndim, tuple(float(s) for s in spacing))
    order = memory_order(array)
    numbers, place = numbered(array.transpose(order), found.ids)
    solid = numbers.reshape((1,) * (3 - array.ndim) + numbers.shape)
    walked = np.zeros((len(steps), 3), np.int64)
    walked[:, 3 - array.ndim :] = steps[:, order]
    loops = kernels("shape_kernels")
    count = _crossed if loops is None else loops.crossed
    return np.asarray(count(solid, place, walked, len(found.ids) + 1)[1:] @ weights, np.float64)


def covariances(array: Labels, found: Moments, spacing: tuple[float, ...]) -> Floats:
    """Return the covariance of the voxel centres of every object along the array's axes, in squared units.

    Parameters are those of `boundaries`.

    Returns
    -------
    (k, d, d) float64 array
    """
    order = memory_order(array)
    numbers, place = numbered(array.transpose(order), found.ids)
    solid = numbers.reshape((1,) * (3 - array.ndim) + numbers.shape)
    centroid = np.zeros((len(found.ids) + 1, 3))
    centroid[1:, 3 - array.ndim :] = found.centroid[:, order]
    loops = kernels("shape_kernels")
    sums = (_spread if loops is None else loops.spread)(solid, place, centroid)[1:]
    whole = sums[:, [[0, 3, 4], [3, 1, 5], [4, 5, 2]]][:, 3 - array.ndim :, 3 - array.ndim :]
    back = np.argsort(order)
    scale = np.asarray(spacing)
    stored = whole[:, back][:, :, back] * np.multiply.outer(scale, scale)
    return np.asarray(stored / np.maximum(found.voxels, 1)[:, None, None], np.float64)


def directions(ndim: int) -> Indices:
    """Return one of each pair of opposite steps to the neighbours of a voxel: 4 in the plane, 13 in space."""
    every = [step for step in product((0, 1, -1), repeat=ndim) if any(step)]
    kept = [step for step in every if next(s for s in step if s) > 0]
    return np.array(sorted(kept, key=lambda step: (sum(map(abs, step)), step)), np.int64)


@lru_cache(maxsize=32)
def _weights(ndim: int, spacing: tuple[float, ...]) -> Floats:
    # an edit measures one object after the other on one grid; the shares of the sphere take longer than the counting
    weights = crofton_weights(directions(ndim), spacing)
    weights.setflags(write=False)
    return weights


def crofton_weights(steps: Indices, spacing: tuple[float, ...]) -> Floats:
    """Return what one crossing along each direction adds to the boundary.

    Parameters
    ----------
    steps : (k, d) int64 array
    spacing : tuple of float
    """
    vectors = steps * np.asarray(spacing)
    lengths = np.sqrt((vectors**2).sum(axis=1))
    cell = float(np.prod(spacing))
    units = vectors / lengths[:, None]
    if steps.shape[1] == 2:
        return np.asarray(np.pi / 2 * _shares_of_circle(units) * cell / lengths, np.float64)
    return np.asarray(2.0 * _shares_of_sphere(units) * cell / lengths, np.float64)


def _shares_of_circle(units: Floats) -> Floats:
    angles = np.arctan2(units[:, 0], units[:, 1]) % np.pi
    order = np.argsort(angles)
    around = np.concatenate([[angles[order[-1]] - np.pi], angles[order], [angles[order[0]] + np.pi]])
    shares = np.empty(len(units))
    shares[order] = (around[2:] - around[:-2]) / (2 * np.pi)
    return shares


def _shares_of_sphere(units: Floats) -> Floats:
    from scipy.spatial import SphericalVoronoi

    areas = SphericalVoronoi(np.concatenate([units, -units])).calculate_areas()
    both = areas[: len(units)] + areas[len(units) :]
    return np.asarray(both / both.sum(), np.float64)


def _crossed(numbers: Labels, place: npt.NDArray[np.int32], steps: Indices, n: int) -> Indices:
    """Do without the compiler what `shape_kernels.crossed` does."""
    rank = np.pad(place[numbers], 1)
    inner = (slice(1, -1),) * 3
    out = np.zeros((n, len(steps)), np.int64)
    for column, step in enumerate(steps):
        for side in (-1, 1):
            away = tuple(slice(1 + side * int(s), m - 1 + side * int(s)) for s, m in zip(step, rank.shape, strict=True))
            leaves = (rank[inner] != 0) & (rank[inner] != rank[away])
            out[:, column] += np.bincount(rank[inner][leaves], minlength=n)
    return out


def _spread(numbers: Labels, place: npt.NDArray[np.int32], centroid: Floats) -> Floats:
    """Do without the compiler what `shape_kernels.spread` does."""
    rank = place[numbers]
    index = np.nonzero(rank)
    ranks = rank[index]
    away = [axis - centroid[ranks, a] for a, axis in enumerate(index)]
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    columns = [np.bincount(ranks, weights=away[a] * away[b], minlength=len(centroid)) for a, b in pairs]
    return np.stack(columns, axis=1)
