"""From the widths of the rims to the Dice that a result probably has, and a word about those to look at first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from medseg.errors import Notice
from medseg.models.card import Confidence, ModelCard, Reliability
from medseg.ops.rim import Rim
from medseg.prediction import Expectation

POWER = 1.5
"""The worse the expected result, the wider the spread of the true ones: by the expected error to this power."""
_WORTH_SAYING = 0.05
_FARTHEST = 500.0

Floats = npt.NDArray[np.float64]


def expected_dice(width: Floats | float, curve: Reliability) -> Floats:
    """Return the Dice that goes with the width of a rim; a wider rim never gives a higher one.

    Examples
    --------
    >>> curve = Reliability(intercept=4.0, slope=-2.0, widening=1.0, limit=0.8, always_there=True)
    >>> expected_dice(np.array([0.5, 2.0]), curve).round(3)
    array([0.953, 0.5  ])
    """
    lift = curve.intercept + curve.slope * np.asarray(width, dtype=np.float64)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(lift, -_FARTHEST, _FARTHEST))))


def lower_bound(dice: Floats | float, widening: float) -> Floats:
    """Return what most results with an expected Dice reach."""
    known = np.asarray(dice, dtype=np.float64)
    return np.maximum(0.0, known - widening * (1.0 - known) ** POWER)


def expectations(
    card: ModelCard, rims: Sequence[Rim], present: Collection[int], *, whole: bool = True
) -> tuple[Expectation, ...]:
    """Return what may be expected of each structure; nothing where the card does not tell.

    Parameters
    ----------
    card : ModelCard
    rims : sequence of Rim
        The background first, then the classes by rising id.
    present : collection of int
        Ids of the classes that are left in the labels.
    whole : bool
        The whole scan was looked at: a structure that every training image had should be there.
    """
    if card.confidence is None:
        return ()
    found = []
    for class_id, rim in zip(sorted(card.classes), rims[1:], strict=True):
        curve = card.confidence.structures.get(class_id)
        there = class_id in present
        if curve is None or not (there or (curve.always_there and whole)):
            continue
        dice = float(expected_dice(rim.width, curve)) if there else 0.0
        found.append(Expectation(class_id, dice, float(lower_bound(dice, curve.widening))))
    return tuple(found)


def low_notice(confidence: Confidence, classes: Mapping[int, str], found: Sequence[Expectation]) -> Notice | None:
    """Return W_LOW_CONFIDENCE where a structure is below its limit, the worst one first."""
    limits = {class_id: curve.limit for class_id, curve in confidence.structures.items()}
    low = sorted((own for own in found if own.dice < limits[own.class_id]), key=lambda own: own.dice)
    if not low:
        return None
    said = [f"{classes[own.class_id]} ({_words(own, limits[own.class_id])})" for own in low]
    return Notice("W_LOW_CONFIDENCE", f"probably outlined worse than usual, look at it first: {', '.join(said)}")


def _words(own: Expectation, limit: float) -> str:
    if own.dice == 0.0:
        return "not found, though it was in every training image"
    bound = f", in most such cases at least {own.low:.2f}" if own.low >= _WORTH_SAYING else ""
    return f"a Dice of about {own.dice:.2f} is expected{bound}; usual is {limit:.2f} or more"
