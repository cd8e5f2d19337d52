"""What a network said about an image."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.errors import Notice
from medseg.labels import LabelMap
from medseg.volume import Volume


@dataclass(frozen=True, eq=False, slots=True)
class Prediction:
    """Labels on the input's grid and, where asked for, the maps behind them on the working grid.

    Parameters
    ----------
    labels : LabelMap
        On the grid of the image that was given.
    maps : Volume or None
        Named channels (probabilities per class, later boundary and distance) on the model's working grid.
    warnings : tuple of Notice
        What happened on the way: fallbacks, replaced values, an unusual image.
    """

    labels: LabelMap
    maps: Volume | None = None
    warnings: tuple[Notice, ...] = ()
