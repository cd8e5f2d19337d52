"""How far a result may be trusted, summed up while its maps come in slab by slab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from medseg.confidence.expect import expectations, low_notice
from medseg.errors import Notice
from medseg.models.card import ModelCard
from medseg.ops.rim import Rims
from medseg.ops.slab import Slab
from medseg.prediction import Expectation


class Trust:
    """Takes every slab of the maps; costs nothing where the card does not tell what results can be expected.

    Parameters
    ----------
    card : ModelCard
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._rims = Rims(len(card.classes) + 1)

    def take(self, slab: Slab) -> None:
        """Count a slab; one that starts at 0 begins anew."""
        if self._card.confidence is None:
            return
        if slab.start == 0:
            self._rims = Rims(len(self._card.classes) + 1)
        self._rims.add(slab.finished)

    def told(
        self, labels: npt.NDArray[Any], notices: Sequence[Notice], *, whole: bool = True
    ) -> tuple[tuple[Expectation, ...], tuple[Notice, ...]]:
        """Return what may be expected of each structure, and a warning where that is little.

        Parameters
        ----------
        labels : integer array
            What became of the maps: a structure that was cleaned away is not there.
        notices : sequence of Notice
            What happened on the way: of a run that was stopped nothing is told.
        whole : bool
            All of the scan was looked at; of a box, nothing is told of a structure that is not in it.
        """
        known = self._card.confidence
        if known is None or any(notice.code == "W_PARTIAL" for notice in notices):
            return (), ()
        present = [class_id for class_id in self._card.classes if (labels == class_id).any()]
        found = expectations(self._card, self._rims.result(), present, whole=whole)
        low = low_notice(known, self._card.classes, found)
        return found, () if low is None else (low,)
