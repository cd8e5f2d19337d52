"""One table row per structure (`LabelMap`) or object (`Instances`); column names carry the unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.grid import Grid
from medseg.labels import Instances, LabelMap
from medseg.measure.diameter import longest_diameter, longest_slice_diameter
from medseg.measure.neighbours import nearest_distances
from medseg.measure.shape import shape_columns
from medseg.ops.agreement import require_same_grid
from medseg.ops.contact import touching
from medseg.ops.feret import crowd_diameters
from medseg.ops.moments import Moments, intensities, moments
from medseg.progress import Pace, Steps, finish
from medseg.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

_INDEX_NAMES = ("i", "j", "k")
_RAS = ("x", "y", "z")
_CROWD = 50
"""From this many objects on, one pass over all of them is quicker than a hull for each."""


def measure(labels: LabelMap | Instances, image: Volume | None = None) -> pd.DataFrame:
    """Measure every structure or object.

    Parameters
    ----------
    labels : LabelMap or Instances
        A label map gives a row per class, classes that are named but absent included (``voxels`` 0, the rest
        empty); instances give a row per object.
    image : Volume, optional
        On the same grid; adds mean, standard deviation (of the population), minimum and maximum per channel.

    Returns
    -------
    pandas.DataFrame
        - ``class_id, name`` or ``object_id, class_id, name, score, flags`` (flags joined by ``;``);
        - ``voxels``, then ``volume_ml`` (3-D in mm), ``volume_um3``, ``volume_px``, ``area_um2``, ``area_mm2`` or
          ``area_px`` after the grid;
        - ``bbox_{axis}_start, bbox_{axis}_stop``: voxel indices, stop exclusive (axes i, j, k; z, y, x in images);
        - ``centroid_{x,y,z}_{unit}``: world position, in patient space RAS+ (x to the right, y forward, z up);
        - for instances ``equivalent_diameter_{unit}`` (of the disc or ball of equal size); ``perimeter_{unit}`` and
          ``circularity`` (4 pi area / perimeter^2) in 2-D, ``surface_{unit}2`` and ``sphericity`` (surface of the ball
          of equal volume / surface) in 3-D, boundaries by Crofton's formula; ``solidity`` (voxels / voxels whose centre
          lies in the convex hull of the voxel centres); ``eccentricity`` (of the ellipse or ellipsoid with the same
          second moments); ``nearest_neighbour_{unit}`` (between centroids, empty for a lone object) and
          ``neighbours_touching`` (objects that share a face);
        - ``longest_diameter_{unit}``: largest distance between two voxel centres, 0 for a single voxel;
        - ``longest_axial_diameter_mm`` (patient space): the same within one slice, slices taken across the index
          axis that runs closest to the patient's foot-to-head direction;
        - ``touches_border``: a voxel lies on the edge of the image, so the structure may be cut off (edges of an axis
          with a single voxel do not count);
        - ``intensity_{mean,std,min,max}``, with the channel's name behind where there are several.

    Raises
    ------
    GeometryError
        If the image lies on another grid (E_GEOMETRY_MISMATCH).

    Examples
    --------
    >>> grid = Grid((2, 3, 4), np.diag([1.0, 1.0, 2.5, 1.0]))
    >>> table = measure(LabelMap(np.ones((2, 3, 4), np.uint8), grid, {1: "liver"}))
    >>> table[["name", "volume_ml", "centroid_z_mm"]].values.tolist()
    [['liver', 0.06, 3.75]]
    """
    return finish(measure_steps(labels, image))


def measure_steps(labels: LabelMap | Instances, image: Volume | None = None) -> Steps[pd.DataFrame]:
    """Do the work of `measure`, yielding between groups of columns."""
    import pandas as pd

    if image is not None:
        require_same_grid(
            labels.grid, image.grid, what="labels and image", not_done="the intensities were not measured"
        )
    array = np.asarray(labels.array)
    pace = Pace("measuring", 2 + 3 * isinstance(labels, Instances) + (0 if image is None else len(image.channels)))
    yield pace.at(0)
    found = moments(array)
    columns = _named(labels, found) | _placed(found, labels.grid)
    yield pace.at(1)
    columns |= _sized(array, found, labels.grid)
    yield pace.at(2)
    done = 2
    if isinstance(labels, Instances):
        for more in _among_others(array, found, labels.grid):
            columns |= more
            done += 1
            yield pace.at(done)
    for number in range(0 if image is None else len(image.channels)):
        assert image is not None
        columns |= _lit(array, found, image, number)
        done += 1
        yield pace.at(done)
    table = pd.DataFrame(columns)
    return _with_absent(table, labels) if isinstance(labels, LabelMap) else table


def _named(labels: LabelMap | Instances, found: Moments) -> dict[str, Any]:
    if isinstance(labels, LabelMap):
        return {"class_id": found.ids, "name": [labels.class_name(int(c)) for c in found.ids]}
    import pandas as pd

    segments = {segment.id: segment for segment in labels.segments}
    known = [segments.get(int(i)) for i in found.ids]
    return {
        "object_id": found.ids,
        "class_id": pd.array([None if s is None else s.class_id for s in known], dtype="Int64"),
        "name": [None if s is None else labels.classes.get(s.class_id, f"class {s.class_id}") for s in known],
        "score": pd.array([None if s is None else s.score for s in known], dtype="Float64"),
        "flags": ["" if s is None else ";".join(s.flags) for s in known],
    }


def _placed(found: Moments, grid: Grid) -> dict[str, Any]:
    size, factor = _size_column(grid)
    names = _INDEX_NAMES if grid.space == "patient" else grid.axis_codes
    columns: dict[str, Any] = {"voxels": found.voxels, size: found.voxels * factor}
    for axis, name in enumerate(names):
        columns[f"bbox_{name}_start"] = found.start[:, axis]
        columns[f"bbox_{name}_stop"] = found.stop[:, axis]
    centres = grid.world(found.centroid)
    for axis, name in enumerate(_RAS if grid.space == "patient" else grid.axis_codes):
        columns[f"centroid_{name}_{grid.unit}"] = centres[:, axis]
    return columns


def _sized(array: Any, found: Moments, grid: Grid) -> dict[str, Any]:
    patient = grid.space == "patient"
    axial = next((a for a, code in enumerate(grid.axis_codes) if patient and code in "IS"), 0)
    place = grid.world_from_index
    columns: dict[str, Any] = {
        f"longest_diameter_{grid.unit}": _longest(array, found, place, lambda part, i: longest_diameter(part, i, place))
    }
    if patient:
        columns["longest_axial_diameter_mm"] = _longest(
            array, found, place, lambda part, i: longest_slice_diameter(part, i, place, axial), within_axis=axial
        )
    # an axis of one voxel is a slice, not a scan that ends there
    wide = np.array(grid.shape) > 1
    at_edge = (found.start == 0) | (found.stop == np.array(grid.shape))
    return columns | {"touches_border": (at_edge & wide).any(axis=1)}


def _longest(
    array: Any, found: Moments, place: Any, one: Callable[[Any, int], float], *, within_axis: int | None = None
) -> Any:
    """Return a length for each id: all at once in a crowd of small ones, each by its hull otherwise."""
    crowd = crowd_diameters(array, found, place, within_axis=within_axis) if len(found.ids) > _CROWD else None
    lengths = np.full(len(found.ids), np.nan) if crowd is None else crowd
    for row in np.flatnonzero(np.isnan(lengths)):
        box = tuple(slice(int(a), int(b)) for a, b in zip(found.start[row], found.stop[row], strict=True))
        lengths[row] = one(array[box], int(found.ids[row]))
    return lengths


def _among_others(array: Any, found: Moments, grid: Grid) -> Iterator[dict[str, Any]]:
    size = found.voxels * grid.voxel_size
    disc = grid.ndim == 2
    diameter = np.sqrt(size * 4.0 / np.pi) if disc else np.cbrt(size * 6.0 / np.pi)
    yield {f"equivalent_diameter_{grid.unit}": diameter}
    yield shape_columns(array, found, grid)
    yield {
        f"nearest_neighbour_{grid.unit}": nearest_distances(grid.world(found.centroid)),
        "neighbours_touching": touching(array, found.ids),
    }


def _lit(array: Any, found: Moments, image: Volume, number: int) -> dict[str, Any]:
    values = intensities(array, np.asarray(image.array[number]), found.ids)
    tail = f"_{image.channels[number]}" if len(image.channels) > 1 else ""
    return {f"intensity_{name}{tail}": values[:, at] for at, name in enumerate(("mean", "std", "min", "max"))}


def _size_column(grid: Grid) -> tuple[str, float]:
    if grid.unit == "px":
        return ("area_px" if grid.ndim == 2 else "volume_px"), grid.voxel_size
    if grid.ndim == 2:
        return f"area_{grid.unit}2", grid.voxel_size
    return ("volume_ml", grid.voxel_volume_ml) if grid.unit == "mm" else ("volume_um3", grid.voxel_size)


def _with_absent(table: pd.DataFrame, labels: LabelMap) -> pd.DataFrame:
    import pandas as pd

    absent = sorted({c for c in labels.classes if c != 0} - {int(c) for c in table["class_id"]})
    if not absent:
        return table
    # empty, not 0: nullable types keep whole numbers whole and truth values true beside an empty cell
    nullable = {c: "Int64" for c in table.columns if c.startswith("bbox_")} | {"touches_border": "boolean"}
    rows = pd.DataFrame({"class_id": absent, "name": [labels.class_name(c) for c in absent], "voxels": 0})
    rows = rows.reindex(columns=table.columns).astype(nullable)
    if table.empty:
        return rows
    rows = rows.astype(table.dtypes.to_dict() | nullable)
    return pd.concat([table.astype(nullable), rows]).sort_values("class_id", ignore_index=True)
