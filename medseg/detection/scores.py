"""From a network's score to the share of objects that are right at this score, by a table in the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from medseg.detection.found import Found
from medseg.errors import ModelError
from medseg.models.card import ModelCard

Knots = tuple[tuple[float, float], ...]
THRESHOLD = 0.5
"""Least score of models whose card says none."""


def threshold_of(card: ModelCard) -> float:
    """Return the least score of an object, as tuned.

    Raises
    ------
    ModelError
        If the card's is no number.
    """
    value = card.split.get("score_threshold", THRESHOLD)
    try:
        return float(value)
    except ValueError:
        raise _damaged(card, f"the score_threshold {value!r}", "a number") from None


def knots_of(card: ModelCard) -> Knots:
    """Return the card's table of (score, share that is right); empty where it has none.

    Raises
    ------
    ModelError
        If the table is no rising list of pairs.
    """
    text = str(card.split.get("calibration", ""))
    try:
        knots = tuple((float(a), float(b)) for a, b in (entry.split(":") for entry in text.split()))
    except ValueError:
        knots = ((1.0, 1.0), (0.0, 0.0))
    if any(a[0] > b[0] or a[1] > b[1] for a, b in pairwise(knots)):
        raise _damaged(card, f"the calibration {text[:60]!r}", "pairs score:share that rise")
    return knots


def _damaged(card: ModelCard, found: str, expected: str) -> ModelError:
    return ModelError(
        "E_BUNDLE_INTEGRITY",
        found=f"{found} in the card of {card.name}",
        expected=expected,
        not_done="no objects were looked for",
        remedy="Get the model again, or correct the entry in the card's split.",
    )


def as_text(knots: Knots) -> str:
    """Return a table as it stands in a card.

    Examples
    --------
    >>> as_text(((0.1, 0.02), (0.9, 0.97)))
    '0.1:0.02 0.9:0.97'
    """
    return " ".join(f"{a:g}:{b:g}" for a, b in knots)


def calibrated(found: Sequence[Found], knots: Knots) -> list[Found]:
    """Return objects with scores that say how many of a hundred such objects are right; as they are without a table."""
    if not knots:
        return list(found)
    xs, ys = np.array(knots).T
    return [replace(f, score=float(np.clip(np.interp(f.score, xs, ys), 0.0, 1.0))) for f in found]
