"""Values <-> napari layers. The only file that knows napari's axes: inferior, posterior, left, in millimetres.

A scan's axes are exchanged as a view, so no voxel is copied: the one that runs most nearly along the body comes first,
then front to back, then side to side, however the scan was cut, since napari cannot slice axes that its affine
exchanges. With napari's origin at the upper left, anterior and superior are up and the patient's left is on the right,
as a radiologist expects. Micrographs keep their axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg import Grid, Instances, LabelMap, MedsegError, Segment, Volume
from medseg.report.window import opening_window
from medseg.volume import Source
from napari_plugin import _foreign
from napari_plugin._colours import channel_colours, class_colours

LayerData = tuple[Any, dict[str, Any], str]
Limits = Sequence[tuple[float, float]]
MOVED = 1e-3
"""A layer counts as moved when a corner lies this share of the smallest spacing away from where it was read."""

RGB = ("red", "green", "blue")
_UNITS = {"mm": "mm", "um": "um", "px": "pixel"}
_SLAB = 1 << 24


def volume_layers(volume: Volume, name: str, *, limits: Limits | None = None) -> list[LayerData]:
    """Return one image layer per channel, with affine, units, axis names and contrast; a colour picture is one layer.

    Parameters
    ----------
    volume : Volume
    name : str
        Name of the layers; channels of several are told apart by theirs.
    limits : sequence of (low, high), optional
        Contrast of each channel, for an array that must not be read for it.
    """
    shared = {**layer_place(volume.grid), "metadata": {"medseg": _record(volume)}}
    if volume.channels == RGB and volume.array.dtype == np.uint8 and volume.grid.space == "image":
        return [(np.moveaxis(volume.array, 0, -1), {**shared, "name": name, "rgb": True}, "image")]
    layers: list[LayerData] = []
    is_scan = volume.grid.space == "patient"
    colours = {} if is_scan else channel_colours(len(volume.channels))
    if is_scan:
        shared["interpolation2d"] = "linear"  # as on a reading screen: thick slices are no mosaic
    for index, channel in enumerate(volume.channels):
        data = as_shown(volume.array[index], volume.grid)
        title = name if len(volume.channels) == 1 else f"{name} {channel}"
        record = {**shared["metadata"]["medseg"], "channel": channel}
        layers.append(
            (
                data,
                {
                    **shared,
                    "name": title,
                    "contrast_limits": limits[index] if limits else contrast(data, volume),
                    "metadata": {"medseg": record},
                    **colours.get(index, {}),
                },
                "image",
            )
        )
    return layers


def maps_layers(volume: Volume, name: str, *, limits: Limits | None = None) -> list[LayerData]:
    """Return one see-through layer per map of a model: probabilities from 0 to 1, others by their values."""
    layers: list[LayerData] = []
    for index, channel in enumerate(volume.channels):
        data = as_shown(volume.array[index], volume.grid)
        low, high = limits[index] if limits else contrast(data)
        record = {**_record(volume), "channel": channel}
        attributes = {
            **layer_place(volume.grid),
            "name": f"{name} {channel}",
            "contrast_limits": (0.0, 1.0) if low >= 0.0 and high <= 1.0 else (low, high),
            "blending": "additive",
            "colormap": "inferno",
            "metadata": {"medseg": record},
        }
        layers.append((data, attributes, "image"))
    return layers


def labels_layer(labels: LabelMap, name: str, **metadata: Any) -> LayerData:
    """Return a labels layer on the grid of its image, with class names as features and one colour per class.

    Parameters
    ----------
    labels : LabelMap
    name : str
    **metadata
        More entries for ``layer.metadata["medseg"]``, such as `model` or `partial`.
    """
    ids = [0, *sorted(labels.classes)]
    names = ["background", *(labels.classes[i] for i in ids[1:])]
    record = {**_record(labels), "classes": dict(labels.classes), **metadata}
    attributes = {**layer_place(labels.grid), "name": name, "metadata": {"medseg": record}}
    attributes["colormap"] = class_colours(labels.classes)
    if labels.classes:
        attributes["features"] = {"index": ids, "class": names}
    return as_shown(labels.array, labels.grid), attributes, "labels"


def instances_layer(instances: Instances, name: str, **metadata: Any) -> LayerData:
    """Return a labels layer whose numbers are objects, each in a colour of its own.

    Parameters
    ----------
    instances : Instances
    name : str
    **metadata
        More entries for ``layer.metadata["medseg"]``, such as `maps` or `request`.
    """
    record = {
        **_record(instances),
        "classes": dict(instances.classes),
        "segments": tuple(instances.segments),
        **metadata,
    }
    place = layer_place(instances.grid)
    return as_shown(instances.array, instances.grid), {**place, "name": name, "metadata": {"medseg": record}}, "labels"


def volume_from_layer(layer: Any) -> Volume:
    """Return the image of an image layer without copying it.

    Parameters
    ----------
    layer : napari.layers.Image
        Of medseg, or opened by napari or another plugin: then it lies in image space, where napari shows it.

    Raises
    ------
    MedsegError
        If the layer was moved since medseg read it, has other than 2 or 3 axes, or is sheared.
    """
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    record = record_of(layer)
    if getattr(layer, "rgb", False):
        planes, channels = np.moveaxis(data[..., :3], -1, 0), RGB
        return Volume(planes, _grid_of(layer, planes.shape[1:]), channels, record.get("read"))
    grid = _grid_of(layer, data.shape)
    array = _stored(data, grid)[None]
    notices = tuple(record.get("warnings", ()))
    return Volume(array, grid, (str(record.get("channel", "0")),), record.get("read"), notices)


def label_map_of(layer: Any) -> LabelMap:
    """Return a labels layer as classes, with the class names that the layer keeps.

    Raises
    ------
    MedsegError
        As `volume_from_layer`.
    """
    array, grid = _labels_of(layer)
    record = record_of(layer)
    return LabelMap(array, grid, dict(record.get("classes", {})), record.get("read"))


def instances_of(layer: Any) -> Instances:
    """Return a labels layer as objects: what is known of each id that is still there, and new ids as class 1.

    Raises
    ------
    MedsegError
        As `volume_from_layer`.
    """
    array, grid = _labels_of(layer)
    record = record_of(layer)
    return Instances(array, grid, _segments(array, record), dict(record.get("classes", {})), record.get("read"))


def labels_from_layer(data: Any, attributes: dict[str, Any]) -> LabelMap:
    """Return the label map of a labels layer, on exactly the grid that its image was read with.

    Parameters
    ----------
    data : integer array
    attributes : dict
        The layer's attributes as napari hands them to a writer; ``metadata["medseg"]["grid"]`` tells the grid.

    Raises
    ------
    MedsegError
        If the layer was not made by medseg, or was moved, scaled or cut since.
    """
    array, record = _written(data, attributes)
    return LabelMap(array, record["grid"], dict(record.get("classes", {})))


def instances_from_layer(data: Any, attributes: dict[str, Any]) -> Instances | None:
    """Return the objects of a layer of objects, None for a layer of classes; refuses as `labels_from_layer` does."""
    array, record = _written(data, attributes)
    if "segments" not in record:
        return None
    return Instances(array, record["grid"], _segments(array, record), dict(record.get("classes", {})))


def blank_labels(layer: Any, name: str) -> LayerData:
    """Return an empty labels layer exactly on an image layer, to draw in."""
    grid = volume_from_layer(layer).grid
    data, attributes, kind = labels_layer(LabelMap(np.zeros(grid.shape, np.uint8), grid), name, image=layer.name)
    return data, attributes, kind


def image_layers(viewer: Any) -> list[Any]:
    """Return the image layers of a viewer that have 2 or 3 axes, topmost first."""
    return [layer for layer in reversed(viewer.layers) if _kind(layer) == "image" and layer.ndim in (2, 3)]


def labels_layers(viewer: Any) -> list[Any]:
    """Return the labels layers of a viewer that have 2 or 3 axes, topmost first."""
    return [layer for layer in reversed(viewer.layers) if _kind(layer) == "labels" and layer.ndim in (2, 3)]


def record_of(layer: Any) -> dict[str, Any]:
    """Return what medseg knows of a layer, ``layer.metadata["medseg"]``; empty for a layer of somebody else."""
    found = layer.metadata.get("medseg", {})
    return found if isinstance(found, dict) else {}


def world_point(place: Any, index: Any, viewer: Any = None) -> tuple[float, ...]:
    """Return where a voxel lies for the viewer: for `viewer.dims.set_point` and `viewer.camera.center`.

    Parameters
    ----------
    place : napari layer or Grid
    index : (n,) floats
        Counted as in the value of the layer (`volume_from_layer(layer).grid`): (i, j, k) for a scan, ([z,] y, x) else.
    viewer : napari.viewer.Viewer, optional
        Gives the point at which the viewer shows the voxel, in the viewer's unit: another one than the layer's where
        millimetres lie beside micrometres, another place in slices that are oblique to the scan.
    """
    is_grid = isinstance(place, Grid)
    order, units = (_order(place), layer_place(place)["units"]) if is_grid else (_layer_order(place), place.units)
    matrix = layer_place(place)["affine"] if is_grid else _foreign.matrix_of(place)
    position = np.asarray(index, dtype=np.float64)[list(order)]
    world = (_foreign.shown_matrix(matrix, viewer) @ [*position, 1.0])[:-1]
    return tuple(float(x) for x in world * _foreign.unit_factors(units, viewer))


def index_of(layer: Any, world: Any, viewer: Any = None) -> tuple[int, ...]:
    """Return the voxel of a layer's value that lies at a point of the viewer; it may lie outside of the image.

    Parameters
    ----------
    layer : napari layer
    world : floats
        Such as ``viewer.cursor.position`` or ``viewer.dims.point``; the last axes count.
    viewer : napari.viewer.Viewer, optional
        As for `world_point`.
    """
    point = np.asarray(world, dtype=np.float64)[-layer.ndim :] / _foreign.unit_factors(layer.units, viewer)
    voxels = np.linalg.inv(_foreign.shown_matrix(_foreign.matrix_of(layer), viewer)) @ [*point, 1.0]
    found = np.rint(voxels[:-1]).astype(int)
    return tuple(int(found[i]) for i in np.argsort(_layer_order(layer)))


def layer_place(grid: Grid) -> dict[str, Any]:
    """Return affine, units and axis names of a layer on `grid`."""
    if grid.space == "image":
        return {
            "affine": np.array(grid.world_from_index),
            "units": (_UNITS[grid.unit],) * grid.ndim,
            "axis_labels": grid.axis_codes,
        }
    sign = np.array([-1.0, -1.0, -1.0, 1.0])
    return {
        "affine": sign[:, None] * grid.world_from_index[[2, 1, 0, 3]][:, [*_order(grid), 3]],
        "units": ("mm",) * 3,
        "axis_labels": ("inferior", "posterior", "left"),
    }


def contrast(data: Any, volume: Volume | None = None) -> tuple[float, float]:
    """Return limits for showing an array: the soft-tissue window for CT, else all but the outermost half percents.

    Parameters
    ----------
    data : array
    volume : Volume, optional
        Where the array comes from; without it no modality is known.
    """
    window = opening_window(np.asarray(data)[None], volume)
    return window.low, window.high


def _record(value: Volume | LabelMap | Instances) -> dict[str, Any]:
    source: Source | None = value.source
    path = source.path if source and Path(source.path).exists() else None
    return {"grid": value.grid, "source": path, "read": source, "warnings": value.warnings}


def _labels_of(layer: Any) -> tuple[npt.NDArray[Any], Grid]:
    data = np.asarray(layer.data[0] if getattr(layer, "multiscale", False) else layer.data)
    grid = _grid_of(layer, data.shape)
    return _stored(data, grid), grid


def _grid_of(layer: Any, shape: tuple[int, ...]) -> Grid:
    """Return the grid that the layer was read with, or for a foreign layer the one on which napari shows it."""
    grid = record_of(layer).get("grid")
    matrix = _foreign.matrix_of(layer)
    if not isinstance(grid, Grid):
        return _foreign.grid_of(matrix, shape, layer.units, layer.name)
    if tuple(shape) != _shape(grid) or _moved(matrix, grid):
        raise _refused(f"the layer {layer.name!r}, which was moved, scaled or cut", "the layer where it was read")
    return grid


def _written(data: Any, attributes: dict[str, Any]) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    record = attributes.get("metadata", {}).get("medseg", {})
    grid = record.get("grid")
    if not isinstance(grid, Grid):
        raise _refused("a layer that does not know the grid of its image", "a layer made from an image read by medseg")
    array = _stored(np.asarray(data), grid)
    if array.shape != grid.shape or _moved(_foreign.matrix_in(attributes, grid.ndim), grid):
        raise _refused("a layer that was moved, scaled or cut", "the layer where its image lies")
    return array, record


def _segments(array: npt.NDArray[Any], record: dict[str, Any]) -> tuple[Segment, ...]:
    known = {segment.id: segment for segment in record.get("segments", ())}
    return tuple(known.get(i, Segment(i)) for i in present_ids(array))


def present_ids(array: npt.NDArray[Any]) -> list[int]:
    """Return the numbers above 0 of a label array, rising; by counting where that is faster than sorting."""
    if not array.size:
        return []
    flat = array.reshape(-1, order="A")
    top = int(flat.max())
    if top >= _SLAB or int(flat.min()) < 0:
        return [int(i) for i in np.unique(flat) if i > 0]
    seen = np.zeros(top + 1, bool)
    for start in range(0, flat.size, _SLAB):
        seen[flat[start : start + _SLAB]] = True
    return [int(i) for i in np.flatnonzero(seen[1:]) + 1]


def _order(grid: Grid) -> tuple[int, ...]:
    """Return which of the grid's axes is each of the layer's."""
    return grid.axes_to("SAR").order if grid.space == "patient" else tuple(range(grid.ndim))


def _layer_order(layer: Any) -> tuple[int, ...]:
    grid = record_of(layer).get("grid")
    return _order(grid) if isinstance(grid, Grid) else tuple(range(layer.ndim))


def _shape(grid: Grid) -> tuple[int, ...]:
    return tuple(grid.shape[axis] for axis in _order(grid))


def as_shown(array: Any, grid: Grid) -> Any:
    """Return an array of a value with its axes as the layer has them: a view."""
    return array.transpose(_order(grid))


def _stored(array: Any, grid: Grid) -> Any:
    return array.transpose(tuple(int(axis) for axis in np.argsort(_order(grid))))


def _kind(layer: Any) -> str:
    from napari.layers import Image, Labels

    return "labels" if isinstance(layer, Labels) else "image" if isinstance(layer, Image) else ""


def _moved(matrix: npt.NDArray[np.float64], grid: Grid) -> bool:
    n = grid.ndim
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in _shape(grid)])).reshape(n, -1)
    points = np.vstack([corners, np.ones(corners.shape[1])])
    return bool(np.abs((matrix - layer_place(grid)["affine"]) @ points).max() > MOVED * min(grid.spacing))


def _refused(found: str, expected: str) -> MedsegError:
    return MedsegError(
        "E_GEOMETRY_MISMATCH",
        found=found,
        expected=expected,
        not_done="nothing was written",
        remedy="Make a new labels layer from the image, and save that.",
    )
