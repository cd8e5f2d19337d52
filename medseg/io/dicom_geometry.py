"""Slices of one stack -> their order and their grid. The only place where DICOM's LPS becomes RAS.

Positions decide, projected on the normal of the slices: never the slice thickness, the instance number or a name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryError, InputError, Notice
from medseg.grid import Grid
from medseg.io.dicom_slice import SliceHeader

RIGHT_ANGLE_TOLERANCE = 1e-3
"""Largest deviation of a direction's length from 1, of a right angle's cosine from 0, of parallel slices."""
STEP_TOLERANCE = 0.03
"""Largest distance of a slice from its place in an even stack, as a share of the step; scanners round positions."""
STEP_ROUNDING_MM = 0.01
TILT_TOLERANCE = 1e-3
"""Largest sideways drift of a stack as a share of its length; up to a tenth of a pixel is rounding in any case."""
PIXEL_SPACING_MM = (1e-4, 1e3)
"""Pixel spacings outside this range are mistakes."""

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_PLANES = ("sagittal", "coronal", "axial")
Floats = npt.NDArray[np.float64]


def ordered(slices: Sequence[SliceHeader], path: str) -> tuple[tuple[SliceHeader, ...], Grid, tuple[Notice, ...]]:
    """Return the slices in order of increasing position along their normal, their grid, and reservations.

    Parameters
    ----------
    slices : sequence of SliceHeader
        One stack.
    path : str
        File or folder to name in a refusal.

    Returns
    -------
    slices : tuple of SliceHeader
    grid : Grid
        Patient space, RAS+ mm; axis i runs along the columns (x), j along the rows (y), k along the slices.
    notices : tuple of Notice

    Raises
    ------
    GeometryError
        If positions, orientation or pixel spacing are missing or impossible, or the stack is tilted (a gantry tilt).
    InputError
        If slices are missing, unevenly spaced, or stored twice with different content.
    """
    row, column, normal = _directions(slices, path)
    spacing = _pixel_spacing(slices, path)
    if any(s.position is None for s in slices):
        n = sum(s.position is None for s in slices)
        raise _geometry(path, f"{n} of {len(slices)} slices without a position", "the position of every slice")
    positions = np.array([s.position for s in slices], dtype=np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    along = positions @ normal
    notices: tuple[Notice, ...] = ()
    if len(slices) == 1:
        step, notices = _step_of_single_slice(slices[0], path)
    else:
        _check_steps(along, normal, path)
        _check_tilt(positions, normal, min(spacing), path)
        step = float(along[-1] - along[0]) / (len(slices) - 1)
    lps_from_index = np.eye(4)
    lps_from_index[:3, 0] = row * spacing[1]  # the second number of PixelSpacing is the step along a row
    lps_from_index[:3, 1] = column * spacing[0]
    lps_from_index[:3, 2] = normal * step
    lps_from_index[:3, 3] = positions[0]
    stored = slices[0].stored
    shape = (stored.columns, stored.rows, len(slices))
    return tuple(slices[i] for i in order), Grid(shape, _RAS_FROM_LPS @ lps_from_index), notices


def same_orientation(one: tuple[float, ...] | None, other: tuple[float, ...] | None) -> bool:
    """Tell whether two orientations agree within rounding; two absent ones do."""
    if one is None or other is None:
        return one is other
    return float(np.abs(np.subtract(one, other)).max()) <= RIGHT_ANGLE_TOLERANCE


def distance_along_normal(slices: Sequence[SliceHeader]) -> Floats | None:
    """Return the position of each slice along the normal of the first, in mm; None if a position is missing."""
    if slices[0].orientation is None or any(s.position is None for s in slices):
        return None
    normal = np.cross(slices[0].orientation[:3], slices[0].orientation[3:])
    along: Floats = np.array([s.position for s in slices], dtype=np.float64) @ normal
    return along


def plane_name(orientation: tuple[float, ...] | None) -> str:
    """Return axial, coronal, sagittal, or "oblique" where no axis of the body is within 15 degrees.

    Examples
    --------
    >>> plane_name((1.0, 0.0, 0.0, 0.0, 0.0, -1.0))
    'coronal'
    """
    if orientation is None:
        return "unknown orientation"
    normal = np.abs(np.cross(orientation[:3], orientation[3:]))
    return _PLANES[int(normal.argmax())] if normal.max() >= np.cos(np.deg2rad(15)) else "oblique"


def _directions(slices: Sequence[SliceHeader], path: str) -> tuple[Floats, Floats, Floats]:
    if any(s.orientation is None for s in slices):
        raise _geometry(path, "slices without an orientation", "the directions of rows and columns (0020,0037)")
    found = np.array([s.orientation for s in slices], dtype=np.float64).mean(axis=0)
    row, column = found[:3], found[3:]
    lengths = np.sqrt([row @ row, column @ column])
    cosine = float(row @ column) / max(float(lengths.prod()), 1e-12)
    if np.abs(lengths - 1).max() > RIGHT_ANGLE_TOLERANCE or abs(cosine) > RIGHT_ANGLE_TOLERANCE:
        found_words = f"rows and columns of length {lengths[0]:.4g} and {lengths[1]:.4g} with a cosine of {cosine:.4f}"
        raise _geometry(path, found_words, "two directions of length 1 at right angles")
    row = row / lengths[0]
    column = column - (column @ row) * row
    column = column / np.sqrt(column @ column)
    return row, column, np.cross(row, column)


def _pixel_spacing(slices: Sequence[SliceHeader], path: str) -> tuple[float, float]:
    expected = "one pixel spacing in mm, above zero, for all slices (0028,0030)"
    if any(s.pixel_spacing is None for s in slices):
        raise _geometry(path, "slices without a pixel spacing", expected)
    spacings = np.array([s.pixel_spacing for s in slices], dtype=np.float64)
    low, high = spacings.min(axis=0), spacings.max(axis=0)
    if low.min() < PIXEL_SPACING_MM[0] or high.max() > PIXEL_SPACING_MM[1]:
        raise _geometry(path, f"a pixel spacing of {low[0]:.6g} x {low[1]:.6g} mm", expected)
    if (high - low).max() > 1e-3 * low.min():
        raise _geometry(path, f"pixel spacings from {low.tolist()} to {high.tolist()} mm in one series", expected)
    return float(spacings[0, 0]), float(spacings[0, 1])


def _step_of_single_slice(only: SliceHeader, path: str) -> tuple[float, tuple[Notice, ...]]:
    if only.thickness is None or only.thickness <= 0:
        raise _geometry(path, "a single slice without a thickness", "several slices, or a slice thickness")
    text = f"there is one slice; its thickness of {only.thickness:g} mm stands in for the step between slices"
    return only.thickness, (Notice("W_SPACING_UNTRUSTED", text),)


def _check_steps(along: Floats, normal: Floats, path: str) -> None:
    steps = np.diff(along)
    if (repeated := steps <= STEP_ROUNDING_MM).any():
        at = float(along[int(repeated.argmax())])
        raise InputError(
            "E_SERIES_AMBIGUOUS",
            path=path,
            found=f"{int(repeated.sum()) + 1} different slices at {_place(at, normal)}",
            expected="one slice at each position",
            not_done="no volume was made of them",
            remedy="Separate the phases or reconstructions into series of their own and export them again",
        )
    even = np.linspace(along[0], along[-1], len(along))
    step = float(steps.mean())
    if np.abs(along - even).max() <= max(STEP_TOLERANCE * step, STEP_ROUNDING_MM):
        return
    base = float(np.median(steps[steps <= 1.5 * steps.min()]))
    counts = np.rint(steps / base)
    if np.abs(steps - counts * base).max() <= max(2 * STEP_TOLERANCE * base, STEP_ROUNDING_MM):
        raise _incomplete(along, counts, normal, path)
    raise InputError(
        "E_SERIES_NONUNIFORM",
        path=path,
        found=f"distances between slices from {steps.min():.4g} to {steps.max():.4g} mm",
        expected="equal distances",
        not_done="no volume was made of them, since every measure would be wrong",
        remedy="Export the series again with evenly spaced slices",
    )


def _incomplete(along: Floats, counts: Floats, normal: Floats, path: str) -> InputError:
    gaps = []
    for k in np.flatnonzero(counts > 1):
        n = int(counts[k]) - 1
        ends = f"between {_place(float(along[k]), normal)} and {_place(float(along[k + 1]), normal)}"
        gaps.append(f"{ends}, {n} slice{'s' * (n > 1)} missing")
    more = f"; and {len(gaps) - 5} more gaps" if len(gaps) > 5 else ""
    return InputError(
        "E_SERIES_INCOMPLETE",
        path=path,
        found=f"gaps in the stack: {'; '.join(gaps[:5])}{more}",
        expected="a slice at every step",
        not_done="no volume was made, since the missing tissue would be closed up",
        remedy="Copy or export the series again with all its slices",
    )


def _check_tilt(positions: Floats, normal: Floats, pixel_mm: float, path: str) -> None:
    offsets = positions - positions[0]
    along = offsets @ normal
    sideways = offsets - np.outer(along, normal)
    drift = float(np.sqrt((sideways**2).sum(axis=1)).max())
    if drift > max(TILT_TOLERANCE * float(along[-1]), 0.1 * pixel_mm):
        raise GeometryError(
            "E_GEOMETRY_INVALID",
            path=path,
            found=f"a tilted stack (gantry tilt): slices shifted sideways by up to {drift:.3g} mm",
            expected="slices stacked along their normal",
            not_done="it was not forced into a rectangular grid, which would distort it",
            remedy="Reconstruct or resample the scan without tilt and export it again",
        )


def _place(at: float, normal: Floats) -> str:
    is_axial = abs(normal[2]) > np.sqrt(0.5)
    return f"z = {at * np.sign(normal[2]):.1f}" if is_axial else f"position {at:.1f} mm"


def _geometry(path: str, found: str, expected: str) -> GeometryError:
    return GeometryError(
        "E_GEOMETRY_INVALID",
        path=path,
        found=found,
        expected=expected,
        not_done="the scan was not placed in space by guessing",
        remedy="Export the original series from the scanner or archive, not a screen copy of it",
    )
