"""How large the objects of an image are, and the image seen at the zoom that brings them to the wanted size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.detection.found import Found, moved
from medseg.detection.look import Looker, look_steps
from medseg.errors import Notice
from medseg.instance.scale import CLOSE_ENOUGH, usual_diameter, zoom_for, zoomed, zoomed_grid
from medseg.instance.sizing import LOOKS, samples_of, watched
from medseg.instance.targets import relative_spacing
from medseg.progress import Progress, Steps
from medseg.volume import Volume

Seen = tuple[list[Found], tuple[Notice, ...]]


def seen_steps(image: Volume, zoom: float, looker: Looker) -> Steps[Seen]:
    """Return the objects of an image, found at a zoom, in voxels of the image.

    Parameters
    ----------
    image : Volume
        In the canonical look; with as many axes as the detector sees at once.
    zoom : float
    looker : Looker
    """
    grid = image.grid
    # a 3-D model was trained on the stacks' own shape of voxels
    same_shape = tuple(max(1, round(n * zoom)) for n in grid.shape)
    working = zoomed_grid(grid, zoom, (0, 1)) if grid.ndim == 2 else grid.reshaped(same_shape)
    found, notices = yield from look_steps(zoomed(image, working).numpy(), looker)
    factor = np.array(grid.shape) / np.array(working.shape)
    return [moved(f, factor=factor) for f in found], notices


def fitting_steps(image: Volume, looker: Looker) -> Steps[tuple[float, Seen | None]]:
    """Look a few times for the zoom at which the objects have the wanted diameter.

    Returns the zoom, and what was found at this zoom where the last look saw the whole image.

    Parameters
    ----------
    image : Volume
        Of a stack that a flat detector cannot see at once, a few planes are looked at.
    looker : Looker
    """
    samples = samples_of(image, len(looker.patch))
    zoom = 1.0
    for look in range(LOOKS):
        step = Progress("looking for the size of the objects", look, LOOKS)
        yield step
        seen = yield from _each_steps(samples, zoom, looker, step)
        widths = [estimated_diameter(found, s.grid.spacing) for (found, _), s in zip(seen, samples, strict=True)]
        better = zoom if np.isnan(widths).all() else zoom_for(float(np.nanmedian(widths)), max(looker.diameter))
        if abs(np.log(better / zoom)) < np.log(CLOSE_ENOUGH):
            return zoom, seen[0] if samples[0] is image else None
        zoom = better
    return zoom, None


def _each_steps(samples: Sequence[Volume], zoom: float, looker: Looker, step: Progress) -> Steps[list[Seen]]:
    seen: list[Seen] = []
    for sample in samples:
        found = yield from watched(seen_steps(sample, zoom, looker), step)
        seen.append(found)
    return seen


def estimated_diameter(found: Sequence[Found], spacing: tuple[float, ...]) -> float:
    """Return the median diameter in voxels of the finest axis; objects count by their width, so dust does not win.

    Not a number where nothing is found.

    Parameters
    ----------
    found : sequence of Found
    spacing : (n,) floats
    """
    sizes = np.array([f.size for f in found if f.size > 0]) * float(np.prod(relative_spacing(spacing)))
    return usual_diameter(np.sqrt(sizes * 4 / np.pi) if len(spacing) == 2 else np.cbrt(sizes * 6 / np.pi))
