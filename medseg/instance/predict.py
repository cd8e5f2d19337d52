"""From an image to the maps that tell its objects apart; three axes are seen slice by slice in three directions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medseg.errors import InputError, Notice
from medseg.grid import Grid
from medseg.instance.loss import N_CLASSES
from medseg.instance.memory import affordable_zoom
from medseg.instance.scale import (
    REFERENCE_DIAMETER,
    canonical,
    ground_notices,
    quietened,
    zoom_for,
    zoomed,
    zoomed_grid,
)
from medseg.instance.sizing import Seen, Size, size_steps, watched
from medseg.instance.targets import OFFSET_UNIT
from medseg.models.card import ModelCard
from medseg.nets.tiled import TileOptions, predict_maps, stopped_notice
from medseg.ops.intensity import inspect
from medseg.progress import FinishEarly, Pace, Progress, Steps
from medseg.volume import Volume

Floats = npt.NDArray[np.float32]
TILE_GROWTH = 3
"""Tiles of a network with fixed norms are at most this many times as long as its training patch: fewer seams, less work
done twice."""
MOST_STRETCH = 4.0
"""A stack whose slices lie further apart than this many pixels is seen from above only."""


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


@dataclass(frozen=True, eq=False, slots=True)
class _Seer:
    """A network with everything that it takes to ask it."""

    network: nn.Module
    card: ModelCard
    options: MapOptions
    device: torch.device

    @property
    def wanted(self) -> float:
        return float(self.card.split.get("diameter", REFERENCE_DIAMETER))

    def tiles(self, shape: tuple[int, ...]) -> TileOptions:
        """Return the tiles for an image of `shape`; a network with fixed norms may see more than in training."""
        patch = self.card.input.patch
        if self.card.architecture.options.get("norm") == "batch":
            steps = _total_strides(self.card)
            patch = tuple(
                min(TILE_GROWTH * p, -(-n // step) * step) for p, n, step in zip(patch, shape, steps, strict=True)
            )
        options = self.options
        return TileOptions(patch, len(self.card.outputs), options.overlap, options.batch, half=options.half)


def _total_strides(card: ModelCard) -> tuple[int, ...]:
    strides = np.array(card.architecture.options["strides"], dtype=int)
    return tuple(int(n) for n in strides.prod(axis=0))


def predict_maps_steps(
    volume: Volume, network: nn.Module, card: ModelCard, *, options: MapOptions, device: torch.device
) -> Steps[Volume]:
    """Return the maps of an image on the working grid.

    The image is brought to three channels with bright objects, and zoomed so that its objects have the diameter that
    the model likes best. A 2-D model sees a stack slice by slice in three directions, and the maps are averaged.

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
        grid). Same extent as `volume`; its spacing is that of the working grid. After `FinishEarly`: the finished
        tiles or slices, background elsewhere, and W_PARTIAL. W_OBJECT_SIZE where the size of the objects could not be
        told from the image (it is looked at as it is then), or could not be followed.

    Raises
    ------
    InputError
        If the image has other axes or channels than the model can see.
    ResourceError
        If the work does not fit into the memory that is free (E_OOM_CPU), told before it begins.
    """
    check_axes(volume, card)
    seer = _Seer(network, card, options, device)
    image, notices = yield from prepared_steps(volume, card)
    size = yield from _size_steps(image, seer)
    maps, more = size.seen or (yield from _maps_at(image, size.zoom, seer))
    return replace(maps, source=volume.source, warnings=(*volume.warnings, *notices, *size.notices, *more))


def prepared_steps(volume: Volume, card: ModelCard) -> Steps[Seen]:
    """Return the image in the canonical look, and what there is to say about it."""
    yield Progress("preparing", 0, 3)
    finite, notices = inspect(volume)
    yield Progress("preparing", 1, 3)
    quiet, width = quietened(finite)
    if width:
        text = f"the image is noisier than those of the training; it was smoothed by {width:.2g} voxels first"
        notices = (*notices, Notice("W_OUT_OF_DISTRIBUTION", text))
    notices = (*notices, *ground_notices(finite))
    yield Progress("preparing", 2, 3)
    return canonical(quiet, card.input.normalisation.percentiles), notices


def _size_steps(image: Volume, seer: _Seer) -> Steps[Size]:
    """Return the zoom that the objects need, as far as the memory reaches."""
    model_axes, given = len(seer.card.input.patch), seer.options.diameter
    afford = partial(affordable_zoom, image.grid, working=lambda zoom: _working_grid(image.grid, zoom, model_axes))
    if given is not None:
        return Size(afford(zoom_for(given / min(image.grid.spacing), seer.wanted), asked=True)[0])
    look = partial(_maps_at, seer=seer)
    size = yield from size_steps(image, look, model_axes=model_axes, wanted=seer.wanted)
    zoom, lowered = (size.zoom, ()) if size.seen else afford(size.zoom, asked=False)
    return replace(size, zoom=zoom, notices=(*size.notices, *lowered))


def _working_grid(grid: Grid, zoom: float, model_axes: int) -> Grid:
    """Return the grid that the model sees: cubic for a stack and a flat model, unless its slices lie far apart."""
    if grid.ndim == model_axes:
        # a 3-D model was trained on the stacks' own shape of voxels
        same_shape = tuple(max(1, round(n * zoom)) for n in grid.shape)
        return zoomed_grid(grid, zoom, (0, 1)) if model_axes == 2 else grid.reshaped(same_shape)
    return zoomed_grid(grid, zoom, _plane_axes(grid) if _flat_only(grid) else (0, 1, 2))


def _flat_only(grid: Grid) -> bool:
    return grid.spacing[0] > MOST_STRETCH * min(grid.spacing[1:]) or grid.shape[0] < 2


def _plane_axes(grid: Grid) -> tuple[int, ...]:
    return (grid.ndim - 2, grid.ndim - 1)


def _maps_at(image: Volume, zoom: float, seer: _Seer) -> Steps[Seen]:
    working = _working_grid(image.grid, zoom, len(seer.card.input.patch))
    if image.grid.ndim > len(seer.card.input.patch):
        return (yield from _stack_maps(image, working, seer))
    maps, notices = yield from _answer(zoomed(image, working).numpy(), seer)
    return Volume(_shares(maps), working, seer.card.outputs), notices


def _stack_maps(image: Volume, working: Grid, seer: _Seer) -> Steps[Seen]:
    """Average the maps of all planes along z, y and x; the way to the centre along an axis is seen from two sides."""
    array = zoomed(image, working).numpy()
    views = (0,) if _flat_only(image.grid) else (0, 1, 2)
    names = ("background", "interior", "boundary", "distance", "offset_z", "offset_y", "offset_x")
    sums = np.zeros((len(names), *working.shape), np.float32)
    pace = Pace("looking at the slices", sum(working.shape[v] for v in views))
    planes = [(view, k) for view in views for k in range(working.shape[view])]
    done = 0
    notices: tuple[Notice, ...] = ()
    try:
        for view, k in planes:
            rows = [0, 1, 2, 3, *_ways_seen_from(view)]
            plane = np.moveaxis(array, view + 1, 1)[:, k]
            maps, more = yield from watched(_answer(plane, seer), pace.at(done))
            notices = tuple(dict.fromkeys((*notices, *more)))
            np.moveaxis(sums, view + 1, 1)[rows, k] += _shares(maps)
            done += 1
            yield pace.at(done)
    except FinishEarly:
        notices = (*notices, stopped_notice(done, len(planes), "slices"))
        _average_what_was_seen(sums, planes[:done])
        return Volume(sums, working, names), notices
    sums[: N_CLASSES + 1] /= len(views)
    sums[N_CLASSES + 1 :] /= max(1, len(views) - 1)
    return Volume(sums, working, names), notices


def _ways_seen_from(view: int) -> list[int]:
    return [N_CLASSES + 1 + axis for axis in range(3) if axis != view]


def _average_what_was_seen(sums: Floats, planes: list[tuple[int, int]]) -> None:
    """Divide every voxel by the number of directions it was seen from so far; unseen ones are background."""
    seen = np.zeros((3, *sums.shape[1:]), np.uint8)
    for view, k in planes:
        np.moveaxis(seen[view], view, 0)[k] = 1
    times = seen.sum(axis=0)
    sums[: N_CLASSES + 1] /= np.maximum(times, 1)
    sums[0][times == 0] = 1.0
    for axis in range(3):
        sums[N_CLASSES + 1 + axis] /= np.maximum(times - seen[axis], 1)


def _answer(array: Floats, seer: _Seer) -> Steps[tuple[Floats, tuple[Notice, ...]]]:
    """Return the network's raw (n_out, *s) maps; mirrored images answer with mirrored ways to the centre."""
    n_axes = array.ndim - 1
    flips = list(product((False, True), repeat=2)) if seer.options.tta else [(False, False)]
    total: Floats | None = None
    notices: tuple[Notice, ...] = ()
    for number, flip in enumerate(flips):
        axes = [n_axes - 2 + k for k in range(2) if flip[k]]
        turned = np.flip(array, tuple(a + 1 for a in axes)) if axes else array
        tiles = seer.tiles(array.shape[1:])
        steps = predict_maps(seer.network, np.ascontiguousarray(turned), options=tiles, device=seer.device)
        try:
            # the first look may end with a part; a later one is dropped then, for the first has seen all
            maps, more = yield from (watched(steps, Progress("looking at it mirrored", number, 4)) if number else steps)
        except FinishEarly:
            if total is None:
                raise
            text = f"stopped after {number} of {len(flips)} mirrored looks; the average is of these"
            return total / np.float32(number), (*notices, Notice("W_PARTIAL", text))
        notices = tuple(dict.fromkeys((*notices, *more)))
        for axis in axes:
            maps[N_CLASSES + 1 + axis] *= -1.0
        maps = np.flip(maps, tuple(a + 1 for a in axes)) if axes else maps
        total = np.array(maps) if total is None else total + maps
        if any(notice.code == "W_PARTIAL" for notice in notices):
            return total, notices
    assert total is not None
    return total / np.float32(len(flips)), notices


def _shares(maps: Floats) -> Floats:
    """Turn class logits into shares and ways into voxels, in place, and hold the distance within 0 to 1."""
    classes = maps[:N_CLASSES]
    classes -= classes.max(axis=0)
    np.exp(classes, out=classes)
    classes /= classes.sum(axis=0)
    np.clip(maps[N_CLASSES], 0.0, 1.0, out=maps[N_CLASSES])
    maps[N_CLASSES + 1 :] *= np.float32(OFFSET_UNIT)
    return maps


def check_axes(volume: Volume, card: ModelCard) -> None:
    """Refuse an image of fewer axes than the model sees at once.

    Raises
    ------
    InputError
    """
    axes = len(card.input.patch)
    if volume.grid.ndim < axes:
        raise InputError(
            "E_DIMENSIONS_UNSUPPORTED",
            path=None if volume.source is None else volume.source.path,
            found=f"an image of {volume.grid.ndim} axes",
            expected=f"a stack of {axes} axes, as the model was trained on",
            not_done="its objects were not separated",
            remedy="Choose a model for flat images.",
        )
