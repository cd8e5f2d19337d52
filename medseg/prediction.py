"""What a network said about an image."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.errors import Notice
from medseg.labels import Instances, LabelMap
from medseg.volume import Volume


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
    """

    labels: LabelMap
    maps: Volume | None = None
    warnings: tuple[Notice, ...] = ()
    instances: Instances | None = None
