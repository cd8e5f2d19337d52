"""From an image to its separate objects on its own grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from medseg.grid import Grid
from medseg.instance.choice import SplitChoice, settled
from medseg.instance.landscape import offset_names
from medseg.instance.options import SplitOptions
from medseg.instance.predict import MapOptions, predict_maps_steps
from medseg.instance.watershed import split_maps_steps
from medseg.labels import Instances, LabelMap
from medseg.models.card import ModelCard
from medseg.ops.resample import resampled
from medseg.prediction import Prediction
from medseg.progress import Pace, Steps, finish, to_the_end
from medseg.volume import Volume

SPLIT_MAPS = ("background", "interior", "boundary", "distance")
STACK_SPLIT: dict[str, float | str] = {
    "decoder": "combined",
    "foreground_threshold": 0.3,
    "seed_threshold": 0.3,
    "min_depth": 0.15,
    "smoothing": 2.0,
    "min_distance": 0.0,
    "min_size": 200.0,
}
"""Numbers for stacks that a flat model sees slice by slice, as a card would keep them; chosen on the stacks named in
workflows/score_cells3d.py. Ways to the centre lead to the middle of each slice's own outline there and not to that of
the object, so these stacks are never split by votes."""


def segment_instances_steps(
    volume: Volume,
    network: nn.Module,
    card: ModelCard,
    *,
    options: MapOptions,
    split: SplitOptions | SplitChoice | None = None,
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
    split : SplitOptions or SplitChoice, optional
        Lengths in the unit of the image's grid; the card's tuned numbers stand for those that are absent.
    save_maps : bool
        Keep the maps on the working grid.
    device : torch.device

    Returns
    -------
    Prediction
        ``instances`` on ``volume.grid``, and the same voxels as a class in ``labels``.
    """
    maps = yield from predict_maps_steps(volume, network, card, options=options, device=device)
    chosen = settled(split, card_split(card, maps.grid))
    # the network has seen all that it will: asked to finish early, what is left is done
    found = yield from to_the_end(instances_on_steps(maps, volume.grid, chosen))
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

    The maps are interpolated at the voxels of the grid and split there, so that outlines are as fine as the image.

    Parameters
    ----------
    maps : Volume
        As from `predict_maps_steps`.
    grid : Grid
    split : SplitOptions
    """
    found = yield from split_maps_steps((yield from maps_on_steps(maps, grid)), options=split)
    return replace(found, grid=grid)


def maps_on(maps: Volume, grid: Grid) -> Volume:
    """Return the maps that splitting and scores need, interpolated linearly at the voxels of a grid of the same extent.

    Parameters
    ----------
    maps : Volume
        As from `predict_maps_steps`.
    grid : Grid
    """
    return finish(maps_on_steps(maps, grid))


def maps_on_steps(maps: Volume, grid: Grid) -> Steps[Volume]:
    """Do the work of `maps_on`, yielding after each map."""
    names = SPLIT_MAPS + tuple(name for name in offset_names(grid.ndim) if name in maps.channels)
    array = maps.numpy()
    pace = Pace("bringing the maps to the image", len(names))
    same = maps.grid.shape == grid.shape
    # a way counts voxels of the finest axis, which have another size on the other grid
    longer = np.float32(min(maps.grid.spacing) / min(grid.spacing))
    out = np.empty((len(names), *grid.shape), np.float32)
    for row, name in enumerate(names):
        one = Volume(array[maps.channels.index(name)][None], maps.grid, (name,))
        out[row] = (one if same else resampled(one, grid, order=1)).numpy()[0]
        if row >= len(SPLIT_MAPS) and not same:
            out[row] *= longer
        yield pace.at(row + 1)
    return Volume(out, maps.grid if same else grid, names, maps.source)


def card_split(card: ModelCard, grid: Grid) -> SplitOptions:
    """Return the tuned numbers of a card for a working grid.

    The card keeps lengths and sizes in voxels of the working grid, where all objects are about equally large. Its
    numbers were tuned for as many axes as the model sees; a stack that a flat model sees has numbers of its own.

    Parameters
    ----------
    card : ModelCard
    grid : Grid
        Working grid.
    """
    step = min(grid.spacing)
    own = STACK_SPLIT if grid.ndim > len(card.input.patch) else card.split
    numbers = {name: value for name, value in own.items() if name != "diameter"}
    units = {"min_distance": step, "smoothing": step, "min_size": step**grid.ndim}
    scaled = {name: float(value) * units[name] if name in units else value for name, value in numbers.items()}
    return SplitOptions.from_dict(scaled)
