"""From an image to its objects by a detector: brought to size, looked at, drawn on the image's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import nn

from medseg.detection.found import Found, masked
from medseg.detection.look import Looker
from medseg.detection.paste import Pasted, pasted_steps
from medseg.detection.plan import diameters
from medseg.detection.scores import calibrated, knots_of, threshold_of
from medseg.detection.size import Seen, fitting_steps, seen_steps
from medseg.detection.stack import stack_steps
from medseg.errors import ModelError
from medseg.grid import Grid
from medseg.instance.doctor import examine
from medseg.instance.predict import check_axes, prepared_steps
from medseg.instance.scale import zoom_for
from medseg.labels import Instances, LabelMap, Segment, smallest_integer_type
from medseg.models.card import ModelCard
from medseg.nets.maskrcnn.network import MaskRCNN
from medseg.prediction import ObjectMask, Prediction
from medseg.progress import Steps, to_the_end
from medseg.volume import Volume


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
        One channel, or red, green and blue. A detector of flat images sees a stack slice by slice, and sections that
        lie upon each other become one object, see `medseg.detection.stack`.
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
        If the image has fewer axes or other channels than the model can see.
    """
    check_axes(volume, card)
    _check_classes(card)
    image, notices = yield from prepared_steps(volume, card)
    seen = yield from _found_steps(image, network, card, options, device)
    found, more = [_named(f, card) for f in seen[0]], seen[1]
    pasted = yield from to_the_end(pasted_steps(found, volume.grid.shape))
    tables = {c: knots_of(card, c, mirrored=options.tta) for c in card.classes}
    pasted = replace(pasted, found=tuple(calibrated(pasted.found, tables)))
    instances, labels = _on_grid(pasted, volume, card)
    masks = _masks(pasted.found, volume.grid) if options.overlapping else ()
    return Prediction(labels, None, (*volume.warnings, *notices, *more), instances, masks)


def _found_steps(
    image: Volume, network: nn.Module, card: ModelCard, options: DetectOptions, device: torch.device
) -> Steps[Seen]:
    """Return the objects in voxels of the image, found at the zoom that brings them to the wanted size."""
    looker = _looker(network, card, image.grid, options, device)
    flat = len(looker.patch)
    if options.diameter is not None:
        zoom = zoom_for(options.diameter / min(image.grid.spacing[-flat:]), max(looker.diameter))
    else:
        quick = _looker(network, card, image.grid, replace(options, tta=False), device)
        zoom, seen = yield from fitting_steps(image, quick)
        if seen is not None and not options.tta:
            return seen
    return (yield from (stack_steps if image.grid.ndim > flat else seen_steps)(image, zoom, looker))


def _looker(network: nn.Module, card: ModelCard, grid: Grid, options: DetectOptions, device: torch.device) -> Looker:
    n_axes = len(card.input.patch)
    usual = np.array(diameters(n_axes, grid.spacing if n_axes == 3 else (1.0, 1.0)))
    wanted = float(card.split.get("diameter", usual.max()))
    least = tuple(threshold_of(card, c, mirrored=options.tta) for c in sorted(card.classes))
    return Looker(
        cast("MaskRCNN", network),
        card.input.patch,
        tuple((usual * wanted / usual.max()).tolist()),
        device,
        min(least),
        card.input.mirror_axes if options.tta else (),
        options.half,
        least,
    )


def _named(found: Found, card: ModelCard) -> Found:
    """Return an object with the number of its class: the network counts the card's classes through."""
    return replace(found, class_id=sorted(card.classes)[found.class_id - 1])


def _on_grid(pasted: Pasted, volume: Volume, card: ModelCard) -> tuple[Instances, LabelMap]:
    scores = {n: round(f.score, 4) for n, f in enumerate(pasted.found, 1)}
    segments = tuple(Segment(n, f.class_id, scores[n]) for n, f in enumerate(pasted.found, 1))
    bare = Instances(pasted.array, volume.grid, segments, dict(card.classes), volume.source)
    flagged = examine(bare)
    # the doctor judges by shape alone here; the detector's own score says more
    own = tuple(replace(s, score=scores[s.id]) for s in flagged.segments)
    table = np.array([0, *(s.class_id for s in own)], smallest_integer_type(max(card.classes)))
    labels = LabelMap(table[pasted.array], volume.grid, dict(card.classes), source=volume.source)
    return replace(flagged, segments=own), labels


def _masks(found: Sequence[Found], grid: Grid) -> tuple[ObjectMask, ...]:
    made = []
    for number, own in enumerate(found, 1):
        start, mask = masked(own, grid.shape)
        made.append(ObjectMask(number, own.class_id, round(own.score, 4), start, mask))
    return tuple(made)


def _check_classes(card: ModelCard) -> None:
    if len(card.outputs) == len(card.classes) + 1:
        return
    raise ModelError(
        "E_BUNDLE_INTEGRITY",
        found=f"{len(card.classes)} classes and {len(card.outputs)} outputs in the card of {card.name}",
        expected="an output for the background and for each class",
        not_done="no objects were looked for",
        remedy="Get the model again.",
    )
