"""How far the surfaces of one class lie apart in two label maps, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.grid import Grid
from medseg.labels import LabelMap
from medseg.ops.agreement import require_same_grid
from medseg.ops.nearest import nearest_distances

Mask = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float64]

HD95_CONVENTION = "hd95: 95th percentile of each directed distance, the larger of the two (as in MONAI)"
_MM = {"mm": 1.0, "um": 1e-3}
_DENSE = 1 << 16
_NOTHING = np.zeros(0)


@dataclass(frozen=True, slots=True)
class SurfaceScores:
    """Distances between the surface of a class in a map `a` and its surface in a map `b`.

    A surface voxel is one of the class with a face neighbour outside it; the edge of the image counts as outside.
    Distances run between voxel centres. All scores are None where one of the maps lacks the class.

    Parameters
    ----------
    class_id : int
    hd_mm : float or None
        Hausdorff distance: the farthest that any surface voxel lies from the other surface.
    hd95_mm : float or None
        95th percentile of each directed distance, the larger of the two (MONAI's convention).
    assd_mm : float or None
        Mean over the surface voxels of both maps, pooled.
    note : str
        Why the scores are None; empty otherwise.
    a_to_b_mm, b_to_a_mm : (n,) float64 arrays
        The distances themselves, one per surface voxel.
    """

    class_id: int
    hd_mm: float | None
    hd95_mm: float | None
    assd_mm: float | None
    note: str = ""
    a_to_b_mm: Distances = field(default_factory=lambda: _NOTHING, repr=False)
    b_to_a_mm: Distances = field(default_factory=lambda: _NOTHING, repr=False)

    def nsd(self, tolerance_mm: float = 2.0) -> float | None:
        """Return the normalised surface Dice: the share of both surfaces within a tolerance of the other.

        Parameters
        ----------
        tolerance_mm : float
            Distance that still counts as agreement.

        References
        ----------
        Nikolov et al., Clinically applicable segmentation of head and neck anatomy, 2021 (here on voxel centres).
        """
        n = len(self.a_to_b_mm) + len(self.b_to_a_mm)
        if self.hd_mm is None or not n:
            return None
        close = np.count_nonzero(self.a_to_b_mm <= tolerance_mm) + np.count_nonzero(self.b_to_a_mm <= tolerance_mm)
        return float(close / n)


def surface_distances(a: LabelMap, b: LabelMap, class_id: int) -> SurfaceScores:
    """Compare the surfaces of one class in two label maps.

    Parameters
    ----------
    a, b : LabelMap
        On the same grid.
    class_id : int

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).

    Examples
    --------
    >>> grid = Grid((1, 1, 8), np.diag([1.0, 1.0, 2.5, 1.0]))
    >>> a = LabelMap(np.array([[[0, 1, 0, 0, 0, 0, 0, 0]]]), grid)
    >>> b = LabelMap(np.array([[[0, 0, 0, 1, 0, 0, 0, 0]]]), grid)
    >>> surface_distances(a, b, 1).hd95_mm
    5.0
    """
    return all_surface_distances(a, b, (class_id,))[class_id]


def all_surface_distances(a: LabelMap, b: LabelMap, class_ids: tuple[int, ...]) -> dict[int, SurfaceScores]:
    """Compare the surfaces of several classes; faster than one call for each.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).
    """
    require_same_grid(a.grid, b.grid, what="prediction and reference", not_done="their surfaces were not compared")
    boxes_a, boxes_b = _boxes(a.array, class_ids), _boxes(b.array, class_ids)
    scores = {}
    for class_id in class_ids:
        box_a, box_b = boxes_a.get(class_id), boxes_b.get(class_id)
        if box_a is None or box_b is None or a.grid.unit not in _MM:
            scores[class_id] = SurfaceScores(class_id, None, None, None, _why(box_a, box_b, a.grid))
            continue
        box = tuple(slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(box_a, box_b, strict=True))
        scores[class_id] = _scored(class_id, a.array[box] == class_id, b.array[box] == class_id, a.grid)
    return scores


def _why(box_a: object, box_b: object, grid: Grid) -> str:
    if box_a is None and box_b is None:
        return "neither map holds this class: surface distances are not defined"
    if box_a is None or box_b is None:
        return "only one of the maps holds this class: surface distances are not defined"
    return f"the image has no physical pixel size (unit {grid.unit}): no distances in mm"


def _scored(class_id: int, a: Mask, b: Mask, grid: Grid) -> SurfaceScores:
    spacing = tuple(s * _MM[grid.unit] for s in grid.spacing)
    surface_a, surface_b = _surface(a), _surface(b)
    a_to_b = nearest_distances(surface_a, surface_b, spacing)
    b_to_a = nearest_distances(surface_b, surface_a, spacing)
    return SurfaceScores(
        class_id=class_id,
        hd_mm=float(max(a_to_b.max(), b_to_a.max())),
        hd95_mm=float(max(np.percentile(a_to_b, 95), np.percentile(b_to_a, 95))),
        assd_mm=float((a_to_b.sum() + b_to_a.sum()) / (len(a_to_b) + len(b_to_a))),
        a_to_b_mm=a_to_b,
        b_to_a_mm=b_to_a,
    )


def _surface(mask: Mask) -> Mask:
    # the box is tight around both masks, so its faces are the class's outside or the edge of the image: surface
    inner = np.zeros_like(mask)
    if min(mask.shape) > 2:
        core = (slice(1, -1),) * mask.ndim
        inner[core] = mask[core]
        for axis in range(mask.ndim):
            for step in (slice(0, -2), slice(2, None)):
                beside = (*core[:axis], step, *core[axis + 1 :])
                inner[core] &= mask[beside]
    return mask & ~inner


def _boxes(array: npt.NDArray[Any], class_ids: tuple[int, ...]) -> dict[int, tuple[slice, ...]]:
    if array.size and array.min() >= 0 and array.max() < _DENSE:
        from scipy import ndimage

        found = ndimage.find_objects(array)
        return {c: found[c - 1] for c in class_ids if 0 < c <= len(found) and found[c - 1] is not None}
    return {c: box for c in class_ids if (box := _box(array == c)) is not None}


def _box(mask: Mask) -> tuple[slice, ...] | None:
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(x for x in range(mask.ndim) if x != axis)))
        if not len(hit):
            return None
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)
