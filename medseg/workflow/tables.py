"""What was measured in one case: a row per structure, a row per object, and the objects summed up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.errors import Notice
from medseg.measure import measure
from medseg.measure.counts import summarised
from medseg.measure.positive import Positive, with_positive
from medseg.prediction import Expectation, Prediction
from medseg.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

NO_PIXEL_SIZE = "W_SPACING_UNTRUSTED"


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables of one case.

    Parameters
    ----------
    structures : DataFrame
        One row per class.
    objects : DataFrame or None
        One row per object, where objects were separated.
    summary : dict
        Count, density, mean size and the like; empty without objects.
    notices : tuple of Notice
        What the measuring had to say.
    """

    structures: pd.DataFrame
    objects: pd.DataFrame | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


def tables_of(
    volume: Volume, prediction: Prediction, positive: Positive | None = None, *, is_image: bool = True
) -> Tables:
    """Measure a case.

    Parameters
    ----------
    volume : Volume
        The image, all its channels.
    prediction : Prediction
    positive : Positive, optional
    is_image : bool
        False where `volume` holds labels or maps, whose values are no intensities.

    Raises
    ------
    InputError
        If the stain or channel that tells positive objects is not in the image.
    """
    image = volume if is_image else None
    structures = with_expected_dice(measure(prediction.labels, image), prediction.confidence)
    if prediction.instances is None:
        return Tables(structures)
    objects = measure(prediction.instances, image)
    extra: dict[str, Any] = {}
    if positive is not None:
        objects, extra = with_positive(objects, prediction.instances, volume, positive)
    return Tables(structures, objects, summarised(objects, volume.grid) | extra)


def with_expected_dice(structures: pd.DataFrame, confidence: tuple[Expectation, ...]) -> pd.DataFrame:
    """Return a table of structures with ``expected_dice`` and its lower bound, where a model tells them.

    Parameters
    ----------
    structures : DataFrame
        With ``class_id``.
    confidence : tuple of Expectation
        What it does not name stays empty.
    """
    if not confidence:
        return structures
    known = {own.class_id: own for own in confidence}
    found = [known.get(int(class_id)) for class_id in structures["class_id"]]
    dice = np.array([np.nan if own is None else round(own.dice, 4) for own in found])
    low = np.array([np.nan if own is None else round(own.low, 4) for own in found])
    return structures.assign(expected_dice=dice, expected_dice_low=low)


def told_once(volume: Volume, tables: Tables) -> tuple[str, ...]:
    """Return the codes of warnings that a run over micrographs says once, not for every image."""
    counted_in_pixels = tables.objects is not None and volume.grid.unit == "px"
    return (NO_PIXEL_SIZE,) if counted_in_pixels else ()


def rows_of(table: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """Return a table as plain data; absent stays absent."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=10))
    return tuple(rows)
