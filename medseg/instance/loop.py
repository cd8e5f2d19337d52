"""The training loop of the instance branch: balanced patches, the heads' loss, and quick scores on whole images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from medseg.instance.augment import Drawing, draw
from medseg.instance.cases import InstanceCase
from medseg.instance.loss import DISTANCE, N_CLASSES, heads_loss
from medseg.instance.scale import REFERENCE_DIAMETER
from medseg.instance.targets import classes_of
from medseg.learn.fit import Batch, Batches, EpochReport, FitSettings, fit, supervised
from medseg.learn.together import ALONE, Place, fabric_for
from medseg.nets.build import build
from medseg.nets.device import fast_half
from medseg.nets.shape import Shape
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.planning import Plan
from medseg.progress import finish


class DrawOne(Protocol):
    """Draws one patch."""

    def __call__(self, case: InstanceCase, drawing: Drawing, *, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Return the image and the targets of a patch."""


MOST_SCORED = 12
"""Images that are looked at after every second epoch; all of them would cost more than they tell."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train: exactly one of `epochs` and `minutes`; from which seed; as which of several processes."""

    epochs: int | None = None
    minutes: float | None = None
    seed: int = 0
    place: Place = ALONE


def output_names(n_axes: int) -> tuple[str, ...]:
    """Return the names of the network's channels.

    Examples
    --------
    >>> output_names(2)
    ('background', 'interior', 'boundary', 'distance', 'offset_y', 'offset_x')
    """
    return ("background", "interior", "boundary", "distance", *(f"offset_{a}" for a in "zyx"[-n_axes:]))


def fit_cases(
    training: Sequence[InstanceCase],
    tuning: Sequence[InstanceCase],
    plan: Plan,
    *,
    groups: Mapping[str, str],
    budget: Budget,
    device: torch.device,
    state_file: Path,
    resume: bool = False,
) -> Generator[EpochReport, None, nn.Module]:
    """Train on prepared cases; yields a report per epoch and returns the averaged network.

    Parameters
    ----------
    training, tuning : sequences of InstanceCase
    plan : Plan
    groups : mapping of case name to group
        Images of one field of view; they share their group's weight.
    budget : Budget
    device : torch.device
    state_file : Path
    resume : bool
    """
    precision: Any = "bf16-mixed" if fast_half(device) else "32-true"
    return (
        yield from fit(
            lambda: new_network(plan),
            supervised(heads_loss),
            batches_of(training, plan, draw, groups=groups, seed=budget.seed, place=budget.place),
            lambda network: quick_scores(network, spread(tuning, MOST_SCORED), plan, device),
            settings=settings_of(plan, budget),
            fabric=fabric_for(device, precision, budget.place),
            state_file=state_file,
            resume=resume,
        )
    )


def settings_of(plan: Plan, budget: Budget) -> FitSettings:
    """Return how the loop runs for a plan and a budget."""
    return FitSettings(
        epochs=budget.epochs,
        minutes=budget.minutes,
        steps_per_epoch=budget.place.steps(plan.training.samples_per_epoch, plan.training.batch),
        learning_rate=plan.training.learning_rate,
        weight_decay=plan.training.weight_decay,
        average=plan.training.average,
        seed=budget.seed,
        validate_every=2,
    )


def new_network(plan: Plan) -> nn.Module:
    """Return the plan's network with fresh weights, laid out as convolutions run fastest."""
    n_axes = len(plan.input.patch)
    network = build(plan.architecture, shape=Shape(n_axes, len(plan.input.channels), len(output_names(n_axes))))
    layout = torch.channels_last if n_axes == 2 else torch.channels_last_3d
    return network.to(memory_format=layout)  # type: ignore[call-overload]


def chances(cases: Sequence[InstanceCase], groups: Mapping[str, str]) -> npt.NDArray[np.float64]:
    """Return how often each case is drawn: looks, and groups within a look, count by the square root of their size.

    Equal shares would show a handful of rare images all the time, shares by number would hide them.
    """
    group_of = [(c.look, groups.get(c.name, c.name)) for c in cases]
    in_group, in_look = Counter(group_of), Counter(c.look for c in cases)
    group_share: dict[str, float] = {
        look: sum(n**0.5 for (own, _), n in in_group.items() if own == look) for look in in_look
    }
    weight = [
        in_look[look] ** 0.5 * in_group[look, name] ** 0.5 / group_share[look] / in_group[look, name]
        for look, name in group_of
    ]
    return np.array(weight) / np.sum(weight)


def spread(cases: Sequence[InstanceCase], most: int) -> list[InstanceCase]:
    """Return at most `most` cases, evenly taken from the list ordered by look and name."""
    ordered = sorted(cases, key=lambda c: (c.look, c.name))
    if len(ordered) <= most:
        return ordered
    return [ordered[round(i)] for i in np.linspace(0, len(ordered) - 1, most)]


def quick_scores(
    network: nn.Module, cases: Sequence[InstanceCase], plan: Plan, device: torch.device
) -> dict[str, float]:
    """Return Dice of foreground and boundary, and how well the distances fit, over whole images at their own size."""
    tiles = TileOptions(
        plan.input.patch, len(output_names(len(plan.input.patch))), overlap=0.25, half=fast_half(device)
    )
    sums = np.zeros((2, 2))
    errors: list[float] = []
    for case in cases:
        image = np.asarray(case.image, np.float32)
        maps, _ = finish(predict_maps(network, image, options=tiles, device=device))
        found = maps[:N_CLASSES].argmax(axis=0)
        truth = classes_of(np.asarray(case.labels), np.asarray(case.maps[0], np.float32))
        for row, (a, b) in enumerate(((found > 0, truth > 0), (found == 2, truth == 2))):
            sums[row] += 2.0 * np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)
        inside = truth > 0
        if inside.any():
            errors.append(float(np.abs(maps[DISTANCE][inside] - case.maps[1][inside]).mean()))
    foreground, boundary = (sums[:, 0] / np.maximum(sums[:, 1], 1.0)).tolist()
    fit_of_distance = 1.0 - float(np.mean(errors)) if errors else 1.0
    score = (foreground + boundary + fit_of_distance) / 3.0
    return {"foreground": foreground, "boundary": boundary, "distance": fit_of_distance, "score": score}


def batches_of(
    cases: Sequence[InstanceCase],
    plan: Plan,
    draw_one: DrawOne,
    *,
    groups: Mapping[str, str],
    seed: int,
    diameter: float = REFERENCE_DIAMETER,
    place: Place = ALONE,
) -> Batches:
    """Return the batches of each epoch; every patch follows from the seed, the epoch and its number.

    Parameters
    ----------
    cases : sequence of InstanceCase
    plan : Plan
    draw_one : callable
        Case, drawing and seed → image and targets of a patch.
    groups : mapping of case name to group
    seed : int
    diameter : float
        Median diameter of the objects in voxels, about which it is varied.
    place : Place
        Of several processes each draws its share.
    """
    chance = chances(cases, groups)
    drawing = Drawing(plan.input.patch, centred=plan.training.foreground_share, diameter=diameter)
    size = plan.training.batch
    steps = place.steps(plan.training.samples_per_epoch, size)

    def batches(epoch: int) -> Iterator[Batch]:
        for step in place.share(steps):
            keys = [(seed, epoch, step * size + k) for k in range(size)]
            picks = [int(np.random.default_rng((*key, 1)).choice(len(cases), p=chance)) for key in keys]
            pairs = [draw_one(cases[i], drawing, seed=key) for i, key in zip(picks, keys, strict=True)]
            yield torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])

    return batches
