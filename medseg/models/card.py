"""The card of a model: what it expects, what it gives, what it was trained on, how good it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

Axis = Annotated[int, Field(ge=1, le=8192)]
Percent = Annotated[float, Field(ge=0, le=100)]
Spacing = Annotated[float, Field(ge=1e-4, le=1e4)]
# bounds, because a card may come from anybody: it must not ask for an answer that eats the memory
MOST_CHANNELS = 64
MOST_CLASSES = 4096
LARGEST_CLASS = 65_535

Task = Literal["semantic", "instance", "detection"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Normalisation(_Strict):
    """How intensities are brought to the network's range.

    ``zscore``: per image and channel, (x - mean) / deviation between the two percentiles.
    ``ct``: clip to `low` .. `high`, then (x - mean) / std, all fixed for the model.
    ``percentile``: per image and channel, the two percentiles become 0 and 1.
    """

    scheme: Literal["zscore", "ct", "percentile"]
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    std: float | None = Field(default=None, gt=0)
    percentiles: tuple[Percent, Percent] = (0.5, 99.5)


class InputSpec(_Strict):
    """The working grid and intensities of a model: what an image is turned into before the network sees it."""

    channels: tuple[str, ...] = Field(min_length=1, max_length=MOST_CHANNELS)
    space: Literal["patient", "image"]
    orientation: str | None = Field(default=None, pattern=r"^[RLAPSI]{3}$")
    spacing: tuple[Spacing, ...] | None = Field(default=None, max_length=3)
    unit: Literal["mm", "um", "px"]
    patch: tuple[Axis, ...] = Field(min_length=2, max_length=3)
    normalisation: Normalisation
    mirror_axes: tuple[int, ...] = Field(default=(), max_length=3)
    modality: str = ""

    @field_validator("orientation")
    @classmethod
    def _axes_differ(cls, orientation: str | None) -> str | None:
        if orientation is not None and len({"RLAPSI".index(letter) // 2 for letter in orientation}) < 3:
            raise ValueError("three letters of R/L, A/P and S/I, one of each pair")
        return orientation

    @model_validator(mode="after")
    def _one_number_per_axis(self) -> Self:
        if self.spacing is not None and len(self.spacing) != len(self.patch):
            raise ValueError("one spacing per axis of the patch")
        if any(not 0 <= axis < len(self.patch) for axis in self.mirror_axes):
            raise ValueError("mirrored axes are axes of the patch")
        return self


class Postprocessing(_Strict):
    """Cleaning of the labels, chosen on validation data, per class id."""

    keep_largest: tuple[int, ...] = ()
    fill_holes: tuple[int, ...] = ()
    min_volume_mm3: dict[int, float] = Field(default_factory=dict)


class Architecture(_Strict):
    """Name of an entry of the visible table of networks, and its options as plain data."""

    name: str = Field(pattern=NAME_PATTERN)
    options: dict[str, JsonValue] = Field(default_factory=dict)


class TrainingData(_Strict):
    """What the weights were learned from."""

    name: str
    licence: str
    attribution: str
    n_cases: int
    notes: str = ""


class Scores(_Strict):
    """Figures on images that neither training nor tuning saw, and the command that prints them."""

    data: str
    n_cases: int
    command: str
    values: dict[str, float]


class Appearances(_Strict):
    """Range of the looks of one channel of the training images; see `medseg.ops.appearance` for the terms.

    ``lowest``: the 0.5th percentile as stored. ``spread``: the histogram's percentiles `levels`, relative to its own
    width. ``layout``: mean over the images; ``layout_fit``: how well a single image correlates with it;
    ``turned_gain_high``: how much better a turned one fitted at most. ``blank_high``: blank share at an edge.
    """

    lowest_low: float
    lowest_high: float
    levels: tuple[float, ...]
    spread_low: tuple[float, ...]
    spread_high: tuple[float, ...]
    layout: tuple[float, ...]
    layout_fit_low: float
    layout_fit_median: float
    turned_gain_high: float
    blank_high: float


class Fingerprint(_Strict):
    """Ranges of the training images, to notice an image that is unlike them."""

    spacing_low: tuple[float, ...]
    spacing_high: tuple[float, ...]
    extent_low: tuple[float, ...]
    extent_high: tuple[float, ...]
    modalities: tuple[str, ...] = ()
    appearance: tuple[Appearances, ...] = ()


class Reliability(_Strict):
    """How the Dice of one structure follows from the width of the rim in which the network hesitates.

    The expected Dice is ``1 / (1 + exp(-(intercept + slope * width)))``; the lower bound is below it by `widening`
    times the expected error to the power of 1.5. Below `limit` a result is worth a look before others. A structure
    that was `always_there` in the training and is not found is expected to be wrong.
    """

    intercept: float = Field(ge=-50, le=50)
    slope: float = Field(ge=-1000, le=0)
    widening: float = Field(ge=0, le=1000)
    limit: float = Field(ge=0, le=1)
    always_there: bool


class Confidence(_Strict):
    """What the Dice of a result can be expected to be, learned from validation cases as they are and spoiled.

    ``share`` of the results lie above the lower bound. The figures of `measured` are those of ways of spoiling that
    were left out of the learning in turn.
    """

    structures: dict[int, Reliability] = Field(max_length=MOST_CLASSES)
    share: float = Field(gt=0, lt=1)
    n_cases: int = Field(ge=1)
    n_looks: int = Field(ge=1)
    ways: tuple[str, ...] = Field(max_length=64)
    measured: dict[str, float] = Field(default_factory=dict, max_length=64)


class ModelCard(_Strict):
    """Everything about a model but its weights; data only, unknown keys are refused.

    Examples
    --------
    >>> ModelCard.model_fields["task"].annotation == Task
    True
    """

    schema_version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    version: str = Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")
    task: Task
    summary: str
    architecture: Architecture
    input: InputSpec
    classes: dict[int, str] = Field(max_length=MOST_CLASSES)
    outputs: tuple[str, ...] = Field(min_length=1, max_length=MOST_CLASSES + 1)
    postprocessing: Postprocessing = Postprocessing()
    split: dict[str, float | str] = Field(default_factory=dict)
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    probe_output: tuple[float, ...] = ()
    licence: str
    training_data: TrainingData
    training: dict[str, JsonValue] = Field(default_factory=dict)
    scores: tuple[Scores, ...] = ()
    fingerprint: Fingerprint | None = None
    confidence: Confidence | None = None
    intended_use: str = "Research use only. Not for diagnosis or treatment."

    @field_validator("classes")
    @classmethod
    def _classes_are_positive(cls, classes: dict[int, str]) -> dict[int, str]:
        if not classes or min(classes) < 1 or max(classes) > LARGEST_CLASS:
            raise ValueError(f"class ids are numbers from 1 to {LARGEST_CLASS}; 0 is background")
        return classes

    def as_json(self) -> dict[str, Any]:
        """Return the card as plain JSON data."""
        return self.model_dump(mode="json")
