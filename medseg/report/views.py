"""Which slices of an image a sheet shows, and which way up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.grid import Grid

_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
_AXES = (("L", "R"), ("P", "A"), ("I", "S"))
_MANY = 4096
"""Above this, numbers are objects rather than classes: slices are chosen by how full they are."""
_OBLIQUE = 0.26
"""A direction names a second axis when it leans more than 15 degrees towards it."""


@dataclass(frozen=True, slots=True)
class View:
    """A way to cut a three-dimensional image.

    Parameters
    ----------
    name : str
    across, rows, columns : int
        Array axis that the slices are stacked along, and those that run down and to the right.
    flip_rows, flip_columns : bool
        The array axis runs against the picture's.
    """

    name: str
    across: int
    rows: int
    columns: int
    flip_rows: bool = False
    flip_columns: bool = False

    def slice_of(self, array: npt.NDArray[Any], at: int) -> npt.NDArray[Any]:
        """Return one slice as a picture: rows downwards, columns to the right."""
        # not `np.take`, which copies all of an array that is not in C order
        plane = np.moveaxis(array, self.across, 0)[at]
        if self.rows > self.columns:
            plane = plane.T
        return plane[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def size(self, grid: Grid) -> tuple[float, float]:
        """Return width and height of a slice in the grid's unit, from the outer edge of the voxels."""
        extent = [n * s for n, s in zip(grid.shape, grid.spacing, strict=True)]
        return extent[self.columns], extent[self.rows]

    def letters(self, grid: Grid) -> tuple[str, str, str, str]:
        """Return what lies at the left, right, top and bottom; empty outside of patient space."""
        if grid.space != "patient":
            return "", "", "", ""
        right = _towards(grid.direction[:, self.columns] * (-1 if self.flip_columns else 1))
        down = _towards(grid.direction[:, self.rows] * (-1 if self.flip_rows else 1))
        return _turned(right), right, _turned(down), down

    def place(self, grid: Grid, at: int) -> str:
        """Return where a slice lies, such as ``S 12.5 mm``: the distance from the world's origin along the stack."""
        if grid.space != "patient":
            sign = {"um": "µm"}.get(grid.unit, grid.unit)
            return f"{grid.axis_codes[self.across]} = {at * grid.spacing[self.across]:g} {sign} (slice {at + 1})"
        index = np.array([(n - 1) / 2 for n in grid.shape])
        index[self.across] = at
        offset = float(grid.world(index) @ grid.direction[:, self.across])
        low, high = _AXES[self.across]
        return f"{high if offset >= 0 else low} {abs(offset):.1f} mm"


# arrays in patient space are brought to RAS first: patient right on the left, front or head up
PATIENT_VIEWS = (
    View("axial", 2, 1, 0, flip_rows=True, flip_columns=True),
    View("coronal", 1, 2, 0, flip_rows=True, flip_columns=True),
    View("sagittal", 0, 2, 1, flip_rows=True, flip_columns=True),
)
IMAGE_VIEWS = (View("xy", 0, 1, 2), View("xz", 1, 0, 2), View("yz", 2, 0, 1))


def views_of(grid: Grid, *, slimmest: float = 0.04) -> tuple[View, ...]:
    """Return the views of a 3-D grid that show more than a line: thick and broad enough to look at."""
    every = PATIENT_VIEWS if grid.space == "patient" else IMAGE_VIEWS
    shown = []
    for view in every:
        width, height = view.size(grid)
        voxels = min(grid.shape[view.rows], grid.shape[view.columns])
        if voxels > 1 and min(width, height) >= slimmest * max(width, height):
            shown.append(view)
    return tuple(shown) or every[:1]


def slices_through(labels: npt.NDArray[Any], across: int, n: int) -> tuple[int, ...]:
    """Return up to `n` slices along an axis that together show as many classes as they can.

    The first is the one with most labelled voxels. Each further one shows classes that have not been seen yet, near
    their fullest; when all have been seen the slices spread over the labels. Without any label they spread over the
    image.
    """
    counts = _counts(labels, across)
    filled = counts.sum(axis=1)
    chosen = [int(filled.argmax())]
    share = np.cumsum(filled) / filled.sum()
    spread = {int(np.searchsorted(share, (k + 0.5) / n)) for k in range(n)}
    relative = counts / np.maximum(counts.max(axis=0), 1)
    while len(chosen) < n:
        unseen = ~counts[chosen].any(axis=0) & counts.any(axis=0)
        if unseen.any():
            chosen.append(int(relative[:, unseen].sum(axis=1).argmax()))
        elif spread - set(chosen):
            chosen.append(max(sorted(spread - set(chosen)), key=lambda at: min(abs(at - c) for c in chosen)))
        else:
            break
    return (chosen[0], *sorted(chosen[1:]))


def _counts(labels: npt.NDArray[Any], across: int) -> npt.NDArray[np.int64]:
    """Return how many voxels of each class lie in each slice: (slices, classes) without background."""
    slices = np.moveaxis(labels, across, 0)
    top = int(labels.max(initial=0))
    if top == 0:
        level = np.ones((len(slices), 1), np.int64)
        level[len(slices) // 2] += 1
        return level
    if top >= _MANY:
        return np.count_nonzero(slices, axis=(1, 2))[:, None]
    return np.stack([np.bincount(plane.ravel(order="K"), minlength=top + 1)[1:] for plane in slices])


def _towards(direction: npt.NDArray[np.float64]) -> str:
    strength = np.abs(direction)
    order = np.argsort(-strength)
    leaning = [int(a) for n, a in enumerate(order) if n == 0 or strength[a] > _OBLIQUE]
    return "".join(_AXES[a][int(direction[a] > 0)] for a in leaning)


def _turned(letters: str) -> str:
    return "".join(_OPPOSITE[c] for c in letters)
