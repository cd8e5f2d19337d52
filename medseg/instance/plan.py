"""The plan of an instance training: like every plan a readable file, made from the prepared look of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import JsonValue

from medseg.errors import InputError
from medseg.instance.scale import CHANNELS
from medseg.io.dataset import CasePaths, Dataset
from medseg.io.read import read, read_labels
from medseg.models.card import Architecture, Fingerprint, InputSpec, Normalisation
from medseg.planning import Plan, TrainingPlan
from medseg.progress import Pace, Steps

FILTERS = {"cpu": (24, 48, 96, 128, 160), "gpu": (32, 64, 128, 192, 256)}
PATCH = {"cpu": {2: (160, 160), 3: (16, 96, 96)}, "gpu": {2: (256, 256), 3: (32, 128, 128)}}
BATCH = {"cpu": 6, "gpu": 16}
STEPS_PER_EPOCH = 300
THICK = 2.0
"""A z step of more than this many pixels is not halved in the first levels."""


@dataclass(frozen=True, slots=True)
class _Facts:
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    unit: Literal["mm", "um", "px"]
    space: Literal["patient", "image"]
    share: float


def plan_steps(dataset: Dataset, *, name: str, target: Literal["cpu", "gpu"] = "cpu") -> Steps[Plan]:
    """Read every case once and derive a plan; grey and colour may be mixed, two and three axes may not.

    Parameters
    ----------
    dataset : Dataset
        Labels number the objects.
    name : str
    target : {"cpu", "gpu"}

    Raises
    ------
    InputError
        If there are no cases, no objects, or images of two and of three axes.
    """
    facts: list[_Facts] = []
    pace = Pace("reading the data set", len(dataset.cases))
    for done, case in enumerate(dataset.cases, 1):
        facts.append(_facts(case))
        if len(facts[-1].shape) != len(facts[0].shape):
            raise _no_use(case, f"an image of {len(facts[-1].shape)} axes", f"{len(facts[0].shape)} as the others")
        yield pace.at(done)
    if not any(f.share > 0 for f in facts):
        raise _no_use(None, "no labelled object in any case", "labels that number the objects from 1")
    return _plan(facts, dataset.classes, name, target)


def _plan(facts: list[_Facts], classes: dict[int, str], name: str, target: Literal["cpu", "gpu"]) -> Plan:
    n_axes = len(facts[0].shape)
    spacings = np.array([f.spacing for f in facts])
    extents = np.array([f.shape for f in facts]) * spacings
    patch, filters = PATCH[target][n_axes], FILTERS[target]
    strides = _strides(n_axes, len(filters), np.median(spacings, axis=0))
    options: dict[str, JsonValue] = {
        "filters": list(filters),
        "strides": [list(s) for s in strides],
        "kernels": [[3] * n_axes for _ in strides],
        "deep_supervision": 0,
        "norm": "batch",  # a tile without objects must not be stretched until its noise looks like objects
    }
    batch = BATCH[target] if n_axes == 2 else 2
    voxels = float(np.prod(patch))
    return Plan(
        name=name,
        task="instance",
        input=InputSpec(
            channels=CHANNELS,
            space=facts[0].space,
            spacing=None,
            unit=facts[0].unit,
            patch=patch,
            normalisation=Normalisation(scheme="percentile", percentiles=(1.0, 99.8)),
            mirror_axes=tuple(range(n_axes))[-2:],
            modality="microscopy",
        ),
        architecture=Architecture(name="dynunet", options=options),
        classes=classes if len(classes) == 1 else {1: "object"},
        training=TrainingPlan(
            loss="heads", batch=batch, samples_per_epoch=STEPS_PER_EPOCH * batch, foreground_share=0.7
        ),
        predicted_memory_gb=round(0.6 + batch * voxels * filters[0] * 14 * 4 * 2 / 1e9, 2),
        predicted_gflop_per_patch=round(len(filters) * voxels * 3**n_axes * 10 * filters[0] ** 2 / 1e9, 1),
        fingerprint=Fingerprint(
            spacing_low=tuple(spacings.min(axis=0).tolist()),
            spacing_high=tuple(spacings.max(axis=0).tolist()),
            extent_low=tuple(extents.min(axis=0).tolist()),
            extent_high=tuple(extents.max(axis=0).tolist()),
        ),
        class_share={1: float(np.mean([f.share for f in facts]))},
        n_cases=len(facts),
    )


def _strides(n_axes: int, levels: int, spacing: np.typing.NDArray[np.float64]) -> list[tuple[int, ...]]:
    strides: list[tuple[int, ...]] = [(1,) * n_axes]
    step = spacing / spacing.min()
    for _ in range(levels - 1):
        halve = step < THICK * step.min()
        strides.append(tuple(2 if h else 1 for h in halve))
        step = np.where(halve, step * 2, step)
    return strides


def _facts(case: CasePaths) -> _Facts:
    volume, labels = read(case.images[0]), read_labels(case.label)
    grid = volume.grid
    if grid.shape != labels.grid.shape:
        raise _no_use(case, f"labels of {labels.grid.shape} voxels", f"{grid.shape} as the image")
    return _Facts(grid.shape, grid.spacing, grid.unit, grid.space, float(np.mean(labels.array > 0)))


def _no_use(case: CasePaths | None, found: str, expected: str) -> InputError:
    return InputError(
        "E_INPUT_EMPTY" if case is None else "E_DIMENSIONS_UNSUPPORTED",
        path=None if case is None else case.images[0],
        found=found,
        expected=expected,
        not_done="no plan was made",
        remedy="Check the data set's folders.",
    )
