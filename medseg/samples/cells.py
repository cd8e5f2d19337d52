"""A computed fluorescence micrograph whose truth is known: touching nuclei of uneven brightness, blurred and noisy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.grid import image_grid
from medseg.labels import Instances, Segment
from medseg.volume import Source, Volume

PIXEL_UM = 0.65
"""A 10x objective on a common camera."""
SHAPE = (360, 480)
N_NUCLEI = 120
CLUSTERED = 0.65
"""Share of the nuclei that are laid against one that is there already."""
_RADIUS_UM = (5.2, 8.0)
_MOST_TRIES = 4000
_FULL = 3000.0
"""Signal of the brightest nuclei in grey levels of a 12-bit camera."""
_ELECTRONS_PER_LEVEL = 0.2

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Micrograph:
    """The picture and its truth, on the same grid."""

    volume: Volume
    instances: Instances


@dataclass(frozen=True, slots=True)
class _Nucleus:
    """An outline ``r(angle)`` about a centre, in pixels; waves bend it away from an ellipse."""

    y: float
    x: float
    radius: float
    stretch: float
    turn: float
    waves: tuple[tuple[float, float], ...]

    def depth(self, rows: Floats, columns: Floats) -> Floats:
        """Return how far from the centre each point lies, as a share of the outline's distance in its direction."""
        dy, dx = rows - self.y, columns - self.x
        along = np.cos(self.turn) * dx + np.sin(self.turn) * dy
        across = np.cos(self.turn) * dy - np.sin(self.turn) * dx
        angle = np.arctan2(across, along)
        outline = self.radius * (1 + sum(a * np.cos(k * angle + p) for k, (a, p) in enumerate(self.waves, start=2)))
        stretched = np.hypot(along / np.sqrt(self.stretch), across * np.sqrt(self.stretch))
        return np.asarray(stretched / outline, np.float64)


def nuclei(*, seed: int = 0, n: int = N_NUCLEI, shape: tuple[int, int] = SHAPE) -> Micrograph:
    """Compute a picture of nuclei as a fluorescence microscope shows them.

    Nuclei differ in size, shape and brightness and many touch; the optics blur them and spread a haze, the lamp is
    brighter in the middle, and a 12-bit camera counts photons.

    Parameters
    ----------
    seed : int
        The same seed gives the same bytes.
    n : int
        How many to draw; fewer where there is no room.
    shape : (int, int)
        Rows and columns.

    Returns
    -------
    Micrograph
        A (1, rows, columns) uint16 volume with 0.65 µm pixels, and its numbered nuclei.

    Examples
    --------
    >>> len(nuclei(n=5, shape=(120, 120)).instances.segments)
    5
    """
    rng = np.random.default_rng(seed)
    labels, bodies = _placed(rng, n, shape)
    signal = _lit(rng, labels, bodies)
    grid = image_grid(shape, (PIXEL_UM, PIXEL_UM), "um")
    source = Source("nuclei", "computed", details={"seed": seed})
    segments = tuple(Segment(number) for number in range(1, len(bodies) + 1))
    truth = Instances(labels, grid, segments, {1: "nucleus"}, source)
    return Micrograph(Volume(_photographed(rng, signal)[None], grid, ("DAPI",), source), truth)


def _placed(rng: np.random.Generator, n: int, shape: tuple[int, int]) -> tuple[npt.NDArray[np.uint16], list[_Nucleus]]:
    """Lay nuclei down one after another; none covers more than a sliver of another."""
    labels = np.zeros(shape, np.uint16)
    bodies: list[_Nucleus] = []
    for _ in range(_MOST_TRIES):
        if len(bodies) == n:
            break
        body = _drawn(rng, bodies, shape)
        reach = int(1.8 * body.radius) + 2
        box = tuple(slice(max(0, int(c) - reach), int(c) + reach) for c in (body.y, body.x))
        rows, columns = (axis.astype(np.float64) for axis in np.indices(shape)[(slice(None), *box)])
        own = body.depth(rows, columns) <= 1
        taken = own & (labels[box] > 0)
        if not own.any() or taken.sum() > 0.06 * own.sum():
            continue
        bodies.append(body)
        labels[box][own & ~taken] = len(bodies)
    return labels, bodies


def _drawn(rng: np.random.Generator, bodies: list[_Nucleus], shape: tuple[int, int]) -> _Nucleus:
    radius = rng.uniform(*_RADIUS_UM) / PIXEL_UM
    y, x = (rng.uniform(0, length) for length in shape)
    if bodies and rng.random() < CLUSTERED:
        near = bodies[int(rng.integers(len(bodies)))]
        angle = rng.uniform(0, 2 * np.pi)
        gap = (near.radius + radius) * rng.uniform(0.92, 1.08)
        y = min(max(near.y + gap * np.sin(angle), 0.0), shape[0] - 1.0)
        x = min(max(near.x + gap * np.cos(angle), 0.0), shape[1] - 1.0)
    waves = tuple(
        (float(a), float(p)) for a, p in zip(rng.normal(0, (0.05, 0.04, 0.02)), rng.uniform(0, 6.3, 3), strict=True)
    )
    return _Nucleus(y, x, radius, rng.uniform(1.0, 1.5), rng.uniform(0, np.pi), waves)


def _lit(rng: np.random.Generator, labels: npt.NDArray[np.uint16], bodies: list[_Nucleus]) -> Floats:
    """Return the light of the nuclei before the microscope: brightness, chromatin, a thinner rim."""
    from scipy import ndimage

    def grain(sigma: float) -> Floats:
        field = ndimage.gaussian_filter(rng.normal(size=labels.shape), sigma)
        return np.asarray(field / field.std(), np.float64)

    bright = np.exp(rng.normal(-0.55, 0.42, len(bodies) + 1)).clip(0.18, 1.0)
    bright[0] = 0.0
    depth = ndimage.distance_transform_edt(np.pad(labels, 1, mode="edge"))[1:-1, 1:-1] * PIXEL_UM
    thickness = 0.55 + 0.45 * np.clip(depth / 3.0, 0, 1)
    chromatin = 1 + 0.12 * grain(1.2) + 0.10 * grain(3.0)
    return np.asarray(bright[labels] * thickness * chromatin.clip(0.4), np.float64)


def _photographed(rng: np.random.Generator, signal: Floats) -> npt.NDArray[np.uint16]:
    """Return what a camera behind a microscope makes of the light."""
    from scipy import ndimage

    sharp = ndimage.gaussian_filter(signal, 1.1)
    haze = 0.10 * ndimage.gaussian_filter(signal, 12.0, mode="nearest") + 0.05 * ndimage.gaussian_filter(signal, 40.0)
    rows, columns = (np.linspace(-1, 1, length) for length in signal.shape)
    lamp = 1 - 0.18 * ((rows[:, None] - 0.15) ** 2 + (columns[None] + 0.1) ** 2) / 2
    light = (_FULL * (sharp + haze) + 60.0) * lamp
    seen = rng.poisson(light * _ELECTRONS_PER_LEVEL) / _ELECTRONS_PER_LEVEL
    counted = seen + rng.normal(100.0, 6.0, signal.shape)
    return np.asarray(np.clip(np.rint(counted), 0, 4095), np.uint16)
