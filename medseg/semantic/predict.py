"""From an image to labels on its own grid, by a trained network."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medseg.errors import Notice, UsageError
from medseg.grid import Grid
from medseg.labels import LabelMap, smallest_integer_type
from medseg.learn.preprocess import check_kind, to_working
from medseg.likeness import reasons_unlike
from medseg.models.card import ModelCard
from medseg.nets.tiled import TileOptions, predict_slabs
from medseg.ops.argmax import LabelSlabs
from medseg.ops.components import cleaned
from medseg.ops.reorient import cropped
from medseg.ops.slab import Slab, cut
from medseg.prediction import Prediction
from medseg.progress import FinishEarly, Progress, Steps
from medseg.semantic.memory import check_memory
from medseg.semantic.trust import Trust
from medseg.volume import Volume

Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """How an image is segmented.

    Parameters
    ----------
    tta : bool
        Average over mirrored images, along the axes that were mirrored in training.
    roi : box, optional
        (start, stop) voxel indices along each axis of the image as stored; outside is background.
    save_maps : bool
        Keep the probabilities on the working grid.
    batch : int
        Tiles per call of the network.
    overlap : float
        Share of a tile that its neighbour covers too.
    half : bool
        Half precision.
    """

    tta: bool = False
    roi: Box | None = None
    save_maps: bool = False
    batch: int = 1
    overlap: float = 0.5
    half: bool = False


def predict_steps(
    volume: Volume, network: nn.Module, card: ModelCard, *, options: PredictOptions, device: torch.device
) -> Steps[Prediction]:
    """Segment one image.

    The image is brought to the model's orientation and spacing, the network runs tile by tile, and the class of every
    voxel is decided on the image's own grid; probabilities of full size are never made.

    Parameters
    ----------
    volume : Volume
    network : nn.Module
    card : ModelCard
    options : PredictOptions
    device : torch.device

    Returns
    -------
    Prediction
        Labels on ``volume.grid``; maps on the working grid where asked for; how good each structure probably is,
        where the card tells. After `FinishEarly`: the finished tiles, background elsewhere, and W_PARTIAL.

    Raises
    ------
    InputError
        If the image is of another kind than the model expects.
    """
    part = volume if options.roi is None else _part(volume, options.roi)
    check_kind(part, card.input)
    check_memory(part.grid, card, batch=options.batch, save_maps=options.save_maps)
    yield Progress("preparing", 0, 1)
    working, notices = to_working(part, card.input)
    notices = (*notices, *_size_notices(working, card))
    notices = (*notices, *(Notice("W_OUT_OF_DISTRIBUTION", reason) for reason in reasons_unlike(card, part)))
    tiles = _tiles(card, options)
    slabs = LabelSlabs(working.grid.shape, _turned(part.grid, card).shape)
    shares = np.empty((tiles.n_out, *working.grid.shape), np.float32) if options.save_maps else None
    trust = Trust(card)

    def take(slab: Slab) -> None:
        slabs.take(slab)
        trust.take(slab)
        if shares is not None:
            there = cut(shares, slab.axis, slice(slab.start, slab.stop))
            there[:] = torch.softmax(torch.from_numpy(slab.finished), dim=0).numpy()

    more = yield from predict_slabs(network, working.numpy(), options=tiles, device=device, take=take)
    with suppress(FinishEarly):  # all tiles are done
        yield Progress("deciding", 0, 1)
    labels = _native_labels(slabs.labels, part, card)
    if options.roi is not None:
        labels = _back_in_place(labels, volume, options.roi)
    kept = None if shares is None else Volume(shares, working.grid, card.outputs, source=working.source)
    confidence, low = trust.told(labels.array, more, whole=options.roi is None)
    told = (*volume.warnings, *notices, *more, *low)
    return Prediction(replace(labels, source=volume.source), kept, told, confidence=confidence)


def _tiles(card: ModelCard, options: PredictOptions) -> TileOptions:
    return TileOptions(
        patch=card.input.patch,
        n_out=len(card.classes) + 1,
        overlap=options.overlap,
        batch=options.batch,
        mirror_axes=card.input.mirror_axes if options.tta else (),
        half=options.half,
    )


def _turned(grid: Grid, card: ModelCard) -> Grid:
    axes = grid.axes_to(card.input.orientation) if card.input.orientation else None
    return grid.mapped(axes) if axes else grid


def _native_labels(classes: npt.NDArray[Any], part: Volume, card: ModelCard) -> LabelMap:
    """Return the labels as the image is stored, from numbers of classes as the model is oriented."""
    spec = card.input
    axes = part.grid.axes_to(spec.orientation) if spec.orientation else None
    ids = np.array([0, *sorted(card.classes)])
    # ids that rise by one from 0 are the numbers of the classes
    array = classes if ids[-1] == len(ids) - 1 else ids.astype(smallest_integer_type(int(ids.max())))[classes]
    labels = LabelMap(array, _turned(part.grid, card), dict(card.classes))
    labels = cleaned(labels, **card.postprocessing.model_dump())
    back = labels.array if axes is None else axes.inverse().apply(labels.array)
    return LabelMap(np.ascontiguousarray(back), part.grid, dict(card.classes))


def _part(volume: Volume, roi: Box) -> Volume:
    inside = len(roi) == volume.grid.ndim and all(
        0 <= low < high <= n for (low, high), n in zip(roi, volume.grid.shape, strict=True)
    )
    if not inside:
        raise UsageError(
            "E_USAGE",
            found=f"the box {roi} for an image of {volume.grid.shape} voxels",
            expected="a start and a larger stop within the image along each axis",
            not_done="nothing was segmented",
            remedy="Correct --roi.",
        )
    return cropped(volume, tuple(low for low, _ in roi), tuple(high - low for low, high in roi))


def _back_in_place(labels: LabelMap, volume: Volume, roi: Box) -> LabelMap:
    whole = np.zeros(volume.grid.shape, labels.array.dtype)
    whole[tuple(slice(low, high) for low, high in roi)] = labels.array
    return LabelMap(whole, volume.grid, labels.classes)


def _size_notices(working: Volume, card: ModelCard) -> list[Notice]:
    notices = []
    shape, patch = working.grid.shape, card.input.patch
    # images a little smaller than the patch are normal, since patches are rounded up
    if any(2 * n < p for n, p in zip(shape, patch, strict=True)):
        text = f"the image has {_sizes(shape)} voxels at the model's spacing, the model looks at {_sizes(patch)}"
        notices.append(Notice("W_SMALLER_THAN_PATCH", text))
    return notices


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
