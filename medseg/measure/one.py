"""Single objects of a label image, each measured within its own box: what an edit costs does not grow with the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medseg.labels import Instances
from medseg.measure.neighbours import nearest_distances
from medseg.measure.table import measure
from medseg.ops.contact import touching
from medseg.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

_MANY = 50
_ROUNDING = 1e-9

Box = tuple[slice, ...]
"""Voxels from start up to, but not including, stop along each axis."""


def measure_some(instances: Instances, boxes: Mapping[int, Box], image: Volume | None = None) -> pd.DataFrame:
    """Measure some objects of an image without looking at the rest of it.

    Parameters
    ----------
    instances : Instances
        The whole image; its segments need only describe these objects.
    boxes : mapping of int to tuple of slice
        For each id a box that holds all of its voxels; it may be larger than the object.
    image : Volume, optional
        On the same grid; adds intensities.

    Returns
    -------
    pandas.DataFrame
        One row for each id that has a voxel in its box, ids ascending: the columns and values of
        `medseg.measure.measure`, but ``nearest_neighbour_*`` is left empty, as it depends on objects elsewhere.

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> array = np.zeros((6, 8), np.uint8)
    >>> array[1:3, 2:5], array[3, 2] = 4, 9
    >>> instances = Instances(array, image_grid(array.shape, (0.5, 0.5), "um"))
    >>> row = measure_some(instances, {4: (slice(0, 4), slice(0, 8))}).iloc[0]
    >>> float(row["area_um2"]), int(row["bbox_x_start"]), int(row["neighbours_touching"])
    (1.5, 2, 1)
    """
    import pandas as pd

    rows = [_measured(instances, number, boxes[number], image) for number in sorted(boxes)]
    found = [row for row in rows if row is not None]
    if not found:
        nothing = Instances(np.zeros((1,) * instances.grid.ndim, np.uint8), _piece(instances, _unit_box(instances)))
        return measure(nothing, None if image is None else _cropped(image, _unit_box(instances)))
    return pd.concat(found, ignore_index=True)


def touching_some(instances: Instances, boxes: Mapping[int, Box]) -> dict[int, int]:
    """Return how many other objects some objects share a face with, looking only at their boxes.

    Parameters
    ----------
    instances, boxes
        As for `measure_some`.

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> row = np.array([[1, 1, 2, 2, 3, 0]])
    >>> touching_some(Instances(row, image_grid((1, 6), (1.0, 1.0), "px")), {2: (slice(0, 1), slice(2, 4))})
    {2: 2}
    """
    return {
        number: _touches(np.asarray(instances.array[_grown(box, instances.grid.shape)]), number)
        for number, box in boxes.items()
    }


def nearest_after_change(centres: Floats, before: Floats, changed: npt.NDArray[Any], left: Floats) -> Floats:
    """Return the distance to the nearest other object after a few objects moved, came or went.

    Parameters
    ----------
    centres : (n, d) float64 array
        World positions of all objects as they are now.
    before : (n,) float64 array
        Distances as they were; what stands at `changed` does not matter.
    changed : (k,) int array
        Rows of objects that moved or are new.
    left : (m, d) float64 array
        Places where moved or vanished objects were.

    Examples
    --------
    >>> line = np.array([[0.0], [4.0], [9.0]])
    >>> nearest_after_change(line, np.array([3.0, 1.0, 5.0]), np.array([1]), np.array([[3.0]])).tolist()
    [4.0, 4.0, 5.0]
    """
    found = before.copy()
    again = np.isnan(found)
    again[changed] = True
    for place in left:
        # whoever was as near to that place may have had its neighbour there
        again |= _away(centres, place) <= found * (1 + _ROUNDING)
    if again.sum() > _MANY:
        return nearest_distances(centres)
    for row in changed:
        away = _away(centres, centres[row])
        away[row] = np.inf
        np.minimum(found, away, out=found, where=~again)
    for row in np.flatnonzero(again):
        away = _away(centres, centres[row])
        away[row] = np.inf
        found[row] = away.min() if len(away) > 1 else np.nan
    return found


def _away(centres: Floats, place: Floats) -> Floats:
    way = centres - place
    away: Floats = np.sqrt(np.einsum("ij,ij->i", way, way))
    return away


def _measured(instances: Instances, number: int, box: Box, image: Volume | None) -> pd.DataFrame | None:
    wide = _grown(box, instances.grid.shape)
    around = np.asarray(instances.array[wide])
    own = around == number
    if not own.any():
        return None
    segments = tuple(s for s in instances.segments if s.id == number)
    alone = Instances(np.where(own, around, 0), _piece(instances, wide), segments, instances.classes)
    row = measure(alone, None if image is None else _cropped(image, wide))
    codes = ("i", "j", "k") if instances.grid.space == "patient" else instances.grid.axis_codes
    at_edge = False
    for name, part, length in zip(codes, wide, instances.grid.shape, strict=True):
        start, stop = (row[f"bbox_{name}_{end}"] + part.start for end in ("start", "stop"))
        row[f"bbox_{name}_start"], row[f"bbox_{name}_stop"] = start, stop
        at_edge |= length > 1 and bool(start[0] == 0 or stop[0] == length)
    row["touches_border"] = at_edge
    row["neighbours_touching"] = _touches(around, number)
    return row


def _touches(around: npt.NDArray[Any], number: int) -> int:
    ids = np.unique(around)
    ids = ids[ids != 0].astype(np.int64)
    return int(touching(around, ids)[np.searchsorted(ids, number)])


def _grown(box: Box, shape: tuple[int, ...]) -> Box:
    # one voxel more on each side, where there is one: the faces of the object and its neighbours are then inside
    return tuple(slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, shape, strict=True))


def _piece(instances: Instances, box: Box) -> Any:
    return instances.grid.cropped(tuple(s.start for s in box), tuple(s.stop - s.start for s in box))


def _cropped(image: Volume, box: Box) -> Volume:
    grid = image.grid.cropped(tuple(s.start for s in box), tuple(s.stop - s.start for s in box))
    return replace(image, array=np.asarray(image.array[(slice(None), *box)]), grid=grid)


def _unit_box(instances: Instances) -> Box:
    return (slice(0, 1),) * instances.grid.ndim
