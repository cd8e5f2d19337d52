"""What a run of the Segment widget is asked, what it does, and what it answers; nothing here knows the window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from medseg import Prediction, Volume
from medseg.progress import Steps
from medseg.volume import joined
from napari_plugin._layers import LayerData, instances_layer, labels_layer, maps_layers, present_ids
from napari_plugin._loaded import LoadedModel
from napari_plugin._ready import ready
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
    """What a run gave, the device it ran on, which classes are there, and the layers that show it."""

    asked: Asked
    prediction: Prediction
    device: str
    present: tuple[int, ...]
    layers: tuple[LayerData, ...]


def answer_steps(asked: Asked, loaded: LoadedModel) -> Steps[Answer]:
    """Do what was asked; runs on another thread."""
    from medseg.pipeline import segment_steps

    model = yield from loaded.steps((asked.model, asked.device))
    volumes = asked.volumes
    volume = volumes[0] if len(volumes) == 1 else joined(volumes, asked.card.input.channels)
    prediction = yield from segment_steps(volume, model, asked.options)
    # a large scan would hold the window up
    present = tuple(present_ids(prediction.labels.array))
    layers = layers_of(asked, prediction)
    ready(layers)
    return Answer(asked, prediction, model.device, present, tuple(layers))


def layers_of(asked: Asked, prediction: Prediction) -> list[LayerData]:
    """Return the layers of a result: objects or classes, then probabilities where they were asked for."""
    partial = any(notice.code == "W_PARTIAL" for notice in prediction.warnings)
    name = f"{asked.name} {asked.card.name}{' (partial)' if partial else ''}"
    known = {
        "image": asked.name,
        "model": asked.model,
        "partial": partial,
        "request": None if partial else asked.request,
        "warnings": prediction.warnings,
    }
    layers = []
    if asked.show_maps and prediction.maps is not None:
        layers += maps_layers(prediction.maps, name)
    if prediction.instances is not None:
        objects = replace(prediction.instances, source=asked.volumes[0].source)
        layers.append(instances_layer(objects, name, maps=prediction.maps, **known))
    else:
        layers.append(labels_layer(prediction.labels, name, **known))
    return layers
