"""Objects that may overlap become an image of numbered objects: each voxel goes to the object that claims it most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.detection.found import INSIDE, Found, box_of, probabilities
from medseg.instance.parts import in_order
from medseg.labels import smallest_integer_type
from medseg.progress import Progress, Steps

FEWEST_VOXELS = 4
"""Objects of which fewer voxels remain are dust."""
LEAST_LEFT = 0.25
"""An object that keeps a smaller share of its own mask lies beneath others, and is left out."""
_REPORTED = 500
_FULL = 65535


@dataclass(frozen=True, eq=False, slots=True)
class Pasted:
    """An image of numbered objects.

    Parameters
    ----------
    array : (*s) integer array
        0 is background; numbers follow the first voxels.
    found : tuple of Found
        Those that are left; the first has number 1.
    """

    array: npt.NDArray[Any]
    found: tuple[Found, ...]


def pasted_steps(found: Sequence[Found], shape: tuple[int, ...]) -> Steps[Pasted]:
    """Give each voxel to the object with the largest product of score and probability there.

    Masks are made one by one: memory is that of the image and of one object.

    Parameters
    ----------
    found : sequence of Found
        In voxels of the image; of equal claims the first one's wins.
    shape : tuple of int
    """
    claims = np.zeros(shape, np.uint16)
    array = np.zeros(shape, np.int32)
    full = np.zeros(len(found) + 1, np.int64)
    for number, own in enumerate(found, 1):
        corner, values = probabilities(own, shape)
        box = box_of(corner, values)
        claim = np.rint(values * np.float32(own.score * _FULL)).astype(np.uint16)
        claim[values < INSIDE] = 0
        full[number] = np.count_nonzero(claim)
        won = claim > claims[box]
        claims[box][won] = claim[won]
        array[box][won] = number
        if number % _REPORTED == 0:
            yield Progress("drawing the objects", number, len(found))
    del claims
    left = np.bincount(array.reshape(-1), minlength=len(full))
    gone = (left < FEWEST_VOXELS) | (left < LEAST_LEFT * full)
    gone[0] = True
    return _numbered(array, found, gone)


def _numbered(array: npt.NDArray[np.int32], found: Sequence[Found], gone: npt.NDArray[np.bool_]) -> Pasted:
    kept = np.where(gone, 0, np.arange(len(gone), dtype=np.int32))
    array = kept[array]
    ids = np.zeros(len(gone), np.int64)
    in_order(array.reshape(-1), ids)
    n = int(np.count_nonzero(~gone))
    order = np.flatnonzero(~gone)
    order = order[np.argsort(ids[order], kind="stable")]
    return Pasted(array.astype(smallest_integer_type(n)), tuple(found[i - 1] for i in order.tolist()))
