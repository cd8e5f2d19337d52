"""Ways in which a scan is spoiled (noise, ghosts, blur and the like), to learn what a result on it is worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Floats = npt.NDArray[np.float32]
Spoil = Callable[[Floats, int, np.random.Generator], Floats]

LEVELS = (0, 1, 2, 3)
"""From hardly visible to useless."""
_NOISE = (0.03, 0.06, 0.12, 0.2)
_GHOSTS = (0.15, 0.3, 0.5, 0.8)
_BLUR = (0.7, 1.2, 1.8, 2.6)
_SLICES = (2, 3, 4, 6)
_BIAS = (0.3, 0.6, 1.0, 1.5)
_GAMMA = (1.5, 2.0, 3.0, 4.5)
_PERCENTILES = (1.0, 99.0)


def spoiled(image: Floats, way: str, level: int, rng: np.random.Generator) -> Floats:
    """Return an image as a worse scan would show it; what lies where stays where it is.

    Parameters
    ----------
    image : (c, *s) float32 array
        Finite; in any unit, since all sizes are relative to the spread of each channel.
    way : str
        A key of `WAYS`.
    level : {0, 1, 2, 3}
        From hardly visible to useless.
    rng : Generator

    Examples
    --------
    >>> image = np.arange(60.0, dtype=np.float32).reshape(1, 3, 4, 5)
    >>> spoiled(image, "noise", 1, np.random.default_rng(0)).shape
    (1, 3, 4, 5)
    """
    return np.ascontiguousarray(WAYS[way](image, level, rng), dtype=np.float32)


def with_noise(image: Floats, level: int, rng: np.random.Generator) -> Floats:
    """Add the noise of a magnitude image (Rice)."""
    low, width = spread(image)
    sigma = _NOISE[level] * width
    real = image - low + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    return np.hypot(real, sigma * rng.standard_normal(image.shape, dtype=np.float32)) + low


def with_ghosts(image: Floats, level: int, rng: np.random.Generator) -> Floats:
    """Weaken every n-th line of the frequencies: faint copies of the body appear along one axis, as breathing does."""
    axis = int(rng.integers(1, image.ndim))
    every, phase = int(rng.integers(2, 5)), np.exp(2j * np.pi * rng.random())
    lines = np.ones(image.shape[axis], dtype=np.complex64)
    lines[int(rng.integers(every)) :: every] += _GHOSTS[level] * phase
    lines[0] = 1.0  # the mean stays
    lines = lines.reshape([-1 if a == axis else 1 for a in range(image.ndim)])
    low, _ = spread(image)
    return np.abs(fft.ifft(fft.fft(image - low, axis=axis) * lines, axis=axis)) + low


def blurred(image: Floats, level: int, rng: np.random.Generator) -> Floats:
    """Smooth along every axis, as slow movement and coarse reconstruction do."""
    sigma = _BLUR[level] * rng.uniform(0.85, 1.15)
    return ndimage.gaussian_filter(image, (0.0, *(sigma,) * (image.ndim - 1)))


def in_thick_slices(image: Floats, level: int, rng: np.random.Generator) -> Floats:
    """Average slabs along one axis, as thick slices do, and interpolate between them."""
    axis = int(rng.integers(1, image.ndim))
    thick = min(_SLICES[level], image.shape[axis])
    moved = np.moveaxis(image, axis, 0)
    starts = range(0, len(moved), thick)
    slabs = np.stack([moved[a : a + thick].mean(axis=0) for a in starts])
    middles = np.array([(a + min(a + thick, len(moved)) - 1) / 2 for a in starts])
    place = np.clip(np.interp(np.arange(len(moved)), middles, np.arange(len(slabs))), 0, len(slabs) - 1)
    lower = np.minimum(place.astype(int), max(0, len(slabs) - 2))
    weight = (place - lower).astype(np.float32).reshape(-1, *(1,) * (image.ndim - 1))
    upper = np.minimum(lower + 1, len(slabs) - 1)
    return np.moveaxis(slabs[lower] * (1 - weight) + slabs[upper] * weight, 0, axis)


def with_bias_field(image: Floats, level: int, rng: np.random.Generator) -> Floats:
    """Multiply by a smooth field, as a coil far from a part of the body does."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in image.shape[1:]]
    places = np.meshgrid(*axes, indexing="ij", sparse=True)
    field = np.zeros(image.shape[1:], dtype=np.float32)
    for k, place in enumerate(places):
        field += rng.normal() * place + rng.normal() * place**2 + rng.normal() * place * places[k - 1]
    field *= _BIAS[level] / max(float(np.abs(field - field.mean()).max()), 1e-6)
    low, _ = spread(image)
    return (image - low) * np.exp(field - field.mean()) + low


def with_other_contrast(image: Floats, level: int, rng: np.random.Generator) -> Floats:
    """Bend the scale of grey (gamma) towards dark or bright."""
    low, width = spread(image)
    gamma = _GAMMA[level] ** rng.choice([-1.0, 1.0])
    return np.clip((image - low) / width, 0, 1.5) ** np.float32(gamma) * width + low


def spread(image: Floats) -> tuple[Floats, Floats]:
    """Return a low value and the width of the values of each channel, shaped to go with `image`."""
    axes = tuple(range(1, image.ndim))
    low, high = np.percentile(image, _PERCENTILES, axis=axes, keepdims=True).astype(np.float32)
    return low, np.maximum(high - low, np.float32(1e-6))


WAYS: dict[str, Spoil] = {
    "noise": with_noise,
    "ghosts": with_ghosts,
    "blur": blurred,
    "thick slices": in_thick_slices,
    "bias field": with_bias_field,
    "contrast": with_other_contrast,
}
