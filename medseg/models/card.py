"""The card of a model: what it expects, what it gives, what it was trained on, how good it is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

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
    std: float | None = None
    percentiles: tuple[float, float] = (0.5, 99.5)


class InputSpec(_Strict):
    """The working grid and intensities of a model: what an image is turned into before the network sees it."""

    channels: tuple[str, ...]
    space: Literal["patient", "image"]
    orientation: str | None = Field(default=None, pattern=r"^[RLAPSI]{3}$")
    spacing: tuple[float, ...] | None = None
    unit: Literal["mm", "um", "px"]
    patch: tuple[int, ...]
    normalisation: Normalisation
    mirror_axes: tuple[int, ...] = ()
    modality: str = ""


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
    classes: dict[int, str]
    outputs: tuple[str, ...]
    postprocessing: Postprocessing = Postprocessing()
    split: dict[str, float | str] = Field(default_factory=dict)
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    probe_output: tuple[float, ...] = ()
    licence: str
    training_data: TrainingData
    training: dict[str, JsonValue] = Field(default_factory=dict)
    scores: tuple[Scores, ...] = ()
    fingerprint: Fingerprint | None = None
    intended_use: str = "Research use only. Not for diagnosis or treatment."

    @field_validator("classes")
    @classmethod
    def _classes_are_positive(cls, classes: dict[int, str]) -> dict[int, str]:
        if not classes or min(classes) < 1:
            raise ValueError("class ids begin at 1; 0 is background")
        return classes

    def as_json(self) -> dict[str, Any]:
        """Return the card as plain JSON data."""
        return self.model_dump(mode="json")
