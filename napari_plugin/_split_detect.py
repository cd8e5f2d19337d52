"""A second opinion on the objects of a layer: a detector looks at the image itself, and the two counts are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from medseg import Instances, MedsegError, Notice, Prediction, Volume, models
from medseg.instance.options import SplitOptions
from medseg.instance.retune import separated_steps
from medseg.metrics.consensus import Consensus, consensus
from medseg.models.fits import misfit
from medseg.progress import Steps
from napari_plugin._layers import LayerData, instances_layer, record_of, volume_from_layer
from napari_plugin._loaded import Key, LoadedModel
from napari_plugin._request import Request, request_of_image
from napari_plugin._settings import settings
from napari_plugin._split_source import Splittable, usable
from napari_plugin._turn import NETWORKS

if TYPE_CHECKING:
    from medseg.models.card import ModelCard

OTHER_GRID = (
    "The image does not lie on the grid of the layer, so their objects cannot be compared: choose its own image."
)
NO_IMAGE = "Choose the image in which the detector is to look."


@dataclass(frozen=True, eq=False, slots=True)
class Opinions:
    """The objects of the watershed, those of the detector, and how the two agree."""

    split: Instances
    detected: Instances
    agreement: Consensus
    image: str
    model: str
    request: Request | None
    warnings: tuple[Notice, ...]

    @property
    def sentence(self) -> str:
        """The counts in words."""
        return f"{self.agreement.sentence('watershed', 'the detector')}."

    def layer(self) -> LayerData:
        """Return the detector's objects as a layer."""
        known = {"image": self.image, "model": self.model, "request": self.request, "warnings": self.warnings}
        return instances_layer(self.detected, f"{self.image} {self.model}", **known)


class Detectors:
    """The detection models that are installed; the one that was used last stays loaded until `forget`."""

    def __init__(self) -> None:
        self._cards = tuple(card for card in models() if card.task == "detection")
        self._loaded = LoadedModel()

    @property
    def installed(self) -> bool:
        """Whether there is any."""
        return bool(self._cards)

    def card_for(self, layer: Any) -> ModelCard | None:
        """Return the first that can look at an image layer; None where none can."""
        if layer.ndim not in (2, 3) or usable(layer):  # maps are no image
            return None
        try:
            volume = volume_from_layer(layer)
        except MedsegError:
            return None
        kind = str(volume.source.details.get("modality") or "") if volume.source else ""
        return next((card for card in self._cards if misfit(card, volume, modality=kind) is None), None)

    def fits(self, layer: Any) -> bool:
        """Tell whether any can look at an image layer."""
        return self.card_for(layer) is not None

    def request(self, layer: Any) -> Request:
        """Return the command that finds the same objects in the file of an image layer.

        Raises
        ------
        LookupError
            With a sentence, if no command can.
        """
        card = None if layer is None else self.card_for(layer)
        if card is None:
            raise LookupError(NO_IMAGE)
        volume = volume_from_layer(layer)
        name = "" if len(volume.channels) > 1 else volume.channels[0]
        device = settings().device
        given = None if device == "auto" else device
        return request_of_image([volume.source], [name], verb="count", model=card.name, device=given)

    def work(self, item: Splittable, options: SplitOptions, layer: Any) -> Callable[[], Steps[Opinions]]:
        """Return the work of both methods on a layer and its image; from then on no layer is looked at.

        Raises
        ------
        MedsegError
            If the image layer was moved.
        LookupError
            With a sentence, if no detector fits.
        """
        card = self.card_for(layer)
        if card is None:
            raise LookupError(NO_IMAGE)
        try:
            request = self.request(layer)
        except LookupError:
            request = None
        volume, image = volume_from_layer(layer), str(layer.name)
        key = (card.name, settings().device)
        self._loaded.want(key)
        return lambda: self._steps(item, options, volume, image, key, request)

    def give_up(self) -> None:
        """Wait for no model any more; one that is loaded stays."""
        self._loaded.give_up()

    def forget(self) -> None:
        """Let go of what was loaded, and of what is being loaded."""
        self._loaded.forget()

    def _steps(
        self, item: Splittable, options: SplitOptions, volume: Volume, image: str, key: Key, request: Request | None
    ) -> Steps[Opinions]:
        """Do the work; runs on another thread."""
        split = yield from separated_steps(item.source, "watershed", options)
        prediction = yield from NETWORKS.steps(partial(_seen_steps, volume, key, self._loaded))
        detected = prediction.instances
        assert detected is not None, "a detector makes objects"
        detected = Instances(detected.array, detected.grid, detected.segments, detected.classes, volume.source)
        new = tuple(notice for notice in prediction.warnings if notice not in volume.warnings)
        return Opinions(split, detected, consensus(split, detected), image, key[0], request, new)


def _seen_steps(volume: Volume, key: Key, loaded: LoadedModel) -> Steps[Prediction]:
    """Let the detector look."""
    from medseg.pipeline import segment_steps

    model = yield from loaded.steps(key)
    return (yield from segment_steps(volume, model))


def reason_against(item: Splittable, image: Any) -> str:
    """Return why a layer and an image cannot be compared, in a sentence; "" where they can."""
    if image is None:
        return NO_IMAGE
    try:
        grid = volume_from_layer(image).grid
    except MedsegError as error:
        return f"Found {error.found}, expected {error.expected}. {error.remedy}"
    return "" if grid.same_as(item.source.home or item.source.grid) else OTHER_GRID


def image_of(layer: Any, listed: tuple[Any, ...]) -> Any:
    """Return the listed image layer that a layer was made from; None where it is not known or not listed."""
    name = None if layer is None else record_of(layer).get("image")
    return next((image for image in listed if image.name == name), None)
