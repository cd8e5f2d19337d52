"""Values <-> napari layers. The only file that knows napari's axes: (k, j, i) voxels, (I, P, L) millimetres.

A scan's axes are reversed as a view, so no voxel is copied, and the world's axes point inferior, posterior and left:
with napari's origin at the upper left, anterior and superior are up and the patient's left is on the right, as a
radiologist expects. Micrographs keep their axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg import Grid, LabelMap, MedsegError, Volume

LayerData = tuple[npt.NDArray[Any], dict[str, Any], str]
MOVED = 1e-3
"""A layer counts as moved when a corner lies this share of the smallest spacing away from where it was read."""

_UNITS = {"mm": "mm", "um": "um", "px": "pixel"}
_SAMPLE = 200_000


def volume_layers(volume: Volume, name: str) -> list[LayerData]:
    """Return one image layer per channel, with affine, units, axis names and contrast.

    Parameters
    ----------
    volume : Volume
    name : str
        Name of the layers; channels of several are told apart by theirs.
    """
    place = layer_place(volume.grid)
    layers: list[LayerData] = []
    for index, channel in enumerate(volume.channels):
        data = _shown(volume.array[index], volume.grid)
        title = name if len(volume.channels) == 1 else f"{name} {channel}"
        metadata = {"medseg": {"grid": volume.grid, "source": volume.source, "warnings": volume.warnings}}
        layers.append(
            (data, {**place, "name": title, "contrast_limits": contrast(data), "metadata": metadata}, "image")
        )
    return layers


def labels_layer(labels: LabelMap, name: str) -> LayerData:
    """Return a labels layer on the grid of its image, with class names as features."""
    ids = [0, *sorted(labels.classes)]
    names = ["background", *(labels.classes[i] for i in ids[1:])]
    metadata = {"medseg": {"grid": labels.grid, "source": labels.source, "classes": dict(labels.classes)}}
    attributes = {**layer_place(labels.grid), "name": name, "metadata": metadata}
    if labels.classes:
        attributes["features"] = {"index": ids, "class": names}
    return _shown(labels.array, labels.grid), attributes, "labels"


def labels_from_layer(data: npt.NDArray[Any], attributes: dict[str, Any]) -> LabelMap:
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
    kept = attributes.get("metadata", {}).get("medseg", {})
    grid = kept.get("grid")
    if not isinstance(grid, Grid):
        raise _refused("a layer that does not know the grid of its image", "a layer made from an image read by medseg")
    array = _shown(np.asarray(data), grid)
    if array.shape != grid.shape or _moved(attributes, grid):
        raise _refused("a layer that was moved, scaled or cut", "the layer where its image lies")
    return LabelMap(array, grid, dict(kept.get("classes", {})))


def layer_place(grid: Grid) -> dict[str, Any]:
    """Return affine, units and axis names of a layer on `grid`."""
    if grid.space == "image":
        return {
            "affine": np.array(grid.world_from_index),
            "units": (_UNITS[grid.unit],) * grid.ndim,
            "axis_labels": grid.axis_codes,
        }
    order = [2, 1, 0, 3]
    sign = np.array([-1.0, -1.0, -1.0, 1.0])
    return {
        "affine": sign[:, None] * grid.world_from_index[order][:, order],
        "units": ("mm",) * 3,
        "axis_labels": ("inferior", "posterior", "left"),
    }


def contrast(data: npt.NDArray[Any]) -> tuple[float, float]:
    """Return limits that hide the darkest and brightest half percent, from an evenly spread sample."""
    flat = data.reshape(-1) if data.flags.c_contiguous else data.T.reshape(-1)
    values = flat[:: max(1, flat.size // _SAMPLE)].astype(np.float64)
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, (0.5, 99.5)) if values.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1.0)


def _shown(array: npt.NDArray[Any], grid: Grid) -> npt.NDArray[Any]:
    # for a scan its own inverse: reversing twice gives the stored order again
    return array.T if grid.space == "patient" else array


def _moved(attributes: dict[str, Any], grid: Grid) -> bool:
    place = layer_place(grid)["affine"]
    n = grid.ndim
    own = np.diag([*attributes.get("scale", np.ones(n)), 1.0])
    own[:n, n] = attributes.get("translate", np.zeros(n))
    affine = attributes.get("affine")
    now = (np.eye(n + 1) if affine is None else np.asarray(affine)) @ own
    shape = grid.shape[::-1] if grid.space == "patient" else grid.shape
    ends = np.array(shape) - 1
    corners = np.array(np.meshgrid(*[(0, e) for e in ends])).reshape(n, -1)
    points = np.vstack([corners, np.ones(corners.shape[1])])
    return bool(np.abs((now - place) @ points).max() > MOVED * min(grid.spacing))


def _refused(found: str, expected: str) -> MedsegError:
    return MedsegError(
        "E_GEOMETRY_MISMATCH",
        found=found,
        expected=expected,
        not_done="nothing was written",
        remedy="Make a new labels layer from the image, and save that.",
    )
