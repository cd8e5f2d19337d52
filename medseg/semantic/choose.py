"""Choose by evidence how labels are cleaned: a step is kept only if it helps on the validation cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medseg.grid import Grid, image_grid
from medseg.labels import LabelMap
from medseg.learn.cases import Case
from medseg.models.card import InputSpec, Postprocessing
from medseg.nets.tiled import predict_maps
from medseg.ops.components import cleaned
from medseg.planning import Plan
from medseg.progress import Pace, Steps, finish
from medseg.semantic.loop import case_dice, classes_of, tile_options

LEAST_GAIN = 1e-4
"""A step must raise the mean Dice by this much; smaller gains are chance."""
VOLUMES_MM3 = (5.0, 20.0, 50.0)


def choose_postprocessing(
    network: nn.Module, cases: Sequence[Case], plan: Plan, *, device: torch.device
) -> Steps[Postprocessing]:
    """Try, class by class, the largest component, filled holes and a smallest size; keep what raises the Dice.

    Parameters
    ----------
    network : nn.Module
    cases : sequence of Case
        Validation cases; never those of the score.
    plan : Plan
    device : torch.device
    """
    pace = Pace("choosing the cleaning", len(cases))
    found: list[LabelMap] = []
    for done, case in enumerate(cases, 1):
        maps, _ = finish(predict_maps(network, np.asarray(case.image), options=tile_options(plan), device=device))
        found.append(LabelMap(classes_of(maps, plan).astype(np.uint16), grid_of(case, plan.input), plan.classes))
        yield pace.at(done)
    best = Postprocessing()
    score = _score(found, cases, plan, best)
    for candidate in _candidates(plan):
        combined = _joined(best, candidate)
        value = _score(found, cases, plan, combined)
        if value > score + LEAST_GAIN:
            best, score = combined, value
    return best


def _candidates(plan: Plan) -> list[Postprocessing]:
    options: list[Postprocessing] = []
    for class_id in plan.classes:
        options.append(Postprocessing(keep_largest=(class_id,)))
        options.append(Postprocessing(fill_holes=(class_id,)))
        if len(plan.input.patch) == 3 and plan.input.unit != "px":
            options += [Postprocessing(min_volume_mm3={class_id: v}) for v in VOLUMES_MM3]
    return options


def _joined(a: Postprocessing, b: Postprocessing) -> Postprocessing:
    return Postprocessing(
        keep_largest=tuple(sorted({*a.keep_largest, *b.keep_largest})),
        fill_holes=tuple(sorted({*a.fill_holes, *b.fill_holes})),
        min_volume_mm3={**a.min_volume_mm3, **b.min_volume_mm3},
    )


def _score(found: Sequence[LabelMap], cases: Sequence[Case], plan: Plan, cleaning: Postprocessing) -> float:
    values: list[float] = []
    for labels, case in zip(found, cases, strict=True):
        array: npt.NDArray[Any] = cleaned(labels, **cleaning.model_dump()).array
        values += case_dice(array, case.labels, plan).values()
    return float(np.mean(values)) if values else 0.0


def grid_of(case: Case, spec: InputSpec) -> Grid:
    """Return a grid with the size of the voxels of a case; where it lies in space was left behind."""
    spacing = spec.spacing or (1.0,) * case.labels.ndim
    if spec.space == "patient":
        return Grid(case.labels.shape, np.diag([*spacing, 1.0]))
    return image_grid(case.labels.shape, spacing, spec.unit)
