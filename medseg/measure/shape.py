"""The outline of each object in numbers: perimeter or surface, roundness, dents, elongation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.grid import Grid
from medseg.ops.hull import hull_voxels
from medseg.ops.moments import Moments
from medseg.ops.shape import boundaries, covariances

Floats = npt.NDArray[np.float64]


def shape_columns(array: npt.NDArray[Any], found: Moments, grid: Grid) -> dict[str, Any]:
    """Return the columns that tell about the shape of each object.

    Parameters
    ----------
    array : (*grid.shape) integer array
    found : Moments
        Of `array`.
    grid : Grid

    Returns
    -------
    dict of str to (k,) float64 array
        ``perimeter_{unit}`` and ``circularity`` in 2-D, ``surface_{unit}2`` and ``sphericity`` in 3-D, ``solidity``,
        ``eccentricity``.
    """
    size = np.asarray(found.voxels * grid.voxel_size, np.float64)
    boundary = boundaries(array, found, grid.spacing)
    flat = grid.ndim == 2
    name = f"perimeter_{grid.unit}" if flat else f"surface_{grid.unit}" + ("2" if grid.unit != "px" else "")
    return {
        name: boundary,
        "circularity" if flat else "sphericity": roundness(size, boundary, grid.ndim),
        "solidity": found.voxels / hull_voxels(array, found),
        "eccentricity": eccentricity(covariances(array, found, grid.spacing)),
    }


def roundness(size: Floats, boundary: Floats, ndim: int) -> Floats:
    """Return the circularity (2-D) or sphericity (3-D): 1 for a disc or ball, less for anything else.

    Objects of a few voxels can come out rounder than round, since their boundary is only estimated; those give 1.

    Examples
    --------
    >>> roundness(np.array([np.pi]), np.array([2 * np.pi]), 2).tolist()
    [1.0]
    """
    flat = ndim == 2
    ratio = 4.0 * np.pi * size / boundary**2 if flat else np.cbrt(36.0 * np.pi * size**2) / boundary
    return np.asarray(np.minimum(ratio, 1.0), np.float64)


def eccentricity(covariance: Floats) -> Floats:
    """Return the eccentricity of the ellipse (ellipsoid) of the same second moments; 0 for a single voxel.

    Parameters
    ----------
    covariance : (k, d, d) float64 array

    Examples
    --------
    >>> eccentricity(np.array([[[25.0, 0.0], [0.0, 16.0]]])).tolist()
    [0.6]
    """
    if not len(covariance):
        return np.empty(0)
    axes = np.linalg.eigvalsh(covariance)
    longest = np.maximum(axes[:, -1], 0.0)
    share = np.divide(np.maximum(axes[:, 0], 0.0), longest, out=np.ones_like(longest), where=longest > 0)
    return np.asarray(np.sqrt(1.0 - np.minimum(share, 1.0)), np.float64)
