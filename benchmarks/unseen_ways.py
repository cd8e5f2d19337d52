"""Ways to spoil a scan that no calibration sees: only what judges a calibration may use them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft, ndimage

from medseg.ops.spoil import spread

LEVELS = (0, 1, 2, 3)
Image = np.ndarray
Change = Callable[[Image, int, np.random.Generator], Image]


def with_spikes(image: Image, level: int, rng: np.random.Generator) -> Image:
    """Add single strong waves, as a spark in the receiver does."""
    low, _ = spread(image)
    axes = tuple(range(1, image.ndim))
    waves = fft.fftn(image - low, axes=axes)
    size = (0.03, 0.06, 0.12, 0.25)[level] * np.abs(waves).reshape(len(waves), -1).max(axis=1)
    for _ in range(3):
        place = tuple(int(rng.integers(2, max(3, n // 3))) * int(rng.choice([-1, 1])) for n in image.shape[1:])
        waves[(slice(None), *place)] += size * np.exp(2j * np.pi * rng.random())
    return np.abs(fft.ifftn(waves, axes=axes)) + low


def with_motion(image: Image, level: int, rng: np.random.Generator) -> Image:
    """Take some lines of the frequencies from a head that has moved and turned meanwhile."""
    low, _ = spread(image)
    axis = int(rng.integers(1, image.ndim))
    n, pauses = image.shape[axis], (1, 2, 3, 4)[level]
    places = np.r_[1 : n // 2 - 2, n // 2 + 3 : n]
    owner = np.searchsorted(np.sort(rng.choice(places, pauses, replace=False)), np.arange(n), side="right")
    total = np.zeros(image.shape, dtype=complex)
    for part in range(pauses + 1):
        still = part == owner[n // 2]
        moved = image - low if still else moved_head(image - low, level, rng)
        lines = (owner == part).reshape([-1 if a == axis else 1 for a in range(image.ndim)])
        total += fft.fftshift(fft.fft(moved, axis=axis), axes=axis) * lines
    return np.abs(fft.ifft(fft.ifftshift(total, axes=axis), axis=axis)) + low


def moved_head(image: Image, level: int, rng: np.random.Generator) -> Image:
    degrees, voxels = (1.0, 3.0, 6.0, 10.0)[level], (1.0, 2.0, 3.5, 6.0)[level]
    matrix, offset = turn(image, rng.uniform(-degrees, degrees), rng)
    offset = offset + rng.uniform(-voxels, voxels, image.ndim - 1)
    return np.stack([ndimage.affine_transform(c, matrix, offset, order=1, mode="nearest") for c in image])


def as_another_sequence(image: Image, level: int, rng: np.random.Generator) -> Image:
    """Fold the scale of grey over, so that dark and medium change places."""
    low, width = spread(image)
    share = np.clip((image - low) / width, 0, 1.2)
    folded = 1.7 * np.abs(share - rng.uniform(0.35, 0.6))
    much = (0.3, 0.5, 0.7, 1.0)[level]
    return ((1 - much) * share + much * folded) * width + low


def without_slices(image: Image, level: int, rng: np.random.Generator) -> Image:
    """Blank some slices."""
    axis = int(rng.integers(1, image.ndim))
    n = image.shape[axis]
    lost = rng.choice(n, round((0.1, 0.2, 0.35, 0.5)[level] * n), replace=False)
    out = np.moveaxis(image.copy(), axis, 0)
    out[lost] = spread(image)[0].min()
    return np.moveaxis(out, 0, axis)


def turned(image: Image, labels: Image, level: int, rng: np.random.Generator) -> tuple[Image, Image]:
    """Turn the head in the scan, and its labels with it."""
    degrees = (15, 30, 45, 70)[level] * rng.choice([-1, 1]) * rng.uniform(0.85, 1.15)
    matrix, offset = turn(image, degrees, rng)
    channels = [ndimage.affine_transform(c, matrix, offset, order=1, mode="nearest") for c in image]
    return np.stack(channels), ndimage.affine_transform(labels, matrix, offset, order=0, mode="constant")


def turn(image: Image, degrees: float, rng: np.random.Generator) -> tuple[Image, Image]:
    """Return matrix and offset of a turn about the middle, in a plane by chance."""
    n_axes = image.ndim - 1
    first, second = rng.choice(n_axes, 2, replace=False)
    angle, matrix = np.deg2rad(degrees), np.eye(n_axes)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    middle = (np.array(image.shape[1:]) - 1) / 2
    return matrix, middle - matrix @ middle


UNSEEN: dict[str, Change] = {
    "spikes": with_spikes,
    "motion": with_motion,
    "another sequence": as_another_sequence,
    "slices lost": without_slices,
}
"""And `turned`, which moves the labels, too."""
