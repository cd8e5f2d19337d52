"""From an image to the maps that tell its objects apart; three axes are seen slice by slice in three directions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medseg.errors import InputError, Notice
from medseg.grid import Grid, image_grid
from medseg.instance.loss import N_CLASSES
from medseg.instance.scale import (
    REFERENCE_DIAMETER,
    canonical,
    equivalent_diameters,
    zoom_for,
    zoomed,
    zoomed_grid,
)
from medseg.instance.targets import relative_spacing
from medseg.models.card import ModelCard
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.ops.intensity import inspect
from medseg.ops.resample import resampled
from medseg.progress import Progress, Steps
from medseg.volume import Volume

Floats = npt.NDArray[np.float32]
LOOKS = 3
"""Most times that the object size is estimated anew."""
SMALLEST_SEED = 4
"""Fewer voxels than this are not believed to be an object when the size is estimated."""


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How an image becomes maps.

    Parameters
    ----------
    diameter : float, optional
        Median diameter of the objects in the unit of the image's grid; estimated from the image when absent.
    tta : bool
        Average over mirrored images.
    overlap : float
        Share of a tile that its neighbour covers too.
    batch : int
        Tiles per call of the network.
    half : bool
        Half precision.
    """

    diameter: float | None = None
    tta: bool = False
    overlap: float = 0.25
    batch: int = 4
    half: bool = False


def predict_maps_steps(
    volume: Volume, network: nn.Module, card: ModelCard, *, options: MapOptions, device: torch.device
) -> Steps[Volume]:
    """Return the maps of an image on the working grid.

    The image is brought to three channels with bright objects, and zoomed so that its objects have the diameter that the
    model likes best. A 2-D model sees a stack slice by slice in three directions, and the maps are averaged.

    Parameters
    ----------
    volume : Volume
        One channel, or red, green and blue.
    network : nn.Module
    card : ModelCard
        ``split["diameter"]`` is the wanted diameter in voxels of the working grid.
    options : MapOptions
    device : torch.device

    Returns
    -------
    Volume
        Channels ``background``, ``interior``, ``boundary`` (shares that sum to 1), ``distance`` (0 at the outline to 1
        in the middle) and ``offset_*`` (way to the centre along each axis, in voxels of the finest axis of the working
        grid). Same extent as `volume`.

    Raises
    ------
    InputError
        If the image has other axes or channels than the model can see.
    """
    _check_axes(volume, card)
    yield Progress("preparing", 0, 1)
    finite, notices = inspect(volume)
    image = canonical(finite, card.input.normalisation.percentiles)
    zoom, told = yield from _fitting_zoom(image, network, card, options, device)
    maps, more = yield from _maps_at(image, zoom, network, card, options, device)
    return replace(maps, source=volume.source, warnings=(*volume.warnings, *notices, *told, *more))


def estimated_diameter(maps: Volume) -> float:
    """Return the median diameter of the parts that the interior falls into, in voxels of the finest axis.

    The boundary that was cut off is added again. Not a number where nothing is found. For a stack the plane with the
    most objects speaks, since discs are seen there.

    Parameters
    ----------
    maps : Volume
        With channels ``background``, ``interior``, ``boundary``.
    """
    from scipy import ndimage

    from medseg.instance.targets import BOUNDARY_WIDTH

    classes = maps.numpy()[:N_CLASSES].argmax(axis=0)
    steps = relative_spacing(maps.grid.spacing)
    # faces only along the axes of the finest plane; a stack is looked at plane by plane
    planes = classes[None] if classes.ndim == 2 else classes
    found: list[float] = []
    for plane in planes:
        parts, n = ndimage.label(plane == 1)
        if n:
            diameters = equivalent_diameters(parts, steps[-2:])
            found.extend(d for d in diameters if d * d >= SMALLEST_SEED)
    if not found:
        return float("nan")
    sizes = np.sort(np.asarray(found))
    # dust must not outvote: the median by diameter, so that each object counts by its width
    middle = sizes[np.searchsorted(np.cumsum(sizes), 0.5 * sizes.sum())] if classes.ndim == 3 else np.median(sizes)
    return float(middle) + 2.0 * BOUNDARY_WIDTH


def _fitting_zoom(
    image: Volume, network: nn.Module, card: ModelCard, options: MapOptions, device: torch.device
) -> Steps[tuple[float, tuple[Notice, ...]]]:
    wanted = card.split.get("diameter", REFERENCE_DIAMETER)
    finest = min(image.grid.spacing)
    if options.diameter is not None:
        return zoom_for(options.diameter / finest, wanted), ()
    sample = _sample(image)
    zoom = 1.0
    for _ in range(LOOKS):
        maps, _ = yield from _maps_at(sample, zoom, network, card, options, device)
        diameter = estimated_diameter(maps) / zoom
        better = zoom_for(diameter, wanted)
        if not np.isfinite(diameter) or abs(np.log(better / zoom)) < np.log(1.15):
            break
        zoom = better
    return zoom, ()


def _sample(image: Volume) -> Volume:
    """Return the part that the object size is estimated on: the middle planes of a stack, the whole of a picture."""
    if image.grid.ndim == 2:
        return image
    n = image.grid.shape[0]
    keep = slice(n // 4, max(n // 4 + 1, n - n // 4), max(1, n // 10))
    array = image.numpy()[:, keep]
    z, y, x = image.grid.spacing
    spacing = (z * (keep.step or 1), y, x)
    unit = image.grid.unit
    return Volume(np.ascontiguousarray(array), image_grid(array.shape[1:], spacing, unit), image.channels)


def _maps_at(
    image: Volume, zoom: float, network: nn.Module, card: ModelCard, options: MapOptions, device: torch.device
) -> Steps[tuple[Volume, tuple[Notice, ...]]]:
    axes = len(card.input.patch)
    if image.grid.ndim == axes:
        working = zoomed(image, zoom)
        maps, notices = yield from _answer(working.numpy(), network, card, options, device)
        maps[N_CLASSES + 1 :] *= card.split.get("diameter", REFERENCE_DIAMETER)
        return Volume(_shares(maps), working.grid, card.outputs), notices
    return (yield from _stack_maps(image, zoom, network, card, options, device))


def _answer(
    array: Floats, network: nn.Module, card: ModelCard, options: MapOptions, device: torch.device
) -> Steps[tuple[Floats, tuple[Notice, ...]]]:
    tiles = TileOptions(
        patch=card.input.patch,
        n_out=len(card.outputs),
        overlap=options.overlap,
        batch=options.batch,
        mirror_axes=(),
        half=options.half,
    )
    return (yield from predict_maps(network, np.ascontiguousarray(array), options=tiles, device=device))


def _shares(maps: Floats) -> Floats:
    """Turn the class logits into shares in place, and hold the distance within 0 to 1."""
    classes = maps[:N_CLASSES]
    classes -= classes.max(axis=0)
    np.exp(classes, out=classes)
    classes /= classes.sum(axis=0)
    np.clip(maps[N_CLASSES], 0.0, 1.0, out=maps[N_CLASSES])
    return maps
