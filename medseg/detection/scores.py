"""From a network's score to the share of objects that are right at this score, by tables in the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from medseg.detection.found import Found
from medseg.errors import ModelError
from medseg.models.card import ModelCard

Knots = tuple[tuple[float, float], ...]
THRESHOLD = 0.5
"""Least score of models whose card says none."""


def entry_name(what: str, class_id: int | None = None, *, mirrored: bool = False) -> str:
    """Return the name of an entry in the card's split: for all classes or for one, for plain or for mirrored looks.

    Examples
    --------
    >>> entry_name("calibration"), entry_name("calibration", 2, mirrored=True)
    ('calibration', 'mirrored_calibration_2')
    """
    return f"{'mirrored_' if mirrored else ''}{what}{'' if class_id is None else f'_{class_id}'}"


def threshold_of(card: ModelCard, class_id: int | None = None, *, mirrored: bool = False) -> float:
    """Return the least score of an object, as tuned.

    Parameters
    ----------
    card : ModelCard
    class_id : int, optional
        Where the card says nothing about this class by itself, that for all classes holds.
    mirrored : bool
        Whether mirrored looks are averaged; where the card says nothing about those, that for plain looks holds.

    Raises
    ------
    ModelError
        If the card's is no number.
    """
    value = _entry(card, "score_threshold", class_id, mirrored)
    try:
        return THRESHOLD if value is None else float(value)
    except ValueError:
        raise _damaged(card, f"the score_threshold {value!r}", "a number") from None


def knots_of(card: ModelCard, class_id: int | None = None, *, mirrored: bool = False) -> Knots:
    """Return the card's table of (score, share that is right), found as `threshold_of` is; empty where it has none.

    Raises
    ------
    ModelError
        If the table is no rising list of pairs.
    """
    text = str(_entry(card, "calibration", class_id, mirrored) or "")
    try:
        knots = tuple((float(a), float(b)) for a, b in (entry.split(":") for entry in text.split()))
    except ValueError:
        knots = ((1.0, 1.0), (0.0, 0.0))
    if any(a[0] > b[0] or a[1] > b[1] for a, b in pairwise(knots)):
        raise _damaged(card, f"the calibration {text[:60]!r}", "pairs score:share that rise")
    return knots


def _entry(card: ModelCard, what: str, class_id: int | None, mirrored: bool) -> float | str | None:
    for turned in (True, False) if mirrored else (False,):
        for kind in dict.fromkeys((class_id, None)):
            value = card.split.get(entry_name(what, kind, mirrored=turned))
            if value is not None:
                return value
    return None


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


def calibrated(found: Sequence[Found], tables: Mapping[int, Knots]) -> list[Found]:
    """Return objects with scores that say how many of a hundred such objects are right; as they are without a table.

    Parameters
    ----------
    found : sequence of Found
    tables : mapping of class to knots
    """
    return [_calibrated(f, tables.get(f.class_id, ())) for f in found]


def _calibrated(found: Found, knots: Knots) -> Found:
    if not knots:
        return found
    xs, ys = np.array(knots).T
    return replace(found, score=float(np.clip(np.interp(found.score, xs, ys), 0.0, 1.0)))
