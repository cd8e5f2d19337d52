"""The longest straight line in every one of many small objects, between the corners of their outlines."""

from __future__ import annotations

import numpy as np

from medseg.ops.compiled import kernels
from medseg.ops.moments import Floats, Labels, Moments, memory_order
from medseg.ops.outline import lines_of

MOST_CORNERS = 3000
"""Objects whose outlines have more corners than this are left to a hull: pairs grow with their square."""


def crowd_diameters(
    array: Labels, found: Moments, world_from_index: Floats, *, within_axis: int | None = None
) -> Floats | None:
    """Return the largest distance between the centres of two voxels of each object.

    Parameters
    ----------
    array : (n, m) or (n, m, l) label array
    found : Moments
        Of `array`.
    world_from_index : (d+1, d+1) float64 array
    within_axis : int, optional
        Only pairs of one slice across this axis count.

    Returns
    -------
    (k,) float64 array or None
        NaN for objects that are too large for this way; None where there is no compiler, and one by one is as fast.

    Examples
    --------
    >>> from medseg.ops.moments import moments
    >>> row = np.array([[1, 1, 0, 7]])
    >>> found = crowd_diameters(row, moments(row), np.diag([1.0, 3.0, 1.0]))
    >>> found is None or found.tolist() == [3.0, 0.0]
    True
    """
    loops = kernels("hull_kernels")
    if loops is None or (within_axis is not None and array.ndim == 2):
        return None
    order = memory_order(array)
    if within_axis is not None:
        order = [within_axis, *(axis for axis in order if axis != within_axis)]
    lines = lines_of(array, found, order, loops)
    columns = np.zeros((3, array.ndim))
    columns[3 - array.ndim :] = world_from_index[:-1, :-1].T[order]
    at = (lines.first, lines.depth, lines.rows, lines.low, lines.high)
    lengths: Floats = loops.diameters(*at, columns, within_axis is not None, MOST_CORNERS)
    return lengths
