"""The planes in which a scan is looked at, and which side of the patient lies on which side of the picture.

Radiological convention: the patient's left is on the right of axial and coronal pictures, anterior is up in axial ones
and on the left of sagittal ones, superior is up in coronal and sagittal ones and in space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medseg import Grid

ORDERS = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
"""Order of napari's axes (inferior, posterior, left); the last two are the picture's, downward and to the right."""

SPACE = "3-D"
_AXES = ("SI", "AP", "RL")
_FRONT, _UP = (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)
_OBLIQUE_DEGREES = 0.5


@dataclass(frozen=True, slots=True)
class Sides:
    """The direction of the patient at each side of the picture, one letter each."""

    left: str
    right: str
    top: str
    bottom: str


def show_plane(viewer: Any, name: str, *, is_scan: bool = True) -> None:
    """Turn the viewer to a plane, or to space seen from the front, and fit the picture into the window.

    Parameters
    ----------
    viewer : Viewer
    name : {"axial", "coronal", "sagittal", "3-D"}
    is_scan : bool
        In space a scan is seen from the patient's front, anything else as napari does.
    """
    n = viewer.dims.ndim
    order = ORDERS.get(name, ORDERS["axial"])
    viewer.dims.ndisplay = 3 if name == SPACE else 2
    viewer.dims.order = (*range(n - 3), *(n - 3 + axis for axis in order))
    if name == SPACE and is_scan:
        camera_of(viewer).set_view_direction(view_direction=_FRONT, up_direction=_UP)
    viewer.reset_view(reset_camera_angle=name != SPACE or not is_scan)


def camera_of(viewer: Any) -> Any:
    """Return the camera; napari has moved it into the scene in 0.9."""
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def plane_of(viewer: Any) -> str:
    """Return the plane that a viewer shows; "" for an order of axes that has no name."""
    dims = viewer.dims
    if dims.ndisplay == 3:
        return SPACE
    order = tuple(axis - (dims.ndim - 3) for axis in dims.order[-3:])
    return next((name for name, axes in ORDERS.items() if axes == order), "")


def sides_of(viewer: Any) -> Sides:
    """Return which side of the patient lies where in the picture, as the viewer is turned now."""
    down, right = _picture_axes(viewer)
    return Sides(_letter(-right), _letter(right), _letter(-down), _letter(down))


def jump_to(viewer: Any, point: tuple[float, ...]) -> None:
    """Bring the slices of all planes to a point, and the picture to its middle."""
    first = viewer.dims.ndim - len(point)
    viewer.dims.set_point(tuple(range(first, viewer.dims.ndim)), point)
    viewer.reset_view(reset_camera_angle=False)


def oblique_degrees(grid: Grid) -> float:
    """Return by how much a scan's axes are turned against the patient's, 0 for less than half a degree.

    Examples
    --------
    >>> import numpy as np
    >>> oblique_degrees(Grid((3, 3, 3), np.diag([-1.0, 1.0, 2.0, 1.0])))
    0.0
    """
    nearest = np.clip(np.abs(grid.direction).max(axis=0), 0.0, 1.0)
    angle = float(np.degrees(np.arccos(nearest.min())))
    return angle if angle >= _OBLIQUE_DEGREES else 0.0


def _picture_axes(viewer: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the vectors in (I, P, L) that point downward and to the right in the picture."""
    if viewer.dims.ndisplay == 3:
        camera = camera_of(viewer)
        up, ahead = np.array(camera.up_direction), np.array(camera.view_direction)
        # napari's axes (I, P, L) are left-handed and shown so: seen from the front, the patient's left is on the right
        return -up, np.cross(ahead, up)
    first = viewer.dims.ndim - 3
    vertical, horizontal = (np.eye(3)[axis - first] for axis in viewer.dims.displayed)
    towards = camera_of(viewer).orientation2d
    down = vertical if str(getattr(towards[0], "value", towards[0])) == "down" else -vertical
    return down, horizontal if str(getattr(towards[1], "value", towards[1])) == "right" else -horizontal


def _letter(direction: np.ndarray[Any, Any]) -> str:
    axis = int(np.abs(direction).argmax())
    return _AXES[axis][int(direction[axis] > 0)]
