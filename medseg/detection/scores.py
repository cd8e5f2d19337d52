"""From a network's score to the share of objects that are right at this score, by a table in the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medseg.detection.found import Found
from medseg.models.card import ModelCard

Knots = tuple[tuple[float, float], ...]
THRESHOLD = 0.5
"""Least score of models whose card says none."""


def threshold_of(card: ModelCard) -> float:
    """Return the least score of an object, as tuned."""
    return float(card.split.get("score_threshold", THRESHOLD))


def knots_of(card: ModelCard) -> Knots:
    """Return the card's table of (score, share that is right); empty where it has none.

    Raises
    ------
    ValueError
        If the table is damaged.
    """
    text = str(card.split.get("calibration", ""))
    pairs = [entry.split(":") for entry in text.split()]
    return tuple((float(a), float(b)) for a, b in pairs)


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
