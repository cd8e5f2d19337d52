"""The training loop of the semantic branch: patches, loss, and Dice on whole validation cases."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from medseg.learn.augment import Augmenter
from medseg.learn.cases import Case
from medseg.learn.fit import Batch, EpochReport, FitSettings, fit, supervised
from medseg.learn.sampling import sample
from medseg.learn.together import ALONE, Place, fabric_for
from medseg.models.card import ModelCard
from medseg.nets.build import build
from medseg.nets.device import fast_half
from medseg.nets.losses import deeply_supervised, loss_of
from medseg.nets.shape import Shape
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.planning import THICK_RATIO, Plan
from medseg.progress import finish


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train: exactly one of `epochs` and `minutes`; from which seed; as which of several processes."""

    epochs: int | None = None
    minutes: float | None = None
    seed: int = 0
    place: Place = ALONE


def fit_cases(
    training: Sequence[Case],
    tuning: Sequence[Case],
    plan: Plan,
    *,
    budget: Budget,
    device: torch.device,
    state_file: Path,
    resume: bool = False,
) -> Generator[EpochReport, None, nn.Module]:
    """Train on prepared cases; yields a report per epoch and returns the averaged network.

    Parameters
    ----------
    training, tuning : sequences of Case
    plan : Plan
    budget : Budget
    device : torch.device
    state_file : Path
        Where the state is kept after each epoch.
    resume : bool
    """
    steps = budget.place.steps(plan.training.samples_per_epoch, plan.training.batch)
    settings = FitSettings(
        epochs=budget.epochs,
        minutes=budget.minutes,
        steps_per_epoch=steps,
        learning_rate=plan.training.learning_rate,
        weight_decay=plan.training.weight_decay,
        average=plan.training.average,
        seed=budget.seed,
    )
    precision: Any = "bf16-mixed" if fast_half(device) else "32-true"
    return (
        yield from fit(
            lambda: new_network(plan),
            supervised(deeply_supervised(loss_of(plan.training.loss, plan.input.spacing))),
            _batches(training, plan, steps, budget),
            lambda network: validation_dice(network, tuning, plan, device),
            settings=settings,
            fabric=fabric_for(device, precision, budget.place),
            state_file=state_file,
            resume=resume,
        )
    )


def new_network(plan: Plan) -> nn.Module:
    """Return the plan's network with fresh weights; channel 0 is background, then the classes by rising id."""
    return build(plan.architecture, shape=Shape(len(plan.input.patch), len(plan.input.channels), len(plan.classes) + 1))


def tile_options(plan: Plan) -> TileOptions:
    """Return how whole cases are predicted during validation."""
    return TileOptions(patch=plan.input.patch, n_out=len(plan.classes) + 1)


def validation_dice(network: nn.Module, cases: Sequence[Case], plan: Plan, device: torch.device) -> dict[str, float]:
    """Return the mean Dice of each class over whole cases on the working grid, and their mean as ``score``.

    Cases where a class is absent from both labels and prediction do not count for that class.
    """
    options = tile_options(plan)
    half = TileOptions(patch=options.patch, n_out=options.n_out, half=fast_half(device))
    rows: dict[int, list[float]] = {c: [] for c in plan.classes}
    for case in cases:
        maps, _ = finish(predict_maps(network, np.asarray(case.image), options=half, device=device))
        for class_id, dice in case_dice(classes_of(maps, plan), case.labels, plan).items():
            rows[class_id].append(dice)
    means = {plan.classes[c]: float(np.mean(values)) for c, values in rows.items() if values}
    return {**means, "score": float(np.mean(list(means.values()))) if means else 0.0}


def classes_of(maps: npt.NDArray[np.float32], plan: Plan | ModelCard) -> npt.NDArray[Any]:
    """Return the class id of the largest of (1 + classes, *s) maps."""
    ids = np.array([0, *sorted(plan.classes)])
    return ids[maps.argmax(axis=0)]


def case_dice(found: npt.NDArray[Any], truth: npt.NDArray[Any], plan: Plan | ModelCard) -> dict[int, float]:
    """Return the Dice of each class that is there in at least one of two arrays."""
    dice = {}
    for class_id in plan.classes:
        a, b = found == class_id, truth == class_id
        total = int(a.sum()) + int(b.sum())
        if total:
            dice[class_id] = 2.0 * float((a & b).sum()) / total
    return dice


def _batches(cases: Sequence[Case], plan: Plan, steps: int, budget: Budget) -> Callable[[int], Iterator[Batch]]:
    augment = Augmenter(len(plan.input.patch), mirror_axes=plan.input.mirror_axes, thick_axis=_thick_axis(plan))
    share, patch, size = plan.training.foreground_share, plan.input.patch, plan.training.batch
    ids = np.array([0, *sorted(plan.classes)])

    def pair(epoch: int, number: int) -> tuple[Tensor, Tensor]:
        key = (budget.seed, epoch, number)
        cut = sample(cases, patch=patch, foreground=share, seed=key)
        image, labels = augment(cut, seed=int(np.random.SeedSequence(key).generate_state(1)[0]))
        return torch.from_numpy(image), torch.from_numpy(np.searchsorted(ids, labels).astype(np.uint8))[None]

    def batches(epoch: int) -> Iterator[Batch]:
        for step in budget.place.share(steps):
            pairs = [pair(epoch, step * size + k) for k in range(size)]
            yield torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])

    return batches


def _thick_axis(plan: Plan) -> int | None:
    spacing = plan.input.spacing
    if spacing is None or len(spacing) < 3 or max(spacing) < THICK_RATIO * min(spacing):
        return None
    return int(np.argmax(spacing))
