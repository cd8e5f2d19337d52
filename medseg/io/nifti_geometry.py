"""The two positions of a NIfTI header -> one `Grid`. The only file that knows about qform, sform and their quarrels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import GeometryError, Notice, UsageError
from medseg.grid import Floats, Grid
from medseg.io.nifti_header import NiftiHeader
from medseg.io.options import ReadOptions

FORMS_AGREE_VOXELS = 0.005
"""Forms closer than this differ by the rounding of their float32 numbers only."""
FORMS_QUARREL_VOXELS = 0.1
"""Forms farther apart than this name two different places."""
SPACING_RANGE_MM = (1e-5, 500.0)
FARTHEST_MM = 1e5
_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
_MAX_FORM_CODE = 5
_HALF_TURN = 1e-7


@dataclass(frozen=True, slots=True)
class Placed:
    """A grid with what had to be said about it, and the facts for the record."""

    grid: Grid
    notices: tuple[Notice, ...]
    details: dict[str, Any]


def place(header: NiftiHeader, shape: tuple[int, ...], path: Path, options: ReadOptions) -> Placed:
    """Return the grid of `shape` (3 axes) that the header describes, in RAS+ millimetres.

    Raises
    ------
    GeometryError
        E_GEOMETRY_INVALID for impossible numbers, E_GEOMETRY_AMBIGUOUS where no position is stored or two
        contradict each other and `options` do not decide.
    """
    mm, notices = _unit(header)
    _check_codes(header, path)
    _check_spacing([s * mm for s in header.pixdim[1:4]], path, "pixdim")
    forms = _forms(header, path, options)
    grids = {name: _grid(shape, _in_mm(make(), mm), path, name) for name, make in forms.items()}
    chosen: str = options.form or ("sform" if "sform" in grids else "qform")
    if not grids:
        chosen = "assumed"
        grids = {chosen: _assumed(header, shape, mm, path, options)}
    if len(grids) == 2:
        notices += _compared(header, grids, chosen, path)
    notices += _pixdim_notice(header, grids[chosen], mm, chosen)
    codes = {"qform_code": header.qform_code, "sform_code": header.sform_code}
    matrices = {name: grid.world_from_index.tolist() for name, grid in grids.items()}
    return Placed(grids[chosen], notices, {"form": chosen, **codes, **matrices})


def _unit(header: NiftiHeader) -> tuple[float, tuple[Notice, ...]]:
    if header.unit_code in _MM_PER_UNIT:
        return _MM_PER_UNIT[header.unit_code], ()
    text = "The header names no unit of length; its numbers were taken as millimetres."
    return 1.0, (Notice("W_UNITS_ASSUMED_MM", text),)


def _check_codes(header: NiftiHeader, path: Path) -> None:
    for name, code in (("qform", header.qform_code), ("sform", header.sform_code)):
        if not 0 <= code <= _MAX_FORM_CODE:
            raise _invalid(path, f"the {name} code {code}", f"a code from 0 to {_MAX_FORM_CODE}")


def _check_spacing(spacing_mm: list[float], path: Path, where: str) -> None:
    low, high = SPACING_RANGE_MM
    if all(low <= s <= high for s in spacing_mm):  # a NaN fails this too
        return
    sizes = " x ".join(f"{s:g}" for s in spacing_mm)
    raise _invalid(path, f"a voxel spacing of {sizes} mm ({where})", f"three spacings from {low:g} to {high:g} mm")


def _forms(header: NiftiHeader, path: Path, options: ReadOptions) -> dict[str, Callable[[], Floats]]:
    """Return how to make each position that is stored and, if one was asked for, only that one."""
    stored: dict[str, Callable[[], Floats]] = {}
    if header.qform_code > 0:
        stored["qform"] = lambda: _affine_from_quaternion(header, path)
    if header.sform_code > 0:
        stored["sform"] = lambda: np.array([*header.s_rows, (0.0, 0.0, 0.0, 1.0)], dtype=np.float64)
    if options.form is None:
        return stored
    if options.form not in stored:
        raise _ambiguous(
            path,
            f"no {options.form} in the header",
            f"the {options.form} that was asked for",
            "Read it without choosing a form, or choose the other one.",
        )
    return {options.form: stored[options.form]}


def _affine_from_quaternion(header: NiftiHeader, path: Path) -> Floats:
    a, b, c, d = _unit_quaternion(header, path)
    qfac = header.pixdim[0]
    if qfac not in (-1.0, 0.0, 1.0):
        raise _invalid(path, f"the handedness {qfac:g} (pixdim[0])", "1 or -1")
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    spacing = np.array(header.pixdim[1:4], dtype=np.float64) * (1.0, 1.0, -1.0 if qfac < 0 else 1.0)
    affine = np.eye(4)
    affine[:3, :3] = rotation * spacing
    affine[:3, 3] = header.q_offset
    return affine


def _unit_quaternion(header: NiftiHeader, path: Path) -> tuple[float, float, float, float]:
    b, c, d = (float(x) for x in header.quaternion)
    length = b * b + c * c + d * d
    if not length <= 1 + 1e-5:  # a NaN fails this too
        raise _invalid(path, f"the rotation (b, c, d) = ({b:g}, {c:g}, {d:g}) (qform)", "a unit quaternion")
    if length > 1 - _HALF_TURN:
        # The first part is not stored, and here it is rounding: the standard takes it for a half turn.
        scale = length**-0.5
        return 0.0, b * scale, c * scale, d * scale
    return float((1 - length) ** 0.5), b, c, d


def _in_mm(affine: Floats, mm: float) -> Floats:
    affine[:3] *= mm
    return affine


def _grid(shape: tuple[int, ...], affine: Floats, path: Path, name: str) -> Grid:
    try:
        with np.errstate(all="ignore"):
            grid = Grid(shape, affine)
            singular = not abs(np.linalg.det(grid.direction)) > 0.5
    except GeometryError as error:
        raise _invalid(path, f"{error.found} ({name})", error.expected) from error
    if singular:
        raise _invalid(path, f"a singular matrix ({name})", "three independent axes")
    _check_spacing(list(grid.spacing), path, name)
    if not np.abs(grid.corners()).max() <= FARTHEST_MM:
        raise _invalid(path, f"an image {np.abs(grid.corners()).max() / 1000:g} m from the origin", "less than 100 m")
    return grid


def _compared(header: NiftiHeader, grids: dict[str, Grid], chosen: str, path: Path) -> tuple[Notice, ...]:
    q, s = grids["qform"], grids["sform"]
    gap_mm = float(np.sqrt(((q.corners() - s.corners()) ** 2).sum(axis=1)).max())
    gap = gap_mm / min(s.spacing)
    blur = _quaternion_blur_mm(header, q, path) / min(s.spacing)
    if gap <= FORMS_AGREE_VOXELS + blur:
        return ()
    if gap > FORMS_QUARREL_VOXELS + blur:
        raise _ambiguous(
            path,
            f"two positions in the header that lie up to {gap_mm:.3g} mm apart "
            f"(qform {''.join(q.axis_codes)}, sform {''.join(s.axis_codes)})",
            f"positions that agree within {FORMS_QUARREL_VOXELS} voxel",
            "Say which one is right: --form qform or --form sform.",
        )
    text = f"qform and sform differ by up to {gap_mm:.3g} mm ({gap:.2g} voxel); the {chosen} was used."
    return (Notice("W_QFORM_SFORM_DIFFER", text),)


def _quaternion_blur_mm(header: NiftiHeader, grid: Grid, path: Path) -> float:
    """Return how far float32 rounding of the quaternion alone may move a corner; most near a half turn."""
    rounding = float(np.finfo(np.float32 if header.version == 1 else np.float64).eps)
    angle = 2 * rounding / max(_unit_quaternion(header, path)[0], _HALF_TURN**0.5)
    extent_mm = float(np.sqrt(sum((n * s) ** 2 for n, s in zip(grid.shape, grid.spacing, strict=True))))
    return angle * extent_mm + 4 * rounding * float(np.abs(grid.corners()).max())


def _pixdim_notice(header: NiftiHeader, grid: Grid, mm: float, chosen: str) -> tuple[Notice, ...]:
    stored = [s * mm for s in header.pixdim[1:4]]
    if chosen != "sform" or header.qform_code > 0 or np.allclose(stored, grid.spacing, rtol=1e-3, atol=0):
        return ()
    sizes = " x ".join(f"{s:g}" for s in stored)
    used = " x ".join(f"{s:.5g}" for s in grid.spacing)
    text = f"The header gives the spacing {sizes} mm beside the sform's {used} mm; the sform was used."
    return (Notice("W_QFORM_SFORM_DIFFER", text),)


def _assumed(header: NiftiHeader, shape: tuple[int, ...], mm: float, path: Path, options: ReadOptions) -> Grid:
    if options.assume_orientation is None:
        what = "an Analyze file, which stores no orientation" if header.kind == "analyze" else "neither qform nor sform"
        raise _ambiguous(
            path,
            what,
            "a stored position, so that left and right are known",
            "If you know how the axes run, say so: --assume-orientation RAS (or LPS, LAS ...).",
        )
    codes = options.assume_orientation.upper()
    axes = [next((a for a, pair in enumerate(("LR", "PA", "IS")) if c in pair), -1) for c in codes]
    if sorted(axes) != [0, 1, 2]:
        raise UsageError(
            "E_USAGE",
            path=path,
            found=f"the orientation {options.assume_orientation!r}",
            expected="three letters, one each of R/L, A/P and S/I",
            not_done="the image was not read",
            remedy="Write for example --assume-orientation RAS.",
        )
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for index, (axis, code) in enumerate(zip(axes, codes, strict=True)):
        affine[axis, index] = header.pixdim[1 + index] * mm * (1.0 if code in "RAS" else -1.0)
    return _grid(shape, affine, path, "assumed")


def _invalid(path: Path, found: str, expected: str) -> GeometryError:
    return GeometryError(
        "E_GEOMETRY_INVALID",
        path=path,
        found=found,
        expected=expected,
        not_done="the image was not read",
        remedy="Export the image again, or correct its header in the program that made it.",
    )


def _ambiguous(path: Path, found: str, expected: str, remedy: str) -> GeometryError:
    return GeometryError(
        "E_GEOMETRY_AMBIGUOUS",
        path=path,
        found=found,
        expected=expected,
        not_done="the image was not read",
        remedy=remedy,
    )
