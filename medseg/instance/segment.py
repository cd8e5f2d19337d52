"""From an image to its separate objects on its own grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from medseg.grid import Grid
from medseg.instance.options import SplitOptions
from medseg.instance.predict import MapOptions, predict_maps_steps
from medseg.instance.watershed import split_maps_steps
from medseg.labels import Instances, LabelMap, smallest_integer_type
from medseg.models.card import ModelCard
from medseg.ops.resample import resampled, resampled_labels
from medseg.prediction import Prediction
from medseg.progress import Steps
from medseg.volume import Volume

SPLIT_MAPS = ("background", "interior", "boundary", "distance")


def segment_instances_steps(
    volume: Volume,
    network: nn.Module,
    card: ModelCard,
    *,
    options: MapOptions,
    split: SplitOptions | None = None,
    save_maps: bool = False,
    device: torch.device,
) -> Steps[Prediction]:
    """Find the separate objects of an image.

    Parameters
    ----------
    volume : Volume
    network : nn.Module
    card : ModelCard
    options : MapOptions
    split : SplitOptions, optional
        Lengths in the unit of the image's grid; the card's tuned numbers when absent.
    save_maps : bool
        Keep the maps on the working grid.
    device : torch.device

    Returns
    -------
    Prediction
        ``instances`` on ``volume.grid``, and the same voxels as a class in ``labels``.
    """
    maps = yield from predict_maps_steps(volume, network, card, options=options, device=device)
    chosen = split or card_split(card, maps.grid)
    found = yield from instances_on_steps(maps, volume.grid, chosen)
    class_id = min(card.classes)
    found = replace(
        found,
        segments=tuple(replace(s, class_id=class_id) for s in found.segments),
        classes=dict(card.classes),
        source=volume.source,
    )
    mask = (found.array > 0).astype(np.uint8) * np.uint8(class_id)
    labels = LabelMap(mask, volume.grid, dict(card.classes), source=volume.source)
    return Prediction(labels, maps if save_maps else None, maps.warnings, found)


def instances_on_steps(maps: Volume, grid: Grid, split: SplitOptions) -> Steps[Instances]:
    """Separate objects and bring them to a grid of the same extent.

    Maps that are coarser than the grid are refined first, so that outlines are smooth; objects found on finer maps are
    read off at the grid's voxels.

    Parameters
    ----------
    maps : Volume
        As from `predict_maps_steps`.
    grid : Grid
    split : SplitOptions
    """
    picks = [maps.channels.index(name) for name in SPLIT_MAPS]
    needed = Volume(maps.numpy()[picks], maps.grid, SPLIT_MAPS, maps.source)
    if any(n < m for n, m in zip(maps.grid.shape, grid.shape, strict=True)):
        finer = tuple(max(n, m) for n, m in zip(maps.grid.shape, grid.shape, strict=True))
        needed = resampled(needed, grid if finer == grid.shape else grid.reshaped(finer), order=1)
    found = yield from split_maps_steps(needed, options=split)
    if needed.grid.shape == grid.shape:
        return replace(found, grid=grid)
    array = resampled_labels(LabelMap(found.array, needed.grid), grid).array
    kept = np.bincount(array.ravel(), minlength=len(found.segments) + 1) > 0
    segments = tuple(s for s in found.segments if kept[s.id])
    highest = max((s.id for s in segments), default=0)
    return replace(found, array=array.astype(smallest_integer_type(highest)), grid=grid, segments=segments)


def card_split(card: ModelCard, grid: Grid) -> SplitOptions:
    """Return the tuned numbers of a card for a working grid.

    The card keeps lengths and sizes in voxels of the working grid, where all objects are about equally large.

    Parameters
    ----------
    card : ModelCard
    grid : Grid
        Working grid.
    """
    step = min(grid.spacing)
    numbers = {name: value for name, value in card.split.items() if name != "diameter"}
    units = {"min_distance": step, "smoothing": step, "min_size": step**grid.ndim}
    scaled = {name: float(value) * units[name] if name in units else value for name, value in numbers.items()}
    return SplitOptions.from_dict(scaled)
