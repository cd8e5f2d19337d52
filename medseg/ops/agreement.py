"""Two images that belong together lie on one grid, or are refused in words."""

from __future__ import annotations

import numpy as np

from medseg.errors import GeometryError
from medseg.grid import Grid

PAIR_TOLERANCE = 1e-3
"""Share of the smallest spacing by which corners may differ: programs round affines to 32 bits in their own ways."""


def require_same_grid(found: Grid, expected: Grid, *, what: str, not_done: str) -> None:
    """Raise unless two grids hold the same voxels at the same places.

    Parameters
    ----------
    found, expected : Grid
    what : str
        The pair, as a user would say it: ``"the labels and the image"``.
    not_done : str
        What is left undone because of it.

    Raises
    ------
    GeometryError
        With code E_GEOMETRY_MISMATCH; it names shape, spacing, origin, direction or unit, whichever differ.

    Examples
    --------
    >>> import numpy as np
    >>> a = Grid((4, 5, 6), np.eye(4))
    >>> require_same_grid(a, Grid((4, 5, 6), np.eye(4)), what="two masks", not_done="they were not compared")
    """
    if found.same_as(expected, tolerance=PAIR_TOLERANCE):
        return
    differences = _differences(found, expected)
    raise GeometryError(
        "E_GEOMETRY_MISMATCH",
        found=f"{what} on different grids: " + "; ".join(f"{n} {a} and {b}" for n, a, b in differences),
        expected="the same shape, spacing, origin and direction",
        not_done=not_done,
        remedy="Resample one of them onto the grid of the other, or check that they belong to the same scan.",
    )


def _differences(a: Grid, b: Grid) -> list[tuple[str, str, str]]:
    if a.space != b.space or a.unit != b.unit:
        return [("coordinates", f"{a.space} in {a.unit}", f"{b.space} in {b.unit}")]
    listed = []
    if a.shape != b.shape:
        listed.append(("shape", _sizes(a.shape), _sizes(b.shape)))
    if a.ndim != b.ndim:
        return listed
    gap = PAIR_TOLERANCE * min(a.spacing)
    if not np.allclose(a.spacing, b.spacing, rtol=0, atol=gap / max(a.shape)):
        listed.append(("spacing", _numbers(a.spacing, a.unit), _numbers(b.spacing, b.unit)))
    if not np.allclose(a.origin, b.origin, rtol=0, atol=gap):
        listed.append(("origin", _numbers(a.origin, a.unit), _numbers(b.origin, b.unit)))
    if not np.allclose(a.direction, b.direction, rtol=0, atol=PAIR_TOLERANCE / max(a.shape)):
        listed.append(("direction", _axes(a), _axes(b)))
    return listed or [("place of the corners", repr(a), repr(b))]


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)


def _numbers(values: tuple[float, ...], unit: str) -> str:
    return "(" + ", ".join(f"{v:.6g}" for v in values) + f") {unit}"


def _axes(grid: Grid) -> str:
    columns = "; ".join(", ".join(f"{v:.4f}" for v in column) for column in grid.direction.T)
    return f"{''.join(grid.axis_codes)} [{columns}]"
