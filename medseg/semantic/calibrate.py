"""Look at validation cases as they are and spoiled, and learn from it how good a result probably is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medseg.confidence.learn import AS_IT_IS, LEAST_CASES, LEAST_LOOKS, Look, learned
from medseg.errors import OutputError, ResourceError
from medseg.labels import LabelMap
from medseg.learn.cases import Case
from medseg.models.card import Confidence, InputSpec, ModelCard, Postprocessing
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.ops.components import cleaned
from medseg.ops.intensity import normalised
from medseg.ops.rim import Rims
from medseg.ops.spoil import LEVELS, WAYS, spoiled
from medseg.planning import Plan
from medseg.progress import FinishEarly, Pace, Steps, finish
from medseg.semantic.choose import grid_of
from medseg.semantic.loop import case_dice, classes_of

SHARE_OF_TRAINING = 0.05
MOST_LOOKS = 600
SHARE_AS_IT_IS = 0.2
"""Of the looks at most; the others are at spoiled cases."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the looks may take, and how many there may be at most."""

    seconds: float
    looks: int = MOST_LOOKS


def calibrate_steps(
    network: nn.Module,
    cases: Sequence[Case],
    plan: Plan | ModelCard,
    cleaning: Postprocessing,
    *,
    always_there: Collection[int],
    limits: Limits,
) -> Steps[Confidence | None]:
    """Learn how the Dice follows from the width of the rim; asked to finish early, from the looks so far.

    Parameters
    ----------
    network : nn.Module
        Computes where it lies.
    cases : sequence of Case
        Validation cases; never those of the score.
    plan : Plan or ModelCard
        Whose input and classes the network has.
    cleaning : Postprocessing
        As labels are cleaned after the network.
    always_there : collection of int
        Ids of the classes that every image of the training has.
    limits : Limits

    Returns
    -------
    Confidence or None
        None where cases or time are too few, or the Dice does not follow.
    """
    planned = _planned(cases, limits.looks)
    if len(cases) < LEAST_CASES or len(planned) < LEAST_LOOKS:
        return None
    end = monotonic() + limits.seconds
    looks: list[Look] = []
    pace = Pace("learning how far results may be trusted", len(planned))
    try:
        for number, (case, way, level) in enumerate(planned, 1):
            begun = monotonic()
            # the model is worth more than one of its looks
            with suppress(OutputError, ResourceError):
                looks.append(_look(network, case, _worse(case, way, level, plan.input), plan, cleaning, way))
            slow = (monotonic() - begun) * (LEAST_LOOKS - number) > end - monotonic()
            if monotonic() >= end or (number < LEAST_LOOKS and slow):
                break
            yield pace.at(number)
    except FinishEarly:
        pass
    return learned(looks, sorted(plan.classes), always_there)


def _planned(cases: Sequence[Case], most: int) -> list[tuple[Case, str, int]]:
    """Return what to look at: some cases as they are, then all ways and strengths in an order that treats all alike."""
    plain = [(case, AS_IT_IS, 0) for case in cases][: max(LEAST_CASES, int(SHARE_AS_IT_IS * most))]
    every = [(case, way, level) for case in cases for way in WAYS for level in LEVELS]
    rest = [*plain[LEAST_CASES:], *every]
    order = np.random.default_rng(0).permutation(len(rest))
    return [*plain[:LEAST_CASES], *(rest[k] for k in order)][:most]


def _worse(case: Case, way: str, level: int, spec: InputSpec) -> npt.NDArray[np.float32]:
    image = np.asarray(case.image)
    if way == AS_IT_IS:
        return image
    seed = [level, *way.encode(), *case.name.encode()]
    worse = spoiled(image, way, level, np.random.default_rng(seed))
    scheme = spec.normalisation
    if scheme.scheme != "ct":
        return normalised(worse, **scheme.model_dump())
    # the cases hold what is left of the range of the model; a spoiled scan is cut to it, too
    return np.clip(worse, image.min(), image.max())


def _look(
    network: nn.Module,
    case: Case,
    image: npt.NDArray[np.float32],
    plan: Plan | ModelCard,
    cleaning: Postprocessing,
    way: str,
) -> Look:
    device = next((own.device for own in network.parameters()), torch.device("cpu"))
    options = TileOptions(patch=plan.input.patch, n_out=len(plan.classes) + 1)
    maps, _ = finish(predict_maps(network, image, options=options, device=device))
    rims = Rims(options.n_out)
    rims.add(maps)
    labels = LabelMap(classes_of(maps, plan).astype(np.uint16), grid_of(case, plan.input), plan.classes)
    found = cleaned(labels, **cleaning.model_dump()).array
    dice = case_dice(found, case.labels, plan)
    ids = sorted(plan.classes)
    widths = tuple(
        rim.width if (found == class_id).any() else np.nan for class_id, rim in zip(ids, rims.result()[1:], strict=True)
    )
    return Look(case.name, way, widths, tuple(dice.get(class_id, np.nan) for class_id in ids))


def classes_in_all(cases: Sequence[Case], classes: Collection[int]) -> list[int]:
    """Return the ids of the classes that every case has."""
    return [class_id for class_id in classes if all(class_id in case.points for case in cases)]
