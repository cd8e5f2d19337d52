"""How large the objects of an image are: a few looks at parts of it, and a brake where they are not to be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.errors import Notice
from medseg.grid import Grid, image_grid
from medseg.instance.loss import N_CLASSES
from medseg.instance.scale import CLOSE_ENOUGH, equivalent_diameters, usual_diameter, zoom_for
from medseg.instance.targets import BOUNDARY_WIDTH, relative_spacing
from medseg.ops.reorient import cropped
from medseg.progress import Progress, Steps, retold
from medseg.volume import Volume

Seen = tuple[Volume, tuple[Notice, ...]]
Look = Callable[[Volume, float], Steps[Seen]]
_T = TypeVar("_T")

LOOKS = 3
"""Most times that the object size is estimated anew."""
SAMPLE_SIDE = {2: 1024, 3: 128}
"""Largest side, in voxels, of the part on which the object size is estimated, by number of axes."""
SAMPLE_PLANES = 5
SMALLEST_PART = 4
"""Parts of fewer pixels than this are dust when the size is estimated."""
CLEAR_ENOUGH = 0.72
"""Mean probability of what is taken for the inside of objects, from which it is believed. At the first look it was
.80 and more in 35 pictures and 7 stacks of nuclei, .61 to .65 in white noise and in a stack that is nearly only noise,
where the next looks would find ever smaller objects that are not there."""
MOST_SPREAD = 2.0
"""Two looks at one image that differ by more than this factor do not tell a size."""
STACK_ZOOM = 3.0
"""Stacks are enlarged by at most this factor on the ground of an estimate: the work grows with its third power."""


@dataclass(frozen=True, slots=True)
class Size:
    """What the looks came to.

    Parameters
    ----------
    zoom : float
        Factor that brings the objects to the wanted diameter; 1 where their size could not be told.
    seen : (Volume, tuple of Notice) or None
        Maps at this zoom, where the last look saw the whole image.
    notices : tuple of Notice
        W_OBJECT_SIZE where the size could not be told, or not be followed.
    """

    zoom: float
    seen: Seen | None = None
    notices: tuple[Notice, ...] = ()


def estimated_diameter(classes: npt.NDArray[Any], spacing: tuple[float, ...]) -> float:
    """Return the median diameter, in voxels of the finest axis, of the parts that the interior falls into.

    The boundary that was cut off is added again. Objects count by their width, so that dust does not outvote them.
    Not a number where nothing is found.

    Parameters
    ----------
    classes : (*s) integer array
        0 background, 1 interior, 2 boundary.
    spacing : (n,) floats

    Examples
    --------
    >>> classes = np.zeros((20, 20), int)
    >>> classes[5:15, 5:15] = 1
    >>> round(estimated_diameter(classes, (1.0, 1.0)), 1)
    15.3
    """
    parts, n = ndimage.label(classes == 1)
    if n == 0:
        return float("nan")
    kept = np.bincount(parts.ravel()) >= SMALLEST_PART
    kept[0] = False
    sizes = equivalent_diameters(np.where(kept[parts], parts, 0), relative_spacing(spacing))
    return usual_diameter(sizes) + 2.0 * BOUNDARY_WIDTH


def size_steps(image: Volume, look: Look, *, model_axes: int, wanted: float) -> Steps[Size]:
    """Look a few times for the zoom at which the objects have the wanted diameter.

    Parameters
    ----------
    image : Volume
        In the canonical look.
    look : callable
        Returns the maps of an image at a zoom: background, interior and boundary first.
    model_axes : int
        Axes that the model sees at once; of a stack a flat model looks at a few planes.
    wanted : float
        Diameter in voxels of the working grid.
    """
    samples = samples_of(image, model_axes)
    zoom, before = 1.0, float("nan")
    for number in range(LOOKS):
        seen: list[Seen] = []
        for sample in samples:
            step = Progress("looking for the size of the objects", number, LOOKS)
            seen.append((yield from watched(look(sample, zoom), step)))
            yield step
        diameter, clear = _told(seen)
        diameter /= zoom
        # without any object there is nothing to bring to size, and nothing to warn of
        reason = "" if np.isnan(diameter) else _doubt(diameter, before, clear)
        if reason:
            return Size(1.0, notices=(_unknown(reason),))
        better = zoom if np.isnan(diameter) else zoom_for(diameter, wanted)
        if image.grid.ndim > 2 and better > STACK_ZOOM:
            return Size(STACK_ZOOM, notices=(_bounded(diameter, better),))
        if abs(np.log(better / zoom)) < np.log(CLOSE_ENOUGH):
            return Size(zoom, seen[0] if samples[0] is image else None)
        zoom, before = better, diameter
    return Size(zoom)


def _told(seen: list[Seen]) -> tuple[float, float]:
    """Return the median over the samples of the diameter, in voxels of what was seen, and of how clear it is."""
    diameters, clear = [], []
    for maps, _ in seen:
        array = maps.numpy()
        classes = array[:N_CLASSES].argmax(axis=0)
        diameters.append(estimated_diameter(classes, maps.grid.spacing))
        inside = array[1][classes == 1]
        clear.append(float(inside.mean()) if inside.size else float("nan"))
    if np.isnan(diameters).all():
        return float("nan"), float("nan")
    return float(np.nanmedian(diameters)), float(np.nanmedian(clear))


def _doubt(diameter: float, before: float, clear: float) -> str:
    """Return why a size is not to be believed; "" where it is."""
    if clear < CLEAR_ENOUGH:
        return f"the model is not sure of what it takes for objects ({clear:.0%} on average)"
    if not np.isnan(before) and abs(np.log(diameter / before)) > np.log(MOST_SPREAD):
        return f"one look found objects of {before:.0f} voxels, the next of {diameter:.0f}"
    return ""


def _unknown(reason: str) -> Notice:
    text = f"the size of the objects could not be told: {reason}; the image was looked at as it is, give --diameter"
    return Notice("W_OBJECT_SIZE", text)


def _bounded(diameter: float, zoom: float) -> Notice:
    text = (
        f"the objects seem to be about {diameter:.0f} voxels wide; the stack was enlarged {STACK_ZOOM:g} times and "
        f"not {zoom:.1f}, to bound the work; if that is their size, give it with --diameter"
    )
    return Notice("W_OBJECT_SIZE", text)


def watched(steps: Steps[_T], step: Progress) -> Steps[_T]:
    """Run work to its end or not at all, pausing with the same `step` after each of its own."""
    return (yield from retold(steps, lambda _: step))


def samples_of(image: Volume, n_axes: int) -> list[Volume]:
    """Return parts of an image that tell the size of its objects: the liveliest part, or that of a few planes."""
    if image.grid.ndim == n_axes:
        return [liveliest(image)]
    picks = np.unique(np.linspace(0, image.grid.shape[0] - 1, SAMPLE_PLANES + 2).round().astype(int)[1:-1])
    array = image.numpy()
    plane: Grid = image_grid(image.grid.shape[1:], image.grid.spacing[1:], image.grid.unit)
    return [liveliest(Volume(np.ascontiguousarray(array[:, k]), plane, image.channels)) for k in picks]


def liveliest(image: Volume) -> Volume:
    """Return the box of at most `SAMPLE_SIDE` voxels a side with the most contrast: there the objects are."""
    shape = image.grid.shape
    if max(shape) <= SAMPLE_SIDE[len(shape)]:
        return image
    sides = tuple(min(SAMPLE_SIDE[len(shape)], n) for n in shape)
    starts = product(*(range(0, n - side + 1, side) for n, side in zip(shape, sides, strict=True)))
    boxes = [tuple(slice(a, a + side) for a, side in zip(start, sides, strict=True)) for start in starts]
    best = max(boxes, key=lambda box: float(image.array[0][box].std()))
    return cropped(image, tuple(b.start for b in best), sides)
