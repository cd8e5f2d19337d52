"""OME-Zarr as layers that load what is looked at: all resolution levels, no voxel before it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medseg import Volume
from medseg.io.zarr_lazy import LazyImage, open_zarr
from medseg.labels import Instances, LabelMap
from medseg.volume import Source
from napari_plugin._layers import (
    LayerData,
    as_shown,
    contrast,
    instances_layer,
    labels_layer,
    maps_layers,
    volume_layers,
)

EDITABLE_BYTES = 512 * 1024**2
"""Label images up to this size are loaded, so that they can be drawn in; larger ones are only shown."""
_SAMPLED_VOXELS = 1 << 24


def lazy_layers(path: str, name: str) -> list[LayerData]:
    """Return the layers of an OME-Zarr folder: one per channel, and its label images.

    Parameters
    ----------
    path : str
    name : str
        Of the layers; one that ends in ``_maps`` holds what a model said.

    Raises
    ------
    MedsegError
        If the folder is no image that medseg reads.
    """
    image = open_zarr(Path(path))
    found = image.found
    n = len(found.channels)
    levels = [[_level(image, level, channel) for level in range(len(image.levels))] for channel in range(n)]
    finest = Volume(
        _stack([one[0] for one in levels]), found.grid, found.channels, Source(path, "zarr"), found.warnings
    )
    limits = [contrast(_sample(one[-1])) for one in levels]
    make = maps_layers if name.endswith("_maps") else volume_layers
    layers: list[LayerData] = []
    for one, (_, attributes, kind) in zip(levels, make(finest, name, limits=limits), strict=True):
        shown = [as_shown(array, found.grid) for array in one]
        several = len(shown) > 1
        layers.append((shown if several else shown[0], {**attributes, "multiscale": several}, kind))
    return [*layers, *(_labels(path, f"{name} {label}", one) for label, one in image.labels)]


def _labels(path: str, name: str, image: LazyImage) -> LayerData:
    found = image.found
    levels = [_level(image, level, 0) for level in range(len(image.levels))]
    if np.dtype(found.dtype).kind not in "iu":
        _, attributes, _ = volume_layers(_one(levels[0], image), name, limits=[contrast(_sample(levels[-1]))])[0]
        return levels[0], attributes, "image"
    small = found.n_bytes <= EDITABLE_BYTES
    array: Any = np.asarray(levels[0]) if small else levels[0]
    source = Source(path, "zarr")
    if image.classes:
        named = LabelMap(array, found.grid, image.classes, source, found.warnings)
        data, attributes, kind = labels_layer(named, name)
    else:
        objects = Instances(array, found.grid, source=source, warnings=found.warnings)
        data, attributes, kind = instances_layer(objects, name)
    if small or len(levels) == 1:
        return data, attributes, kind
    return [as_shown(level, found.grid) for level in levels], {**attributes, "multiscale": True}, kind


def _level(image: LazyImage, level: int, channel: int) -> Any:
    """Return one channel of one level, axes as in the grid, as an array that loads its chunks when asked."""
    import dask.array

    stored = image.levels[level]
    voxels = dask.array.from_array(stored, chunks=stored.chunks)[image.index(channel)]
    # scans lie in the folder as (z, y, x) and are (i, j, k) in medseg
    return voxels.T if image.found.grid.space == "patient" else voxels


def _stack(arrays: list[Any]) -> Any:
    import dask.array

    return dask.array.stack(arrays)


def _one(array: Any, image: LazyImage) -> Volume:
    return Volume(array[None], image.found.grid)


def _sample(array: Any) -> Any:
    """Return enough of the coarsest level to choose a contrast: all of it, or its middle slice."""
    while array.size > _SAMPLED_VOXELS and array.ndim > 2:
        array = array[array.shape[0] // 2]
    return np.asarray(array)
