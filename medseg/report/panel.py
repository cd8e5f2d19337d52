"""One slice at display resolution: grey scale, tinted structures, crisp outlines."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medseg.report.colours import Colour, colour

Picture = npt.NDArray[np.uint8]
Shares = npt.NDArray[np.float32]

_FINE = 2
"""Outlines are drawn this much finer than the display and averaged, so that they have no jagged edge."""
_TINT = 0.16
_LINE = 3
"""Breadth of an outline in fine pixels, inside the structure."""


def grey(plane: npt.NDArray[Any], size: tuple[int, int], window: tuple[float, float]) -> Picture:
    """Return a slice as an RGB picture of (width, height), `window` from black to white."""
    return np.repeat(_levels(plane, size, window)[..., None], 3, axis=2)


def coloured(planes: npt.NDArray[Any], size: tuple[int, int], window: tuple[float, float]) -> Picture:
    """Return three planes, red, green and blue, as a picture of (width, height)."""
    return np.stack([_levels(plane, size, window) for plane in planes], axis=2)


def tinted(picture: Picture, labels: npt.NDArray[Any], *, colour_of: Callable[[int], Colour] = colour) -> Picture:
    """Return an RGB picture with each class of a label slice tinted and outlined."""
    from scipy import ndimage

    height, width = picture.shape[:2]
    fine, present = smooth_labels(labels, (width * _FINE, height * _FINE))
    if not present:
        return picture
    reach = 2 * _LINE + 1
    # structures that leave the picture stay open at its edge: no outline where the image merely ends
    edge = ndimage.maximum_filter(fine, reach, mode="nearest") != ndimage.minimum_filter(fine, reach, mode="nearest")
    cover = np.where(fine > 0, np.where(edge, 1.0, _TINT), 0.0).astype(np.float32)
    table = np.array([(0, 0, 0), *(colour_of(number) for number in present)], np.float32)
    paint = _averaged(table[fine] * cover[..., None])
    bare = 1.0 - _averaged(cover[..., None])
    return np.clip(picture * bare + paint + 0.5, 0, 255).astype(np.uint8)


def smooth_labels(labels: npt.NDArray[Any], size: tuple[int, int]) -> tuple[npt.NDArray[np.int32], list[int]]:
    """Resize a label slice to (width, height) without steps: each pixel takes the class with the largest linear share.

    A class that would vanish, being smaller than a pixel, keeps a dot at its first voxel.

    Returns
    -------
    best : (height, width) int32 array
        0 for background, else the place in `present`, from 1.
    present : list of int
        Class ids of the slice.
    """
    width, height = size
    present = [int(c) for c in np.unique(labels) if c != 0]
    best = np.zeros((height, width), np.int32)
    strongest = np.zeros((height, width), np.float32)
    total = np.zeros((height, width), np.float32)
    for place, number in enumerate(present, start=1):
        where, share = _share(labels == number, size)
        total[where] += share
        won = share > strongest[where]
        best[where][won] = place
        strongest[where][won] = share[won]
    best[strongest < 1.0 - total] = 0
    for place, number in enumerate(present, start=1):
        if not (best == place).any():
            row, column = np.argwhere(labels == number)[0]
            y, x = int((row + 0.5) * height / labels.shape[0]), int((column + 0.5) * width / labels.shape[1])
            best[max(0, y - _FINE) : y + _FINE, max(0, x - _FINE) : x + _FINE] = place
    return best, present


def _levels(plane: npt.NDArray[Any], size: tuple[int, int], window: tuple[float, float]) -> Picture:
    low, high = window
    held = np.nan_to_num(np.asarray(plane, np.float32), nan=low, posinf=high, neginf=low)
    # clipping first keeps a bright neighbour from ringing into the tissue
    picture = Image.fromarray(np.ascontiguousarray(np.clip(held, low, high)))
    resized = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    return (np.clip((resized - low) / max(high - low, 1e-12), 0.0, 1.0) * 255 + 0.5).astype(np.uint8)


def _share(mask: npt.NDArray[np.bool_], size: tuple[int, int]) -> tuple[tuple[slice, slice], Shares]:
    """Return how much of each pixel of a region belongs to the mask; outside of the region nothing does."""
    steps = (size[1] / mask.shape[0], size[0] / mask.shape[1])
    region, source = [], []
    for axis, step in enumerate(steps):
        hit = np.flatnonzero(mask.any(axis=1 - axis))
        # a voxel fades out over the next one, and half a pixel more when the picture shrinks
        start = max(0, floor((hit[0] - 1) * step) - 1)
        stop = min(round(mask.shape[axis] * step), ceil((hit[-1] + 2) * step) + 1)
        region.append(slice(start, stop))
        source.append((start / step, min(stop / step, mask.shape[axis])))
    picture = Image.fromarray(np.ascontiguousarray(mask, dtype=np.float32))
    shape = (region[1].stop - region[1].start, region[0].stop - region[0].start)
    box = (source[1][0], source[0][0], source[1][1], source[0][1])
    share = np.asarray(picture.resize(shape, Image.Resampling.BILINEAR, box=box), dtype=np.float32)
    return (region[0], region[1]), share


def _averaged(fine: Shares) -> Shares:
    h, w, c = fine.shape
    blocks = fine.reshape(h // _FINE, _FINE, w // _FINE, _FINE, c)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)
