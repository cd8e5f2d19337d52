"""Count objects inside shapes that were drawn in the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medseg import Grid
from medseg.measure.inside import Inside, inside_outline
from napari_plugin._layers import world_point
from napari_plugin._objects_store import ID, ObjectStore

if TYPE_CHECKING:
    from napari.viewer import Viewer

Floats = npt.NDArray[np.float64]

_CLOSED = ("rectangle", "polygon", "ellipse")
_CORNERS = 96


def outlines(viewer: Viewer, shapes: Any, labels: Any) -> list[Floats]:
    """Return the closed shapes of a layer, or the selected ones, as outlines in voxel indices of a labels layer.

    Parameters
    ----------
    viewer : Viewer
    shapes : napari.layers.Shapes
    labels : napari.layers.Labels
    """
    chosen = sorted(shapes.selected_data) or range(len(shapes.data))
    kinds = shapes.shape_type
    closed = [n for n in chosen if (kinds if isinstance(kinds, str) else kinds[n]) in _CLOSED]
    return [_indices(viewer, shapes, labels, _outline(shapes, n)) for n in closed]


def told(found: list[Inside], ndim: int) -> str:
    """Return a sentence with count and density for each outline.

    Examples
    --------
    >>> told([Inside((1, 4), 0.5)], 2)
    '2 objects in 0.5 mm², 4 per mm²'
    >>> told([], 3)
    'Draw a rectangle, ellipse or polygon first.'
    """
    if not found:
        return "Draw a rectangle, ellipse or polygon first."
    unit = "mm²" if ndim == 2 else "mm³"
    lines = []
    for one in found:
        n = len(one.ids)
        count = f"{n} object{'' if n == 1 else 's'}"
        if one.density is None:
            lines.append(f"{count} (no density: the pixel size is not known)")
        else:
            lines.append(f"{count} in {one.extent_mm:.4g} {unit}, {one.density:.4g} per {unit}")
    return "\n".join(f"{n}: {line}" for n, line in enumerate(lines, start=1)) if len(lines) > 1 else lines[0]


def count(viewer: Viewer, shapes: Any, labels: Any, store: ObjectStore, grid: Grid) -> list[Inside]:
    """Count the objects of a labels layer inside each closed shape.

    Raises
    ------
    MedsegError
        If a shape was not drawn in one slice of the labels.
    """
    places = store.places()
    centres = grid.index(store.centres(places)) if len(places) else np.zeros((0, grid.ndim))
    ids = store.column(ID)[places]
    return [inside_outline(ids, centres, outline, grid) for outline in outlines(viewer, shapes, labels)]


def _outline(shapes: Any, n: int) -> Floats:
    corners = np.asarray(shapes.data[n], np.float64)
    kinds = shapes.shape_type
    if (kinds if isinstance(kinds, str) else kinds[n]) != "ellipse":
        return corners
    middle, right, down = corners.mean(axis=0), (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    turns = np.linspace(0.0, 2 * np.pi, _CORNERS, endpoint=False)[:, None]
    return np.asarray(middle + np.cos(turns) * right + np.sin(turns) * down)


def _indices(viewer: Viewer, shapes: Any, labels: Any, corners: Floats) -> Floats:
    """Return corners of a shape as fractional voxel indices, whatever the units and axes of the two layers."""
    n = labels.ndim
    place = np.array([world_point(shapes, c, viewer) for c in corners])[:, -n:]
    if place.shape[1] < n:  # drawn flat beside a stack: it lies in the slice that is shown
        point = np.array(viewer.dims.point)[-n:]
        place = np.concatenate([np.tile(point[: n - place.shape[1]], (len(place), 1)), place], axis=1)
    zero = np.array(world_point(labels, (0,) * n, viewer))
    steps = np.stack([np.array(world_point(labels, e, viewer)) - zero for e in np.eye(n)], axis=1)
    return np.asarray(np.linalg.solve(steps, (place - zero).T).T)
