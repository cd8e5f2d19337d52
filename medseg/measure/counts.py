"""A table of objects -> the few numbers of an image: how many, how dense, how large, how many need eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medseg.grid import Grid
from medseg.labels import HARMLESS_FLAGS

if TYPE_CHECKING:
    import pandas as pd

SIZE_COLUMNS = ("area_um2", "area_mm2", "volume_um3", "volume_ml", "area_px", "volume_px")
"""Columns that hold the size of an object; the first that a table has is the one."""
_MM_PER_UNIT = {"mm": 1.0, "um": 1e-3}


def size_column(table: pd.DataFrame) -> str:
    """Return the name of the column with the size of each object; its unit is in the name."""
    return next(name for name in SIZE_COLUMNS if name in table.columns)


def summarised(objects: pd.DataFrame, grid: Grid) -> dict[str, Any]:
    """Sum up a table of objects.

    Parameters
    ----------
    objects : DataFrame
        As `medseg.measure.measure` gives it for instances; it may be empty.
    grid : Grid
        Of the image.

    Returns
    -------
    dict
        ``count``; ``density_per_mm2`` (``_mm3`` for stacks; None where the pixel size is not known);
        ``mean_{size}`` and ``median_{size}`` with the unit in the name (None without objects); ``flagged_share``, the
        share of objects with a flag that asks for a look (None without objects); ``count_{class}`` where there are
        several classes.

    Examples
    --------
    >>> import numpy as np
    >>> from medseg.labels import Instances, Segment
    >>> from medseg.measure import measure
    >>> grid = Grid((10, 10), np.diag([100.0, 100.0, 1.0]), unit="um", space="image")
    >>> array = np.zeros((10, 10), np.uint8)
    >>> array[2:4, 2:4] = 1
    >>> found = summarised(measure(Instances(array, grid, (Segment(1),))), grid)
    >>> found["count"], round(found["density_per_mm2"], 6), round(found["mean_area_um2"], 3)
    (1, 1.0, 40000.0)
    """
    size = size_column(objects)
    n = len(objects)
    found: dict[str, Any] = {"count": n, f"density_per_mm{grid.ndim}": _density(n, grid)}
    found[f"mean_{size}"] = float(objects[size].mean()) if n else None
    found[f"median_{size}"] = float(objects[size].median()) if n else None
    flagged = [bool(set(filter(None, flags.split(";"))) - set(HARMLESS_FLAGS)) for flags in objects["flags"].fillna("")]
    found["flagged_share"] = sum(flagged) / n if n else None
    names = objects["name"].dropna()
    if names.nunique() > 1:
        found |= {f"count_{name}": int((names == name).sum()) for name in sorted(names.unique())}
    return found


def _density(n: int, grid: Grid) -> float | None:
    if grid.unit not in _MM_PER_UNIT:
        return None
    extent = grid.voxel_size * _MM_PER_UNIT[grid.unit] ** grid.ndim
    for length in grid.shape:
        extent *= length
    return n / extent
