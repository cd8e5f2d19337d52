"""A real, small counter for tests of the workflow: a threshold, and our own splitting of the mask. No network."""

from dataclasses import dataclass, field

import numpy as np

from medseg.grid import image_grid
from medseg.labels import LabelMap
from medseg.models.card import Architecture, InputSpec, ModelCard, Normalisation, TrainingData
from medseg.pipeline import split_steps
from medseg.prediction import Prediction
from medseg.progress import Progress
from medseg.volume import Volume


def card() -> ModelCard:
    return ModelCard(
        name="threshold",
        version="1.0.0",
        task="instance",
        summary="Bright discs.",
        architecture=Architecture(name="threshold"),
        input=InputSpec(
            channels=("image",),
            space="image",
            unit="px",
            patch=(8, 8),
            normalisation=Normalisation(scheme="percentile"),
        ),
        classes={1: "disc"},
        outputs=("interior",),
        weights_sha256="0" * 64,
        licence="Apache-2.0",
        training_data=TrainingData(name="none", licence="none", attribution="none", n_cases=0),
    )


@dataclass
class DiscCounter:
    """Objects are darker (colour) or brighter (grey) than a fixed level."""

    folder_sha256: str = "b" * 64
    members: tuple = ()
    device: str = "cpu"
    backend: None = None
    card: ModelCard = field(default_factory=card)
    method: str = "watershed"

    def segment_steps(self, volume: Volume):
        yield Progress("looking", 0, 1)
        array = volume.numpy().astype(float)
        mask = array.min(axis=0) < 140 if len(array) == 3 else array[0] > 100
        labels = LabelMap(mask.astype(np.uint8), volume.grid, self.card.classes)
        instances = yield from split_steps(labels, self.method)
        return Prediction(labels, instances=instances)


CENTRES = ((20, 20), (20, 36), (60, 30), (70, 90), (2, 100))
"""Five discs: the first two touch, the last is cut by the edge."""


def discs(spacing: float | None = 0.5, radius: float = 9.0, shape=(96, 128)) -> Volume:
    """Return a grey micrograph with the discs; without a spacing in pixels."""
    rows, columns = np.indices(shape)
    image = np.full(shape, 20.0)
    for y, x in CENTRES:
        image[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = 200
    image += np.random.default_rng(3).normal(0, 4, shape)
    unit = "px" if spacing is None else "um"
    step = spacing or 1.0
    return Volume(np.clip(image, 0, 255).astype(np.uint8)[None], image_grid(shape, (step, step), unit))
