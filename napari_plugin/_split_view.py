"""What of a layer the viewer shows: a box of voxels, one slice thick in slices, around the camera's centre in 3-D."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_plugin._foreign import unit_factors
from napari_plugin._layers import index_of
from napari_plugin._views import camera_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from medseg.instance.retune import SplitSource


@dataclass(frozen=True)
class Shown:
    """A part of a layer's value that is in view.

    Parameters
    ----------
    box : tuple of slices
    about : tuple of int
        Voxel in the middle of the view.
    solid : bool
        Shown in 3-D.
    """

    box: tuple[slice, ...]
    about: tuple[int, ...]
    solid: bool


def shown_part(viewer: Viewer, layer: Any, source: SplitSource) -> Shown | None:
    """Return what the viewer shows of a layer, in voxels of what its objects are separated from.

    Parameters
    ----------
    viewer : Viewer
    layer : napari layer
    source : SplitSource
        The layer's, or a part of it.
    """
    whole = shown_of(viewer, layer, (source.home or source.grid).shape)
    if whole is None or source.home is None:
        return whole
    sides = [
        slice(max(0, b.start - a), min(n, b.stop - a))
        for a, b, n in zip(source.start, whole.box, source.grid.shape, strict=True)
    ]
    if any(side.start >= side.stop for side in sides):
        return None
    about = np.clip(np.array(whole.about) - source.start, [s.start for s in sides], [s.stop - 1 for s in sides])
    return Shown(tuple(sides), tuple(int(i) for i in about), whole.solid)


def shown_of(viewer: Viewer, layer: Any, shape: tuple[int, ...]) -> Shown | None:
    """Return what the viewer shows of a layer, in voxels of its value; None where nothing of it is in view.

    Parameters
    ----------
    viewer : Viewer
    layer : napari layer
    shape : tuple of int
        Of the layer's value.
    """
    n = layer.ndim
    own = unit_factors(layer.units, viewer)
    displayed = [axis - (viewer.dims.ndim - n) for axis in viewer.dims.displayed]
    point = np.asarray(viewer.dims.point, dtype=np.float64)[-n:].copy()
    solid = len(displayed) > 2
    if solid:
        centre = np.asarray(camera_of(viewer).center, dtype=np.float64)[-len(displayed) :]
        for axis, value in zip(displayed, centre, strict=True):
            if axis >= 0:
                point[axis] = value
        about = _inside(index_of(layer, point, viewer), shape)
        return Shown(tuple(slice(0, size) for size in shape), about, True)
    if any(axis < 0 for axis in displayed):
        return None
    corners = _corners(viewer, layer, displayed) * own
    indices = []
    for pick in product((0, 1), repeat=len(displayed)):
        for axis, end in zip(displayed, pick, strict=True):
            point[axis] = corners[end, axis]
        indices.append(index_of(layer, point, viewer))
    low, high = np.min(indices, axis=0), np.max(indices, axis=0)
    starts, stops = np.maximum(low, 0), np.minimum(high + 1, shape)
    if (starts >= stops).any():
        return None
    box = tuple(slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True))
    return Shown(box, tuple(int(a + b) // 2 for a, b in zip(starts, stops, strict=True)), False)


def _corners(viewer: Viewer, layer: Any, displayed: list[int]) -> Any:
    """Return two corners of what is in view in the layer's world; napari keeps them up to date for visible layers."""
    factors = unit_factors(layer.units, viewer)
    if layer.visible:
        return _world_corners(layer, layer.corner_pixels, displayed)
    other = next((one for one in reversed(viewer.layers) if one.visible and one.ndim == layer.ndim), None)
    if other is None:
        return np.asarray(layer.extent.world, dtype=np.float64)  # nothing is visible: all of it will do
    return _world_corners(other, other.corner_pixels, displayed) * unit_factors(other.units, viewer) / factors


def _world_corners(layer: Any, pixels: Any, displayed: list[int]) -> Any:
    point = np.asarray(pixels, dtype=np.float64).copy()
    if layer.multiscale:  # counted in voxels of the level that is shown
        point *= np.asarray(layer.downsample_factors[layer.data_level], dtype=np.float64)
    hidden = [axis for axis in range(layer.ndim) if axis not in displayed]
    point[:, hidden] = point[:1, hidden]
    return np.array([layer.data_to_world(tuple(p)) for p in point], dtype=np.float64)


def _inside(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(min(max(i, 0), size - 1) for i, size in zip(index, shape, strict=True))
