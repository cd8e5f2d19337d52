"""From an image to its objects by a detector: brought to size, looked at, drawn on the image's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import nn

from medseg.detection.found import Found, masked, moved
from medseg.detection.look import Looker, look_steps
from medseg.detection.paste import Pasted, pasted_steps
from medseg.detection.plan import diameters
from medseg.detection.scores import calibrated, knots_of, threshold_of
from medseg.errors import InputError, Notice
from medseg.grid import Grid
from medseg.instance.doctor import examine
from medseg.instance.predict import LOOKS, liveliest
from medseg.instance.scale import CLOSE_ENOUGH, canonical, quietened, zoom_for, zoomed, zoomed_grid
from medseg.instance.targets import relative_spacing
from medseg.labels import Instances, LabelMap, Segment
from medseg.models.card import ModelCard
from medseg.nets.maskrcnn.network import MaskRCNN
from medseg.ops.intensity import inspect
from medseg.prediction import ObjectMask, Prediction
from medseg.progress import Progress, Steps
from medseg.volume import Volume

_Seen = tuple[list[Found], tuple[Notice, ...]]


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """How an image becomes objects.

    Parameters
    ----------
    diameter : float, optional
        Median diameter of the objects in the unit of the image's grid; estimated from the image when absent.
    tta : bool
        Look at mirrored tiles, too.
    half : bool
        Half precision.
    overlapping : bool
        Keep every object's own mask beside the image of numbered objects, in which a voxel has one owner.
    """

    diameter: float | None = None
    tta: bool = False
    half: bool = False
    overlapping: bool = False


def segment_detections_steps(
    volume: Volume, network: nn.Module, card: ModelCard, *, options: DetectOptions, device: torch.device
) -> Steps[Prediction]:
    """Find the separate objects of an image.

    Parameters
    ----------
    volume : Volume
        One channel, or red, green and blue.
    network : nn.Module
    card : ModelCard
        ``split`` says the wanted diameter, the least score and what a score is worth.
    options : DetectOptions
    device : torch.device

    Returns
    -------
    Prediction
        ``instances`` on ``volume.grid`` with the detector's scores, the classes of their voxels in ``labels``, and
        ``masks`` where they were asked for.

    Raises
    ------
    InputError
        If the image has other axes or channels than the model can see.
    """
    _check_axes(volume, card)
    yield Progress("preparing", 0, 1)
    finite, notices = inspect(volume)
    quiet, width = quietened(finite)
    if width:
        text = f"the image is noisier than those of the training; it was smoothed by {width:.2g} voxels first"
        notices = (*notices, Notice("W_OUT_OF_DISTRIBUTION", text))
    image = canonical(quiet, card.input.normalisation.percentiles)
    looker = _looker(network, card, image.grid, options, device)
    seen: _Seen | None = None
    if options.diameter is not None:
        zoom = zoom_for(options.diameter / min(image.grid.spacing), max(looker.diameter))
    else:
        zoom, seen = yield from _fitting_steps(image, looker)
    found, more = seen or (yield from _seen_steps(image, zoom, looker))
    pasted = yield from pasted_steps(found, volume.grid.shape)
    pasted = replace(pasted, found=tuple(calibrated(pasted.found, knots_of(card))))
    instances, labels = _on_grid(pasted, volume, card)
    masks = _masks(pasted.found, volume.grid) if options.overlapping else ()
    return Prediction(labels, None, (*volume.warnings, *notices, *more), instances, masks)


def estimated_diameter(found: Sequence[Found], spacing: tuple[float, ...]) -> float:
    """Return the median diameter in voxels of the finest axis; objects count by their width, so dust does not win.

    Not a number where nothing is found.
    """
    n_axes = len(spacing)
    sizes = np.array([f.size for f in found if f.size > 0]) * float(np.prod(relative_spacing(spacing)))
    if not len(sizes):
        return float("nan")
    widths = np.sort(np.sqrt(sizes * 4 / np.pi) if n_axes == 2 else np.cbrt(sizes * 6 / np.pi))
    shares = np.cumsum(widths) / widths.sum()
    return float(widths[np.searchsorted(shares, 0.5)])


def _looker(network: nn.Module, card: ModelCard, grid: Grid, options: DetectOptions, device: torch.device) -> Looker:
    n_axes = len(card.input.patch)
    usual = np.array(diameters(n_axes, grid.spacing if n_axes == 3 else (1.0, 1.0)))
    wanted = float(card.split.get("diameter", usual.max()))
    return Looker(
        cast("MaskRCNN", network),
        card.input.patch,
        tuple((usual * wanted / usual.max()).tolist()),
        device,
        threshold_of(card),
        card.input.mirror_axes if options.tta else (),
        options.half,
    )


def _fitting_steps(image: Volume, looker: Looker) -> Steps[tuple[float, _Seen | None]]:
    """Look a few times for the zoom at which the objects have the wanted diameter.

    Returns the zoom, and what was found at this zoom where the last look saw the whole image.
    """
    sample = liveliest(image)
    quick = replace(looker, mirror_axes=())
    zoom = 1.0
    for look in range(LOOKS):
        yield Progress("looking for the size of the objects", look, LOOKS)
        found, notices = yield from _seen_steps(sample, zoom, quick)
        diameter = estimated_diameter(found, image.grid.spacing)
        better = zoom if np.isnan(diameter) else zoom_for(diameter, max(looker.diameter))
        if abs(np.log(better / zoom)) < np.log(CLOSE_ENOUGH):
            return zoom, (found, notices) if sample is image and not looker.mirror_axes else None
        zoom = better
    return zoom, None


def _seen_steps(image: Volume, zoom: float, looker: Looker) -> Steps[_Seen]:
    """Return the objects of an image, found at a zoom, in voxels of the image."""
    grid = image.grid
    # a 3-D model was trained on the stacks' own shape of voxels
    same_shape = tuple(max(1, round(n * zoom)) for n in grid.shape)
    working = zoomed_grid(grid, zoom, (0, 1)) if grid.ndim == 2 else grid.reshaped(same_shape)
    found, notices = yield from look_steps(zoomed(image, working).numpy(), looker)
    factor = np.array(grid.shape) / np.array(working.shape)
    return [moved(f, factor=factor) for f in found], notices


def _on_grid(pasted: Pasted, volume: Volume, card: ModelCard) -> tuple[Instances, LabelMap]:
    scores = {n: round(f.score, 4) for n, f in enumerate(pasted.found, 1)}
    segments = tuple(Segment(n, f.class_id, scores[n]) for n, f in enumerate(pasted.found, 1))
    bare = Instances(pasted.array, volume.grid, segments, dict(card.classes), volume.source)
    flagged = examine(bare)
    # the doctor judges by shape alone here; the detector's own score says more
    own = tuple(replace(s, score=scores[s.id]) for s in flagged.segments)
    table = np.array([0, *(s.class_id for s in own)], np.uint8)
    labels = LabelMap(table[pasted.array], volume.grid, dict(card.classes), source=volume.source)
    return replace(flagged, segments=own), labels


def _masks(found: Sequence[Found], grid: Grid) -> tuple[ObjectMask, ...]:
    made = []
    for number, own in enumerate(found, 1):
        start, mask = masked(own, grid.shape)
        made.append(ObjectMask(number, own.class_id, round(own.score, 4), start, mask))
    return tuple(made)


def _check_axes(volume: Volume, card: ModelCard) -> None:
    axes = len(card.input.patch)
    if volume.grid.ndim == axes:
        return
    raise InputError(
        "E_DIMENSIONS_UNSUPPORTED",
        path=None if volume.source is None else volume.source.path,
        found=f"an image of {volume.grid.ndim} axes",
        expected=f"an image of {axes} axes, as the detector was trained on",
        not_done="its objects were not found",
        remedy="Choose a detector for such images, or a model that splits by the watershed: medseg models",
    )
