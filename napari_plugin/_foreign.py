"""Where a layer lies for napari: its transforms as one matrix, its units, and a grid for layers of somebody else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg import Grid, MedsegError
from medseg.errors import GeometryError

Floats = npt.NDArray[np.float64]


def matrix_of(layer: Any) -> Floats:
    """Return the affine from a layer's voxels to its world, whichever of napari's transforms make it up."""
    n = layer.ndim
    origin = np.asarray(layer.data_to_world((0.0,) * n), dtype=np.float64)
    matrix = np.eye(n + 1)
    for axis in range(n):
        matrix[:n, axis] = np.asarray(layer.data_to_world(tuple(np.eye(n)[axis]))) - origin
    matrix[:n, n] = origin
    return matrix


def matrix_in(attributes: dict[str, Any], n: int) -> Floats:
    """Return the same matrix from the attributes that napari hands to a writer."""
    from napari.utils.transforms import Affine

    parts = {
        key: attributes[key] for key in ("scale", "translate", "rotate", "shear") if attributes.get(key) is not None
    }
    own = Affine(**parts, ndim=n).affine_matrix if parts else np.eye(n + 1)
    affine = attributes.get("affine")
    world = np.eye(n + 1) if affine is None else np.asarray(getattr(affine, "affine_matrix", affine))
    return np.asarray(world @ own, dtype=np.float64)


def shown_matrix(matrix: Floats, viewer: Any) -> Floats:
    """Return the matrix from voxels to the points at which a viewer shows them.

    In a slice that is oblique to the scan napari leaves out what couples the picture with the slider. What is seen at a
    point of the viewer is then another voxel than the one that lies there, and a slider must be set accordingly.

    Parameters
    ----------
    matrix : (n+1, n+1) floats
        From voxels to the world.
    viewer : napari.viewer.Viewer, optional
        Without one, or in space, nothing is left out.
    """
    n = len(matrix) - 1
    if viewer is None:
        return matrix
    first = viewer.dims.ndim - n
    shown = [axis - first for axis in viewer.dims.displayed if axis >= first]
    hidden = [axis for axis in range(n) if axis not in shown]
    if not hidden:
        return matrix
    seen = np.eye(n + 1)
    seen[np.ix_(shown, shown)], seen[shown, n] = matrix[np.ix_(shown, shown)], matrix[shown, n]
    inverse = np.linalg.inv(matrix)
    along = np.linalg.inv(inverse[np.ix_(hidden, hidden)])
    seen[np.ix_(hidden, hidden)], seen[hidden, n] = along, -along @ inverse[hidden, n]
    return seen


def grid_of(matrix: Floats, shape: tuple[int, ...], units: Any, name: str) -> Grid:
    """Return the grid of a foreign layer.

    Raises
    ------
    MedsegError
        If it has other than 2 or 3 axes, or its transform is no regular grid.
    """
    n = len(shape)
    if n not in (2, 3):
        raise MedsegError(
            "E_DIMENSIONS_UNSUPPORTED",
            found=f"the layer {name!r} with {n} axes",
            expected="2 or 3 axes",
            not_done="it was not used",
            remedy="Split the stack by time or channel first (right click on the layer, Split Stack).",
        )
    micrometres = _micrometres(units)
    if micrometres is None:
        unit, factor = "px", np.ones(n)
    elif all(abs(m - 1000.0) < 1e-9 for m in micrometres):
        unit, factor = "mm", np.ones(n)
    else:
        unit, factor = "um", np.array(micrometres)
    affine = matrix.copy()
    affine[:n] *= factor[:, None]
    try:
        return Grid(tuple(shape), affine, unit, "image")  # type: ignore[arg-type]
    except GeometryError as error:
        raise GeometryError(
            error.code,
            found=f"the layer {name!r} with {error.found}",
            expected=error.expected,
            not_done="it was not used",
            remedy="Reset the layer's transform, or open the image with medseg.",
        ) from error


def unit_factors(units: Any, viewer: Any) -> Floats:
    """Return by what to multiply a layer's coordinates to get the viewer's; ones without a viewer."""
    n = len(units)
    shown = None if viewer is None else viewer.layers.units
    if shown is None:
        return np.ones(n)
    own, other = _micrometres(units), _micrometres(tuple(shown)[-n:])
    # pixels beside millimetres are compared by napari as plain numbers
    return np.ones(n) if own is None or other is None else np.array(own) / np.array(other)


def _micrometres(units: Any) -> list[float] | None:
    import pint

    sizes = []
    for unit in units:
        one = pint.Quantity(1.0, unit)
        if "pixel" in str(unit) or not one.check("[length]"):
            return None
        sizes.append(float(one.to("um").magnitude))
    return sizes
