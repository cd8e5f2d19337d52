"""What a network said about an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.errors import Notice
from medseg.labels import Instances, LabelMap
from medseg.volume import Volume


@dataclass(frozen=True, eq=False, slots=True)
class ObjectMask:
    """One object by itself: it may overlap others.

    Parameters
    ----------
    id : int
        Its number in the image of numbered objects.
    class_id : int
    score : float
        Confidence in [0, 1].
    start : tuple of int
        First voxel of its box along each axis.
    mask : (*box) bool array
    """

    id: int
    class_id: int
    score: float
    start: tuple[int, ...]
    mask: npt.NDArray[np.bool_]

    @property
    def box(self) -> tuple[slice, ...]:
        """Its place in the image."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.mask.shape, strict=True))


@dataclass(frozen=True, slots=True)
class Expectation:
    """How far the outline of one structure may be trusted.

    Parameters
    ----------
    class_id : int
    dice : float
        The Dice that such a result usually reaches, in [0, 1].
    low : float
        Lower bound, which most of such results reach.
    """

    class_id: int
    dice: float
    low: float


@dataclass(frozen=True, eq=False, slots=True)
class Prediction:
    """Labels on the input's grid and, where asked for, the maps behind them on the working grid.

    Parameters
    ----------
    labels : LabelMap
        On the grid of the image that was given.
    maps : Volume or None
        Named channels (probabilities per class; boundary, distance of a model for objects), on the working grid.
    warnings : tuple of Notice
        What happened on the way: fallbacks, replaced values, an unusual image.
    instances : Instances or None
        The separate objects, on the grid of the image, where objects were separated.
    masks : tuple of ObjectMask
        The objects one by one, overlaps kept, where a detector was asked for them.
    confidence : tuple of Expectation
        Per structure, where the model's card tells how much may be expected; else empty.
    """

    labels: LabelMap
    maps: Volume | None = None
    warnings: tuple[Notice, ...] = ()
    instances: Instances | None = None
    masks: tuple[ObjectMask, ...] = ()
    confidence: tuple[Expectation, ...] = ()
