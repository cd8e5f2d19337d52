"""What a run of the Segment widget is asked, and what it answers: plain values between the window and the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medseg import Prediction, Volume
from napari_plugin._request import Request

if TYPE_CHECKING:
    from medseg.models.card import ModelCard
    from medseg.pipeline import SegmentOptions


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """Everything that a run needs, taken from the widget when it starts; no layer is looked at any more."""

    volumes: tuple[Volume, ...]
    name: str
    card: ModelCard
    model: str
    device: str
    options: SegmentOptions
    show_maps: bool
    request: Request | None


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """What a run gave, the device it ran on, and which classes are there."""

    asked: Asked
    prediction: Prediction
    device: str
    present: tuple[int, ...]
