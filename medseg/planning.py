"""A data set's fingerprint, and the plan that follows from it: a readable file that `train` obeys."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from medseg.errors import InputError, UsageError
from medseg.io.dataset import CasePaths, Dataset
from medseg.io.read import read, read_labels
from medseg.likeness import learned
from medseg.models.card import NAME_PATTERN, Architecture, Fingerprint, InputSpec, Normalisation, Task
from medseg.ops.appearance import Appearance, appearance
from medseg.progress import Pace, Steps
from medseg.volume import Volume

PATCH_VOXELS = {"cpu": {2: 256 * 256, 3: 96_000}, "gpu": {2: 512 * 512, 3: 128**3}}
"""Most voxels of a patch, by where the training runs and by number of axes."""
BASE_FILTERS = {"cpu": 16, "gpu": 32}
MAX_FILTERS = 320
CORE_GFLOPS = 85.0
"""Measured speed of a training step in float32 on one core with AVX-512; bfloat16 took half the time there."""
ORIENTATION = "RAS"
"""Scans are turned this way before a network sees them."""
MAX_LEVELS = 6
SMALLEST_HALVED = 8
"""An axis of fewer voxels is not halved any more."""
THICK_RATIO = 3.0
"""An axis whose spacing is this many times the finest is thick: kept finer than the median, halved later."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CaseFacts(_Strict):
    """What one case contributes to the fingerprint."""

    id: str
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    orientation: str
    low: float
    high: float
    mean: float
    std: float
    class_voxels: dict[int, int]
    looks: tuple[Appearance, ...] = ()


class TrainingPlan(_Strict):
    """How the network is trained."""

    loss: str = "dice_ce"
    batch: int = Field(default=2, ge=1)
    samples_per_epoch: int = Field(..., ge=1)
    foreground_share: float = Field(default=0.5, ge=0, le=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    average: float = Field(default=0.998, ge=0, lt=1)
    object_diameter: float | None = Field(default=None, gt=0)
    """Detection: voxels of the finest axis that the median object is brought to; the usual number when absent."""


class Plan(_Strict):
    """Everything about a training that follows from its data; edit it and give it back with ``--plan``."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    task: Task = "semantic"
    input: InputSpec
    architecture: Architecture
    classes: dict[int, str]
    training: TrainingPlan
    predicted_memory_gb: float
    predicted_gflop_per_patch: float
    predicted_epoch_seconds_one_core: float | None = None
    fingerprint: Fingerprint
    class_share: dict[int, float]
    n_cases: int


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What a user may fix before the plan is made."""

    name: str
    target: Literal["cpu", "gpu"] = "cpu"
    architecture: str = "dynunet"
    loss: str = "dice_ce"


def plan_steps(dataset: Dataset, *, options: PlanOptions) -> Steps[Plan]:
    """Read every case of a data set once and derive a plan.

    Parameters
    ----------
    dataset : Dataset
    options : PlanOptions

    Raises
    ------
    InputError
        If cases differ in kind: 2-D and 3-D, other channels, no foreground at all.
    """
    facts: list[CaseFacts] = []
    pace = Pace("reading the data set", len(dataset.cases))
    first: Volume | None = None
    for done, case in enumerate(dataset.cases, 1):
        volume = read_case(case)
        first = first or volume
        _check_same_kind(case, volume, first)
        facts.append(facts_of(case, volume))
        yield pace.at(done)
    if first is None:
        raise _no_use("no case with an image and a label", "pairs of equal name under images/ and labels/")
    return make_plan(facts, kind=first, classes=dataset.classes, options=options)


def read_case(case: CasePaths) -> Volume:
    """Read the image of a training case, its channels side by side."""
    volumes = [read(path) for path in case.images]
    first = volumes[0]
    if len(volumes) == 1:
        return first
    for path, other in zip(case.images, volumes, strict=True):
        if not other.grid.same_as(first.grid, tolerance=1e-3):
            raise InputError(
                "E_GEOMETRY_MISMATCH",
                path=path,
                found=f"a channel on {other.grid!r}",
                expected=f"the grid of the first channel, {first.grid!r}",
                not_done="the case was not used",
                remedy="Resample the channels onto one grid.",
            )
    arrays = np.concatenate([v.numpy().astype(np.float32) for v in volumes])
    return Volume(arrays, first.grid, source=first.source)


def make_plan(facts: Sequence[CaseFacts], *, kind: Volume, classes: dict[int, str], options: PlanOptions) -> Plan:
    """Derive a plan from the facts of all cases.

    Parameters
    ----------
    facts : sequence of CaseFacts
    kind : Volume
        Any image of the set: tells space, unit and channels.
    classes : dict of int to str
        Names; classes without a name get their number.
    options : PlanOptions
    """
    found = sorted({c for f in facts for c in f.class_voxels})
    if not found:
        raise _no_use("no labelled voxel in any case", "at least one class above 0")
    names = {c: classes.get(c, f"class_{c}") for c in found}
    spacing = _spacing(facts)
    shape = np.median([[n * s / t for n, s, t in zip(f.shape, f.spacing, spacing, strict=True)] for f in facts], axis=0)
    patch, strides = _patch(shape, spacing, PATCH_VOXELS[options.target][len(spacing)])
    filters = _filters(BASE_FILTERS[options.target], len(strides))
    patient = kind.grid.space == "patient"
    spec = InputSpec(
        channels=kind.channels,
        space=kind.grid.space,
        orientation=ORIENTATION if patient else None,
        spacing=spacing,
        unit=kind.grid.unit,
        patch=patch,
        normalisation=_normalisation(facts, patient=patient),
        mirror_axes=_mirror_axes(names, patient=patient, n_axes=len(spacing)),
        modality="",
    )
    batch = 2 if len(spacing) == 3 else 8
    gflop = _gflop(patch, strides, filters)
    voxels = [sum(f.class_voxels.get(c, 0) for f in facts) for c in found]
    total = sum(math.prod(f.shape) for f in facts)
    return Plan(
        name=options.name,
        input=spec,
        architecture=_architecture(options.architecture, filters, strides),
        classes=names,
        training=TrainingPlan(loss=options.loss, batch=batch, samples_per_epoch=max(100, len(facts))),
        predicted_memory_gb=round(_memory_gb(patch, strides, filters, batch), 2),
        predicted_gflop_per_patch=round(gflop, 1),
        predicted_epoch_seconds_one_core=round(max(100, len(facts)) * 3 * gflop / CORE_GFLOPS, 1),
        fingerprint=fingerprint(facts, spec.mirror_axes),
        class_share={c: v / total for c, v in zip(found, voxels, strict=True)},
        n_cases=len(facts),
    )


def with_architecture(plan: Plan, name: str) -> Plan:
    """Return the plan with another network of the same channels and levels."""
    old = plan.architecture
    if old.name == name:
        return plan
    n_axes = len(plan.input.patch)
    if not {"filters", "strides"} <= set(old.options):
        raise UsageError(
            "E_USAGE",
            found=f"a plan for {old.name}, which does not tell channels and strides per level",
            expected="a plan for unet or dynunet, to derive another network from",
            not_done="the network was not changed",
            remedy="Make a new plan, or write the architecture into the plan file.",
        )
    strides = [tuple(s) for s in cast("list[list[int]]", old.options["strides"])]
    filters = tuple(cast("list[int]", old.options["filters"]))
    if len(strides) < len(filters):
        strides = [(1,) * n_axes, *strides]
    return plan.model_copy(update={"architecture": _architecture(name, filters, tuple(strides))})


def facts_of(case: CasePaths, volume: Volume) -> CaseFacts:
    """Return what one case contributes to the fingerprint."""
    labels = read_labels(case.label)
    if not labels.grid.same_as(volume.grid, tolerance=1e-2):
        raise InputError(
            "E_GEOMETRY_MISMATCH",
            path=case.label,
            found=f"a label on {labels.grid!r}",
            expected=f"the grid of its image, {volume.grid!r}",
            not_done="no training was started",
            remedy="Correct the pair or take it out of the data set.",
        )
    ids, counts = np.unique(labels.array, return_counts=True)
    values = volume.numpy()
    finite = values[np.isfinite(values)].astype(np.float64)
    inside = values[:, labels.array > 0].astype(np.float64)
    inside = inside[np.isfinite(inside)]
    inside = inside if inside.size else finite
    return CaseFacts(
        id=case.id,
        shape=tuple(int(n) for n in _in_order(volume, volume.grid.shape)),
        spacing=_in_order(volume, volume.grid.spacing),
        orientation="".join(volume.grid.axis_codes),
        low=float(finite.min()),
        high=float(finite.max()),
        mean=float(inside.mean()),
        std=float(inside.std()),
        class_voxels={int(i): int(n) for i, n in zip(ids, counts, strict=True) if i != 0},
        looks=appearance(volume, ORIENTATION),
    )


def _in_order(volume: Volume, values: tuple[float, ...]) -> tuple[float, ...]:
    if volume.grid.space == "image":
        return values
    return tuple(values[axis] for axis in volume.grid.axes_to(ORIENTATION).order)


def _spacing(facts: Sequence[CaseFacts]) -> tuple[float, ...]:
    all_spacings = np.array([f.spacing for f in facts])
    spacing = np.median(all_spacings, axis=0)
    thick = int(spacing.argmax())
    if spacing[thick] > THICK_RATIO * spacing.min():
        # a finer step across thick slices keeps small structures (nnU-Net's rule, Isensee et al. 2021)
        spacing[thick] = max(np.percentile(all_spacings[:, thick], 10), spacing.min() * 1.0)
    return tuple(round(float(s), 6) for s in spacing)


def _patch(
    shape: npt.NDArray[np.float64], spacing: tuple[float, ...], budget: int
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    size = np.array(shape, dtype=np.float64)
    while True:
        strides = _strides(size, spacing)
        factor = np.prod(np.array(strides), axis=0)
        patch = tuple(math.ceil(round(float(n) / f, 6)) * int(f) for n, f in zip(size, factor, strict=True))
        if math.prod(patch) <= budget:
            return patch, strides
        size[int((size * np.array(spacing)).argmax())] *= 0.95


def _strides(size: npt.NDArray[np.float64], spacing: tuple[float, ...]) -> tuple[tuple[int, ...], ...]:
    strides = [tuple(1 for _ in size)]
    left, step = size.copy(), np.array(spacing, dtype=np.float64)
    while len(strides) < MAX_LEVELS:
        large = left >= SMALLEST_HALVED
        # a thick axis waits until the others have become as coarse
        halve = large & (step <= 2.0 * step.min(where=large, initial=np.inf))
        if not halve.any():
            break
        strides.append(tuple(2 if h else 1 for h in halve))
        left, step = np.where(halve, left / 2, left), np.where(halve, step * 2, step)
    return tuple(strides)


def _filters(base: int, levels: int) -> tuple[int, ...]:
    return tuple(min(MAX_FILTERS, base * 2**level) for level in range(levels))


def _architecture(name: str, filters: tuple[int, ...], strides: tuple[tuple[int, ...], ...]) -> Architecture:
    # plain lists, because a plan is a file that a person reads and edits
    steps: list[JsonValue] = [list(s) for s in strides]
    channels: list[JsonValue] = list(filters)
    if name in ("unet", "attentionunet"):
        return Architecture(name=name, options={"filters": channels, "strides": steps[1:]})
    if name in _OTHER:
        return Architecture(name=name, options=_OTHER[name](filters))
    kernels: list[JsonValue] = [[3] * len(strides[0]) for _ in strides]
    return Architecture(name=name, options={"filters": channels, "strides": steps, "kernels": kernels})


_OTHER: dict[str, Callable[[tuple[int, ...]], dict[str, JsonValue]]] = {
    "unetplusplus": lambda filters: {"filters": [filters[min(i, len(filters) - 1)] for i in range(5)]},
    "vnet": lambda _: {},
    "segresnet": lambda filters: {"width": max(8, filters[0] // 8 * 8), "blocks": [2] * len(filters)},
    "swinunetr": lambda filters: {"width": max(12, filters[0] // 12 * 12)},
    "mednext": lambda filters: {"width": max(4, filters[0]), "blocks": [2] * (len(filters) - 1)},
}
"""Options of networks whose strides are fixed, from the channels per level that were planned."""


def _normalisation(facts: Sequence[CaseFacts], *, patient: bool) -> Normalisation:
    if not patient:
        return Normalisation(scheme="percentile", percentiles=(1.0, 99.8))
    if np.median([f.low for f in facts]) < -500:  # air is -1000 HU, and no other modality goes that low
        mean = float(np.mean([f.mean for f in facts]))
        std = float(np.mean([f.std for f in facts]))
        return Normalisation(scheme="ct", low=round(mean - 4 * std), high=round(mean + 4 * std), mean=mean, std=std)
    return Normalisation(scheme="zscore")


def _mirror_axes(names: dict[int, str], *, patient: bool, n_axes: int) -> tuple[int, ...]:
    if not patient:
        return tuple(range(n_axes - 1, n_axes - 3, -1))[::-1]
    sided = any("left" in n.lower() or "right" in n.lower() for n in names.values())
    return () if sided else (0,)


def _gflop(patch: tuple[int, ...], strides: tuple[tuple[int, ...], ...], filters: tuple[int, ...]) -> float:
    taps = 3 ** len(patch)
    voxels = _voxels(patch, strides)
    total = sum(2 * taps * n * (2 * c * c) for n, c in zip(voxels, filters, strict=True))
    total += sum(2 * taps * n * (2 * a * a + a * a) for n, (a, _) in zip(voxels, pairwise(filters), strict=False))
    return total / 1e9


def _memory_gb(
    patch: tuple[int, ...], strides: tuple[tuple[int, ...], ...], filters: tuple[int, ...], batch: int
) -> float:
    # about 14 kept maps per level (convolutions, norms, activations of encoder and decoder), in float32
    kept = sum(14 * n * c * 4 for n, c in zip(_voxels(patch, strides), filters, strict=True))
    return batch * kept / 1e9 + 0.6


def _voxels(patch: tuple[int, ...], strides: tuple[tuple[int, ...], ...]) -> list[float]:
    factors = np.cumprod(np.array(strides, dtype=float), axis=0).prod(axis=1)
    return [float(np.prod(patch)) / float(f) for f in factors]


def fingerprint(facts: Sequence[CaseFacts], mirror_axes: tuple[int, ...] = ()) -> Fingerprint:
    """Return the ranges of the cases, to notice an image that is unlike them.

    Parameters
    ----------
    facts : sequence of CaseFacts
    mirror_axes : tuple of int
        Axes along which the training mirrors.
    """
    spacings = np.array([f.spacing for f in facts])
    extents = spacings * np.array([f.shape for f in facts])
    return Fingerprint(
        spacing_low=tuple(spacings.min(axis=0).tolist()),
        spacing_high=tuple(spacings.max(axis=0).tolist()),
        extent_low=tuple(extents.min(axis=0).tolist()),
        extent_high=tuple(extents.max(axis=0).tolist()),
        appearance=learned([f.looks for f in facts if f.looks], mirror_axes),
    )


def _check_same_kind(case: CasePaths, volume: Volume, first: Volume) -> None:
    def kind(v: Volume) -> str:
        return f"{v.grid.ndim}-D, {v.grid.space} space, {len(v.channels)} channels"

    if kind(volume) != kind(first):
        raise InputError(
            "E_DIMENSIONS_UNSUPPORTED",
            path=case.images[0],
            found=f"an image of another kind ({kind(volume)})",
            expected=kind(first),
            not_done="no plan was made",
            remedy="Keep one kind of image per data set.",
        )


def _no_use(found: str, expected: str) -> InputError:
    return InputError(
        "E_INPUT_EMPTY",
        found=found,
        expected=expected,
        not_done="no plan was made",
        remedy="Check the data set's folders.",
    )
