"""How far each object is from the nearest other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_TWO = 2


def nearest_distances(centres: Floats) -> Floats:
    """Return the distance from each centre to the nearest other; NaN where there is none.

    Parameters
    ----------
    centres : (n, d) float64 array
        World positions.

    Examples
    --------
    >>> nearest_distances(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])).tolist()
    [5.0, 1.0, 1.0]
    """
    from scipy.spatial import cKDTree

    if len(centres) < _TWO:
        return np.full(len(centres), np.nan)
    found: Floats = cKDTree(centres).query(centres, k=2)[0][:, 1]
    return found
