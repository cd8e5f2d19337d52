"""Where voxels lie: shape, affine, unit. Spacing, origin and axis codes are computed, never stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryError

Floats = npt.NDArray[np.float64]
Unit = Literal["mm", "um", "px"]
Space = Literal["patient", "image"]

AFFINE_TOLERANCE = 1e-5
"""Two affines agree when they differ by less than this share of the spacing at every corner of the grid."""
SHEAR_TOLERANCE = 1e-3
"""Largest cosine between two axes that still counts as rounding of a right angle."""

_PATIENT_AXES = (("L", "R"), ("P", "A"), ("I", "S"))
_IMAGE_AXES = ("z", "y", "x")
_METRES = {"mm": 1e-3, "um": 1e-6}


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """A regular grid of voxels in space.

    Parameters
    ----------
    shape : tuple of int
        Voxels along each of the n = 2 or 3 axes.
    world_from_index : (n+1, n+1) float64 array
        Affine that maps a voxel's index to the world position of its centre.
    unit : {"mm", "um", "px"}
        Unit of the world.
    space : {"patient", "image"}
        ``patient``: the world is RAS+ millimetres. ``image``: the world's axes are the array's own.

    Raises
    ------
    GeometryError
        If the affine is singular, sheared, not finite, or does not fit the shape.

    Examples
    --------
    >>> grid = Grid((10, 20, 30), np.diag([-1.0, 1.0, 2.5, 1.0]))
    >>> grid.spacing, "".join(grid.axis_codes), grid.voxel_volume_ml
    ((1.0, 1.0, 2.5), 'LAS', 0.0025)
    """

    shape: tuple[int, ...]
    world_from_index: Floats
    unit: Unit = "mm"
    space: Space = "patient"

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        affine = np.array(self.world_from_index, dtype=np.float64)  # a copy: nobody else may move this grid
        _check(shape, affine)
        if self.space == "patient" and (len(shape) != 3 or self.unit != "mm"):
            raise _invalid(f"{len(shape)} axes in {self.unit}", "3 axes in mm for a scan in patient space")
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "world_from_index", affine)

    def __reduce__(self) -> tuple[Any, ...]:
        return Grid, (self.shape, np.asarray(self.world_from_index), self.unit, self.space)

    def __repr__(self) -> str:
        sizes = "x".join(str(n) for n in self.shape)
        steps = "x".join(f"{s:.6g}" for s in self.spacing)
        return f"Grid({sizes}, {steps} {self.unit}, {''.join(self.axis_codes)}, {self.space})"

    @property
    def ndim(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return len(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring voxels along each axis, in `unit`."""
        columns = self.world_from_index[:-1, :-1]
        return tuple(float(s) for s in np.sqrt((columns**2).sum(axis=0)))

    @property
    def origin(self) -> tuple[float, ...]:
        """World position of the centre of voxel 0, in `unit`."""
        return tuple(float(x) for x in self.world_from_index[:-1, -1])

    @property
    def direction(self) -> Floats:
        """(n, n) matrix whose columns are the axes' unit vectors in the world."""
        columns: Floats = self.world_from_index[:-1, :-1] / np.asarray(self.spacing)
        return columns

    @property
    def axis_codes(self) -> tuple[str, ...]:
        """Where each axis points: R/L, A/P, S/I in patient space, z/y/x in image space."""
        if self.space == "image":
            return _IMAGE_AXES[-self.ndim :]
        axes, signs = _closest_axes(self.direction)
        return tuple(_PATIENT_AXES[a][int(s > 0)] for a, s in zip(axes, signs, strict=True))

    @property
    def voxel_size(self) -> float:
        """Area (2-D) or volume (3-D) of one voxel, in `unit` to the power n."""
        return float(abs(np.linalg.det(self.world_from_index[:-1, :-1])))

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres.

        Raises
        ------
        GeometryError
            If the grid is 2-D or has no physical unit.
        """
        if self.ndim != 3 or self.unit == "px":
            raise _invalid(f"{self.ndim} axes in {self.unit}", "3 axes in mm or um to give a volume")
        return float(self.voxel_size * (_METRES[self.unit] ** 3) * 1e6)

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape, dtype=np.int64))

    def world(self, index: npt.ArrayLike) -> Floats:
        """Map (..., n) voxel indices to (..., n) world positions."""
        points = np.asarray(index, dtype=np.float64)
        moved: Floats = points @ self.world_from_index[:-1, :-1].T + self.world_from_index[:-1, -1]
        return moved

    def index(self, world: npt.ArrayLike) -> Floats:
        """Map (..., n) world positions to (..., n) fractional voxel indices."""
        points = np.asarray(world, dtype=np.float64) - self.world_from_index[:-1, -1]
        index_from_world: Floats = np.linalg.inv(self.world_from_index[:-1, :-1]).astype(np.float64)
        found: Floats = points @ index_from_world.T
        return found

    def corners(self) -> Floats:
        """Return the (2**n, n) world positions of the corner voxels' centres."""
        ends = [(0, n - 1) for n in self.shape]
        return self.world(np.array(list(product(*ends)), dtype=np.float64))

    def same_as(self, other: Grid, *, tolerance: float = AFFINE_TOLERANCE) -> bool:
        """Tell whether two grids hold the same voxels at the same places.

        Parameters
        ----------
        other : Grid
        tolerance : float
            Largest distance of a corner, as a share of the smallest spacing.
        """
        if self.shape != other.shape or self.unit != other.unit or self.space != other.space:
            return False
        gap = np.abs(self.corners() - other.corners()).max()
        return bool(gap <= tolerance * min(self.spacing))

    def cropped(self, start: tuple[int, ...], shape: tuple[int, ...]) -> Grid:
        """Return the grid of the box that begins at index `start`; a negative start or a larger shape pads."""
        affine = self.world_from_index.copy()
        affine[:-1, -1] = self.world(start)
        return replace(self, shape=shape, world_from_index=affine)

    def axes_to(self, codes: tuple[str, ...] | str) -> AxisMap:
        """Return the exchange and flips of axes that lead to the orientation `codes`, such as "RAS"."""
        wanted = tuple(codes)
        valid = len(wanted) == 3 and {_axis_of(c) for c in wanted} == {0, 1, 2}
        if self.space != "patient" or not valid:
            raise _invalid(f"orientation {''.join(wanted)!r} in {self.space} space", "three of R/L, A/P, S/I")
        own, signs = _closest_axes(self.direction)
        order = tuple(own.index(_axis_of(c)) for c in wanted)
        flips = tuple((signs[o] > 0) != (c in "RAS") for o, c in zip(order, wanted, strict=True))
        return AxisMap(order, flips)

    def mapped(self, axes: AxisMap) -> Grid:
        """Return this grid with its axes exchanged and flipped; no voxel moves in the world."""
        shape = tuple(self.shape[o] for o in axes.order)
        old_from_new = np.zeros((self.ndim + 1, self.ndim + 1))
        old_from_new[-1, -1] = 1.0
        for new, (old, flip) in enumerate(zip(axes.order, axes.flips, strict=True)):
            old_from_new[old, new] = -1.0 if flip else 1.0
            old_from_new[old, -1] = self.shape[old] - 1 if flip else 0.0
        return replace(self, shape=shape, world_from_index=self.world_from_index @ old_from_new)

    def resampled(self, spacing: tuple[float, ...]) -> Grid:
        """Return the grid that covers the same extent at about `spacing`.

        The number of voxels is rounded, so the new spacing is ``old * n / m`` and not exactly what was asked;
        the outer faces of the extent stay where they are.
        """
        if not all(0 < t < np.inf for t in spacing):
            raise _invalid(f"a wanted spacing of {spacing}", "finite spacings above zero")
        shape = tuple(max(1, round(n * s / t)) for n, s, t in zip(self.shape, self.spacing, spacing, strict=True))
        return self.reshaped(shape)

    def reshaped(self, shape: tuple[int, ...]) -> Grid:
        """Return the grid of `shape` voxels over the same extent."""
        if len(shape) != self.ndim or min(shape) < 1:
            raise _invalid(f"a wanted shape of {shape}", f"at least one voxel along each of {self.ndim} axes")
        ratio = np.array(self.shape, dtype=np.float64) / np.array(shape, dtype=np.float64)
        affine = self.world_from_index.copy()
        affine[:-1, :-1] = affine[:-1, :-1] * ratio
        affine[:-1, -1] = self.world((ratio - 1.0) / 2.0)
        return replace(self, shape=shape, world_from_index=affine)


@dataclass(frozen=True, slots=True)
class AxisMap:
    """An exchange and flip of axes: new axis i is old axis ``order[i]``, reversed where ``flips[i]``."""

    order: tuple[int, ...]
    flips: tuple[bool, ...]

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of `array` (leading axes are kept) with its last axes mapped."""
        lead = array.ndim - len(self.order)
        moved = array.transpose(*range(lead), *(lead + o for o in self.order))
        steps = [slice(None)] * lead + [slice(None, None, -1 if f else 1) for f in self.flips]
        return moved[tuple(steps)]

    def inverse(self) -> AxisMap:
        """Return the map that undoes this one."""
        order = tuple(self.order.index(i) for i in range(len(self.order)))
        return AxisMap(order, tuple(self.flips[o] for o in order))


def image_grid(shape: tuple[int, ...], spacing: tuple[float, ...], unit: Unit) -> Grid:
    """Return the grid of a micrograph or picture: axes ([z,] y, x), the first voxel at 0.

    Parameters
    ----------
    shape : (n,) ints
    spacing : (n,) floats
        Distance between voxels, in `unit`.
    unit : {"um", "mm", "px"}
    """
    return Grid(shape, np.diag([*spacing, 1.0]), unit, "image")


def _check(shape: tuple[int, ...], affine: Floats) -> None:
    n = len(shape)
    if n not in (2, 3) or affine.shape != (n + 1, n + 1):
        raise _invalid(f"{n} axes with an affine of {affine.shape}", "2 axes with 3x3 or 3 axes with 4x4")
    if min(shape) < 1:
        raise _invalid(f"shape {shape}", "at least one voxel along each axis")
    if not np.isfinite(affine).all():
        raise _invalid("an affine with values that are not numbers", "finite numbers")
    if not np.array_equal(affine[-1], np.eye(n + 1)[-1]):
        raise _invalid(f"an affine whose last row is {affine[-1].tolist()}", "0 ... 0 1")
    columns = affine[:-1, :-1]
    with np.errstate(over="ignore"):
        lengths = np.sqrt((columns**2).sum(axis=0))
    if lengths.min() <= 0 or not np.isfinite(lengths).all():
        raise _invalid(f"a spacing of {lengths.tolist()}", "finite spacings above zero")
    cosines = (columns / lengths).T @ (columns / lengths) - np.eye(n)
    if np.abs(cosines).max() > SHEAR_TOLERANCE:
        raise _invalid(
            f"axes that are not at right angles (cosine {np.abs(cosines).max():.4f})",
            f"right angles within {SHEAR_TOLERANCE}",
        )


def _closest_axes(direction: Floats) -> tuple[tuple[int, ...], tuple[float, ...]]:
    n = direction.shape[0]

    def fit(axes: tuple[int, ...]) -> tuple[Any, ...]:
        """Rank by the sum of cosines; at exactly 45 degrees by the columns, whichever order and sign they have."""
        total = sum(abs(direction[axes[i], i]) for i in range(n))
        columns = [direction[:, axes.index(w)].round(9) for w in range(n)]
        return round(total, 9), *(tuple(c * np.sign(c[np.flatnonzero(c)[0]])) for c in columns)

    best = max(permutations(range(n)), key=fit)
    return best, tuple(float(np.sign(direction[best[i], i])) for i in range(n))


def _axis_of(code: str) -> int:
    for axis, letters in enumerate(_PATIENT_AXES):
        if code in letters:
            return axis
    return -1


def _invalid(found: str, expected: str) -> GeometryError:
    return GeometryError(
        "E_GEOMETRY_INVALID",
        found=found,
        expected=expected,
        not_done="no grid was made of it",
        remedy="Correct the geometry where the image was made, then export it again.",
    )
