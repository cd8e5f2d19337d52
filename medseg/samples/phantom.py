"""A computed scan whose truth is known: touching ellipsoids on an oblique grid. It comes from no patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.grid import Grid
from medseg.labels import LabelMap
from medseg.volume import Source, Volume

SHAPE = (72, 64, 30)
SPACING = (0.9, 1.1, 2.0)
TURN_DEGREES = 17.0
SUPERSAMPLING = 3
"""Points per voxel and axis for the intensities; odd, so that the middle point is the voxel's centre."""


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """One structure of the phantom, in the phantom's own axes (mm from its middle) before the turn.

    Parameters
    ----------
    name : str
    centre, radii : (3,) floats
        In mm.
    intensity : float
    """

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    intensity: float

    @property
    def volume_ml(self) -> float:
        """Exact volume.

        Examples
        --------
        >>> round(Ellipsoid("ball", (0, 0, 0), (10, 10, 10), 1.0).volume_ml, 3)
        4.189
        """
        return float(4.0 / 3.0 * np.pi * np.prod(self.radii) / 1000.0)


ELLIPSOIDS = (
    Ellipsoid("large", (-8.0, 3.0, 1.0), (14.0, 10.0, 12.0), 420.0),
    Ellipsoid("small", (14.0, 3.0, 1.0), (8.0, 7.0, 9.0), 300.0),
    Ellipsoid("front", (2.3, 22.1, -5.4), (6.0, 5.0, 7.0), 520.0),
)
"""``large`` and ``small`` touch in one point; all three lie away from the middle, so that every flip shows."""


@dataclass(frozen=True, slots=True)
class Phantom:
    """The image and its truth, on the same grid."""

    volume: Volume
    labels: LabelMap


def ellipsoids(*, seed: int = 0, noise: float = 25.0) -> Phantom:
    """Compute the phantom: an anisotropic, oblique, off-origin scan with three bright ellipsoids.

    Parameters
    ----------
    seed : int
        Start of the noise; the same seed gives the same bytes.
    noise : float
        Standard deviation of the noise. The background is 100, the structures are 300 to 520.

    Returns
    -------
    Phantom
        A (1, 72, 64, 30) float32 volume in patient space, and its classes 1 to 3.

    Examples
    --------
    >>> phantom = ellipsoids()
    >>> phantom.labels.classes
    {1: 'large', 2: 'small', 3: 'front'}
    """
    labels = np.zeros(SHAPE, np.uint8)
    image = np.full(SHAPE, 100.0, np.float32)
    for number, body in enumerate(ELLIPSOIDS, 1):
        points = _points_inside(body)
        image += points.mean(axis=(1, 3, 5), dtype=np.float32) * np.float32(body.intensity - 100.0)
        # by the centre, not by the majority: a majority makes round bodies too small
        labels[points[:, 1, :, 1, :, 1]] = number
    image += np.random.default_rng(seed).normal(0.0, noise, SHAPE).astype(np.float32)
    grid = phantom_grid()
    source = Source("phantom", "computed", details={"seed": seed})
    names = {number: body.name for number, body in enumerate(ELLIPSOIDS, 1)}
    return Phantom(Volume(image[None], grid, ("phantom",), source), LabelMap(labels, grid, names, source))


def phantom_grid() -> Grid:
    """Return the grid of the phantom: turned about the long axis of the body, far from the origin."""
    turn = np.deg2rad(TURN_DEGREES)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(SPACING)
    affine[:3, 3] = (-41.0, 12.5, 63.25)
    return Grid(SHAPE, affine)


def _points_inside(body: Ellipsoid) -> npt.NDArray[np.bool_]:
    """Return which of the points of each voxel lie in an ellipsoid: (x, point, y, point, z, point)."""
    n = SUPERSAMPLING
    axes = []
    for length, step, centre, radius in zip(SHAPE, SPACING, body.centre, body.radii, strict=True):
        points = (np.arange(length * n) + 0.5) / n - length / 2
        axes.append(((points * step - centre) / radius) ** 2)
    inside = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] <= 1.0
    return inside.reshape(SHAPE[0], n, SHAPE[1], n, SHAPE[2], n)
