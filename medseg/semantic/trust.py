"""How far a result may be trusted, summed up while its maps come in slab by slab."""

from __future__ import annotations

from collections.abc import Sequence

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

    def told(self, notices: Sequence[Notice]) -> tuple[tuple[Expectation, ...], tuple[Notice, ...]]:
        """Return what may be expected of each structure, and a warning where that is little.

        Parameters
        ----------
        notices : sequence of Notice
            What happened on the way: of a part of an image nothing is told.
        """
        known = self._card.confidence
        if known is None or any(notice.code == "W_PARTIAL" for notice in notices):
            return (), ()
        found = expectations(self._card, self._rims.result())
        low = low_notice(known, self._card.classes, found)
        return found, () if low is None else (low,)
