"""Separate objects in a picture: each outlined in its own colour, or its class's; those that need eyes in one other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from medseg.labels import HARMLESS_FLAGS, Instances
from medseg.report.colours import Colour, colour
from medseg.report.lettering import write_text
from medseg.report.panel import Picture

FLAGGED: Colour = (255, 70, 40)
"""Outline of objects with a flag other than lying at the edge."""
_CALM: tuple[Colour, ...] = ((255, 226, 60), (70, 222, 255), (150, 255, 90), (255, 185, 240), (60, 255, 190))
"""Outlines bright enough for dark ground; a dark line around them sets them off from light ground."""
MOST_NUMBERS = 600
_FINE = 2
_REACH = 3
_TINT = 0.10
_DARK = 2
_SHADE = 0.6
_SMALLEST = 15.0
"""Objects narrower than this, in pixels of the display, get no number: it would hide them."""


def needs_eyes(flags: tuple[str, ...]) -> bool:
    """Tell whether an object's flags ask for a look.

    Examples
    --------
    >>> needs_eyes(("touches_border",)), needs_eyes(("likely_merged",))
    (False, True)
    """
    return any(flag not in HARMLESS_FLAGS for flag in flags)


def outlined(picture: Picture, plane: npt.NDArray[Any], instances: Instances, *, numbers: bool = True) -> Picture:
    """Return an RGB picture with every object of a slice outlined and, where there is room, numbered.

    Where the objects of the whole image are of several classes, the colour of an outline is that of the class.

    Parameters
    ----------
    picture : (height, width, 3) uint8 array
    plane : (n, m) integer array
        Object ids of the slice.
    instances : Instances
        Tells which objects have flags.
    numbers : bool
    """
    height, width = picture.shape[:2]
    ids, ranks = np.unique(plane, return_inverse=True)
    if not ids.any():
        return picture
    small = ranks.reshape(plane.shape).astype(np.int32) + int(ids[0] != 0)
    present = ids[ids != 0]
    fine = _enlarged(small, (height * _FINE, width * _FINE))
    cover = np.where(fine > 0, np.where(_edge(fine), 1.0, _TINT), _shade(fine)).astype(np.float32)
    flagged = {segment.id for segment in instances.segments if needs_eyes(segment.flags)}
    kinds = classes_apart(instances)
    table = np.array(
        [(0, 0, 0), *(FLAGGED if i in flagged else colour(kinds[i]) if i in kinds else _calm(int(i)) for i in present)],
        np.float32,
    )
    paint = _averaged(table[fine] * cover[..., None])
    bare = 1.0 - _averaged(cover[..., None])
    drawn = np.clip(picture * bare + paint + 0.5, 0, 255).astype(np.uint8)
    return _numbered(drawn, small, present) if numbers and len(present) <= MOST_NUMBERS else drawn


def classes_apart(instances: Instances) -> dict[int, int]:
    """Return the class of each object where there are several classes; empty where there is one.

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> from medseg.labels import Segment
    >>> labels, grid = np.array([[4, 9]]), image_grid((1, 2), (1.0, 1.0), "px")
    >>> classes_apart(Instances(labels, grid, (Segment(4, 1), Segment(9, 2))))
    {4: 1, 9: 2}
    >>> classes_apart(Instances(labels, grid, (Segment(4, 1), Segment(9, 1))))
    {}
    """
    kinds = {segment.id: segment.class_id for segment in instances.segments}
    return kinds if len(set(kinds.values())) > 1 else {}


def _calm(number: int) -> Colour:
    """Return an object's colour: bright, apart from the neighbours' in number, and far from the signal colour."""
    return _CALM[number % len(_CALM)]


def _edge(fine: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return the inner rim of each object; objects that leave the picture stay open at its edge."""
    from scipy import ndimage

    reach = 2 * _REACH - 1
    highest = ndimage.maximum_filter(fine, reach, mode="nearest")
    return np.asarray(highest != ndimage.minimum_filter(fine, reach, mode="nearest"))


def _shade(fine: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return how dark the ground is drawn just outside of each object."""
    from scipy import ndimage

    near = ndimage.maximum_filter(fine, 2 * _DARK + 1, mode="nearest") > 0
    return np.where(near & (fine == 0), np.float32(_SHADE), np.float32(0.0))


def _enlarged(small: npt.NDArray[np.int32], shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Return the numbers at another size, each pixel the one that lies there."""
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * m / n).astype(np.intp), m - 1)
        for n, m in zip(shape, small.shape, strict=True)
    )
    return small[np.ix_(rows, columns)]


def _averaged(fine: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    h, w, c = fine.shape
    return np.asarray(fine.reshape(h // _FINE, _FINE, w // _FINE, _FINE, c).mean(axis=(1, 3)), np.float32)


def _numbered(picture: Picture, small: npt.NDArray[np.int32], present: npt.NDArray[Any]) -> Picture:
    height, width = picture.shape[:2]
    scale = (height / small.shape[0], width / small.shape[1])
    flat = small.ravel()
    counts = np.bincount(flat)
    rows, columns = np.divmod(np.arange(flat.size), small.shape[1])
    centres = [np.bincount(flat, weights=axis) / np.maximum(counts, 1) for axis in (rows, columns)]
    wide = np.sqrt(counts * scale[0] * scale[1] * 4.0 / np.pi)
    page = Image.fromarray(picture)
    draw = ImageDraw.Draw(page)
    for rank, number in enumerate(present, start=1):
        text = str(int(number))
        size = int(np.clip(wide[rank] / 2.2, 9, 13))
        if wide[rank] < max(_SMALLEST, 0.62 * size * len(text)):
            continue
        place = ((centres[1][rank] + 0.5) * scale[1], (centres[0][rank] + 0.5) * scale[0])
        write_text(draw, place, text, size=size, anchor="mm", halo=True)
    return np.asarray(page)
