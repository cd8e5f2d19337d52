"""How much memory a segmentation will take, told from shapes before any of it is computed."""

from __future__ import annotations

import math

from medseg.errors import ResourceError
from medseg.grid import Grid
from medseg.io.memory import available_bytes
from medseg.learn.preprocess import working_grid
from medseg.models.card import ModelCard
from medseg.ops.tiles import outer_axis

MAPS_PER_TILE = 10
"""A network holds about this many maps of its first level at once while it answers for one tile."""


def predicted_bytes(grid: Grid, card: ModelCard, *, batch: int = 1, save_maps: bool = False) -> int:
    """Return the peak of additional memory while an image on `grid` is segmented.

    Counted are the resampled and the normalised image, one sum per class for a row of tiles, the labels on both
    grids, and the activations of one call of the network; never one map per class of a whole grid, unless they are to
    be kept.

    Parameters
    ----------
    grid : Grid
        Of the image, as it was read.
    card : ModelCard
    batch : int
        Tiles per call.
    save_maps : bool
        The probabilities on the working grid are kept.
    """
    spec = card.input
    turned = grid.mapped(grid.axes_to(spec.orientation)) if spec.orientation else grid
    shape = working_grid(turned, spec).shape
    working = math.prod(shape)
    filters = card.architecture.options.get("filters")
    width = filters[0] if isinstance(filters, list) and filters and isinstance(filters[0], int) else 32
    tile = batch * math.prod(spec.patch) * 4 * width
    axis = outer_axis(shape, spec.patch)
    row = math.ceil(working * min(1.0, spec.patch[axis] / shape[axis]))
    maps = (len(card.classes) + 1) * (row + working * save_maps)
    return 4 * (maps + 2 * len(spec.channels) * working) + working + 4 * grid.n_voxels + MAPS_PER_TILE * tile


def check_memory(grid: Grid, card: ModelCard, *, batch: int = 1, save_maps: bool = False) -> None:
    """Refuse an image whose segmentation would not fit into the memory that is free now.

    Raises
    ------
    ResourceError
        E_OOM_CPU.
    """
    needed, free = predicted_bytes(grid, card, batch=batch, save_maps=save_maps), available_bytes()
    if free is None or needed <= free:
        return
    raise ResourceError(
        "E_OOM_CPU",
        found=f"an image whose segmentation takes about {needed / 1e9:.1f} GB more memory",
        expected=f"at most {free / 1e9:.1f} GB, what is free now",
        not_done="it was not segmented",
        remedy="Close other programs, segment a part of it with --roi, or use a computer with more memory.",
    )
