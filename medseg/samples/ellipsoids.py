"""Computed volumes of touching cells whose truth is known: to train on, to score with, to try the tools on.

The cells are ellipsoids that press against each other as cells of a spheroid do. Slices may lie further apart than
pixels, and the image is blurred more along the slices' axis, with noise of light and camera. It comes from no specimen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.grid import image_grid
from medseg.labels import Instances, Segment, smallest_integer_type
from medseg.volume import Source, Volume

SHAPE = (32, 96, 96)
SPACING = (2.0, 1.0, 1.0)
DIAMETER = 16.0
"""Mean diameter of a cell, in the unit of the spacing."""
STRETCH = 1.25
"""Largest ratio of a radius to the mean radius of a cell."""
OVERLAP = 0.25
"""Share of two cells' mean diameter by which they may press into each other; they are flattened there."""
TRIES = 60
"""Places that are tried for each cell before it is left out."""
PHOTONS = 120.0
"""Light from a cell of full brightness, in photons per voxel: the noise follows."""

Floats = npt.NDArray[np.float64]


def touching_cells(
    seed: int = 0,
    shape: tuple[int, int, int] = SHAPE,
    spacing: tuple[float, float, float] = SPACING,
    n: int = 120,
    *,
    diameter: float = DIAMETER,
) -> tuple[Volume, Instances]:
    """Compute a volume of touching cells and its truth.

    Parameters
    ----------
    seed : int
        Equal seeds give equal bytes.
    shape : (z, y, x)
        Voxels.
    spacing : (z, y, x)
        µm between voxels.
    n : int
        Cells that are placed, as long as there is room: some are cut by the faces of the volume.
    diameter : float
        Mean diameter in µm.

    Returns
    -------
    Volume
        (1, *shape) uint16.
    Instances
        Numbers without gaps from 1; no object is smaller than 8 voxels.

    Examples
    --------
    >>> volume, truth = touching_cells(0, (8, 24, 24), n=6, diameter=10.0)
    >>> volume.array.shape, len(truth.segments) > 2
    ((1, 8, 24, 24), True)
    """
    rng = np.random.default_rng(seed)
    labels = _numbered(_placed(rng, shape, spacing, n, diameter / 2.0))
    grid = image_grid(shape, spacing, "um")
    source = Source("touching cells", "computed", details={"seed": seed})
    volume = Volume(_photographed(labels, spacing, rng)[None], grid, ("cells",), source)
    segments = tuple(Segment(i) for i in range(1, int(labels.max(initial=0)) + 1))
    return volume, Instances(labels, grid, segments, {1: "cell"}, source)


def _placed(
    rng: np.random.Generator, shape: tuple[int, ...], spacing: tuple[float, ...], n: int, radius: float
) -> npt.NDArray[np.int32]:
    """Return labels of ellipsoids; where two reach a voxel, it is the one's that it lies deeper in."""
    steps, extent = np.array(spacing), np.array(shape) * np.array(spacing)
    depth = np.ones(shape)
    labels = np.zeros(shape, np.int32)
    centres, sizes = np.zeros((0, 3)), np.zeros(0)
    for number in range(1, n + 1):
        own = radius * rng.uniform(0.75, 1.25)
        candidates = rng.uniform(0, extent, (TRIES, 3))
        if len(centres):
            gaps = np.linalg.norm(candidates[:, None] - centres[None], axis=2) / (own + sizes)[None]
            # the closest place that is not too close: the cells touch
            nearest = gaps.min(axis=1)
            nearest[nearest < 1.0 - OVERLAP] = np.inf
            if not np.isfinite(nearest).any():
                continue
            centre = candidates[nearest.argmin()]
        else:
            centre = candidates[0]
        centres, sizes = np.concatenate([centres, centre[None]]), np.append(sizes, own)
        _draw(labels, depth, number, centre / steps - 0.5, _axes_of(rng, own) / steps[:, None])
    return labels


def _axes_of(rng: np.random.Generator, radius: float) -> Floats:
    """Return a (3, 3) matrix that turns the unit ball into an ellipsoid, in µm."""
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    stretch = rng.uniform(1.0 / STRETCH, STRETCH, 3)
    return np.asarray(turn * (radius * stretch / np.cbrt(stretch.prod())))


def _draw(labels: npt.NDArray[np.int32], depth: Floats, number: int, centre: Floats, axes: Floats) -> None:
    reach = np.linalg.norm(axes, axis=1)
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, labels.shape).astype(int)
    if (high <= low).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    way = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
    away = (np.einsum("ij,...j->...i", np.linalg.inv(axes), way - centre) ** 2).sum(axis=-1)
    won = (away <= 1.0) & (away < depth[box])
    depth[box][won] = away[won]
    labels[box][won] = number


def _numbered(labels: npt.NDArray[np.int32], fewest: int = 8) -> npt.NDArray[np.unsignedinteger]:
    """Return labels without dust and loose ends: of each object its largest piece, numbered without gaps."""
    out = np.zeros(labels.shape, np.int32)
    number = 0
    for own, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        pieces, n = ndimage.label(labels[box] == own)
        sizes = np.bincount(pieces.reshape(-1), minlength=n + 1)[1:]
        if n and sizes.max() >= fewest:
            number += 1
            out[box][pieces == sizes.argmax() + 1] = number
    return out.astype(smallest_integer_type(number))


def _photographed(
    labels: npt.NDArray[np.unsignedinteger], spacing: tuple[float, ...], rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Return the image that a microscope makes of the objects."""
    n = int(labels.max(initial=0))
    bright = np.append(0.0, rng.uniform(0.45, 1.0, n))[labels]
    # a cell is uneven inside
    grain = ndimage.gaussian_filter(rng.standard_normal(labels.shape), [1.5 * min(spacing) / s for s in spacing])
    bright *= 1.0 + 0.25 * grain / max(float(grain.std()), 1e-9)
    finest = min(spacing)
    blurred = ndimage.gaussian_filter(
        bright, [width * finest / s for width, s in zip((2.0, 1.0, 1.0), spacing, strict=True)]
    )
    light = rng.poisson(np.clip(blurred, 0.0, None) * PHOTONS + 8.0)
    return np.clip(np.rint(100.0 + 12.0 * light + rng.normal(0.0, 25.0, labels.shape)), 0, 65535).astype(np.uint16)
