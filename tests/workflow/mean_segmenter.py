"""A real, tiny segmenter for tests of the workflow: class 1 above the mean, class 2 above mean + deviation."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from medseg.errors import Notice
from medseg.grid import Grid
from medseg.labels import LabelMap
from medseg.models.card import Architecture, InputSpec, ModelCard, Normalisation, TrainingData
from medseg.prediction import Prediction
from medseg.progress import Progress
from medseg.volume import Volume


def card(channels=("image",)) -> ModelCard:
    return ModelCard(
        name="mean",
        version="1.0.0",
        task="semantic",
        summary="Thresholds at the mean.",
        architecture=Architecture(name="threshold"),
        input=InputSpec(
            channels=channels, space="patient", unit="mm", patch=(8, 8, 8), normalisation=Normalisation(scheme="zscore")
        ),
        classes={1: "bright", 2: "very bright"},
        outputs=("probabilities",),
        weights_sha256="0" * 64,
        licence="Apache-2.0",
        training_data=TrainingData(name="none", licence="none", attribution="none", n_cases=0),
    )


@dataclass
class MeanSegmenter:
    """Counts what it segments; `before` may raise to play a fault, `warn` adds a notice."""

    folder_sha256: str = "a" * 64
    members: tuple = ()
    device: str = "cpu"
    backend: None = None
    card: ModelCard = field(default_factory=card)
    before: Callable[[Volume], None] | None = None
    warn: bool = False
    save_maps: bool = False
    n_segmented: int = 0

    def segment_steps(self, volume):
        yield Progress("tiles", 0, 2)
        if self.before is not None:
            self.before(volume)
        self.n_segmented += 1
        image = volume.numpy().sum(axis=0, dtype=np.float64)
        labels = (image > image.mean()).astype(np.uint8) + (image > image.mean() + image.std())
        yield Progress("tiles", 2, 2)
        notices = (Notice("W_SMALLER_THAN_PATCH", "the image is small"),) if self.warn else ()
        grid = volume.grid
        maps = None
        if self.save_maps:
            maps = Volume(np.stack([labels == 0, labels > 0]).astype(np.float32), grid, ("background", "bright"))
        return Prediction(
            LabelMap(labels, Grid(grid.shape, grid.world_from_index, grid.unit, grid.space), self.card.classes),
            maps,
            notices,
        )


def small_overlay(volume, labels, path) -> None:
    """Draw the middle slice: as good as the real sheet where a test is about files, and a hundred times faster."""
    middle = labels.array[..., labels.array.shape[-1] // 2] * np.uint8(100)
    Image.fromarray(np.ascontiguousarray(middle, dtype=np.uint8)).save(path, format="PNG")


def scan(grid: Grid, seed: int = 0) -> Volume:
    """Return a noisy image with an asymmetric bright block, brighter inside, clear of the borders."""
    rng = np.random.default_rng(seed)
    array = rng.integers(95, 105, (1, *grid.shape)).astype(np.int16)
    inside = tuple(slice(2, n - 2) for n in grid.shape)
    array[(0, *inside)] += 50
    array[(0, *(slice(3, n - 3) for n in grid.shape))] += 200 + seed
    array[0, 2, 2, 2] += 30
    return Volume(array, grid)


def grid(shape=(13, 11, 9)) -> Grid:
    """Return an anisotropic, off-origin, flipped grid."""
    return Grid(shape, np.array([[-0.75, 0, 0, 31], [0, 1.5, 0, -17], [0, 0, 3, 8], [0, 0, 0, 1.0]]))
