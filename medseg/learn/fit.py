"""The training loop of every branch: one generator that yields a report per epoch and can stop or resume there."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medseg.errors import OutputError, UsageError
from medseg.learn import checkpoint
from medseg.learn.together import first_says, mean_of_all
from medseg.nets.losses import Loss

Batch = tuple[Tensor, Tensor]
Batches = Callable[[int], Iterator[Batch]]
"""Epoch number → the batches of that epoch: (b, c, *s) float32 images and (b, k, *s) targets. A pure function."""
Objective = Callable[[nn.Module, Batch, int], Tensor]
"""Network as the fabric wraps it, a batch on its device, number of the batch → the loss, a scalar."""
Scorer = Callable[[nn.Module], dict[str, float]]
"""Averaged network in evaluation mode → named validation scores; ``score`` is the one to maximise."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How long and how to train; exactly one of `epochs` and `minutes` is given."""

    epochs: int | None = None
    minutes: float | None = None
    steps_per_epoch: int = 100
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: float = 0.03
    average: float = 0.995
    precision: str = "32-true"
    seed: int = 0
    validate_every: int = 1


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What one epoch gave; `progress` is the share of the budget that is spent."""

    epoch: int
    progress: float
    seconds: float
    learning_rate: float
    loss: float
    scores: dict[str, float]


MOST_ODD_STEPS = 3
"""So many gradients in a row that are no numbers end a training; fewer are left out."""


def supervised(loss: Loss) -> Objective:
    """Return the objective of a network whose answer is compared with the targets."""
    return lambda network, batch, _: loss(network(batch[0]), batch[1])


@dataclass(slots=True)
class _State:
    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    elapsed: float = 0.0


def fit(
    make_network: Callable[[], nn.Module],
    objective: Objective,
    batches: Batches,
    score: Scorer,
    *,
    settings: FitSettings,
    fabric: Fabric,
    state_file: Path,
    resume: bool = False,
) -> Generator[EpochReport, None, nn.Module]:
    """Train a network and return the moving average of its weights.

    The state is saved after every epoch; with `resume` the loop goes on from there. With a budget in epochs the resumed
    training equals an undisturbed one, since every random draw follows from the seed and the number of the patch; with
    minutes the time already spent counts. Of several processes the first one scores, saves and keeps the time.

    Parameters
    ----------
    make_network : callable
        Builds the network; called once, after seeding.
    objective : callable
        See `Objective`; `supervised` makes one of a loss.
    batches : callable
        See `Batches`.
    score : callable
        See `Scorer`.
    settings : FitSettings
    fabric : Fabric
        Moves tensors and chooses the precision.
    state_file : Path
    resume : bool

    Raises
    ------
    UsageError
        If not exactly one budget is given.
    OutputError
        If the loss is no longer a number.
    """
    if (settings.epochs is None) == (settings.minutes is None):
        raise UsageError(
            "E_USAGE",
            found="both or neither of a number of epochs and of minutes",
            expected="exactly one of them",
            not_done="no training was started",
            remedy="Give --minutes or --epochs.",
        )
    torch.manual_seed(settings.seed)
    network = make_network()
    average = make_network().eval().requires_grad_(requires_grad=False)
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    state = _State(network, average.to(fabric.device), optimiser)
    if resume:
        _restore(state, checkpoint.load(state_file), settings)
    wrapped, _ = fabric.setup(network, optimiser)
    if fabric.global_rank > 0:  # all began with the same weights, and now leave out other units where they do so
        torch.manual_seed(settings.seed + fabric.global_rank)
    while _progress(state, settings, 0.0) < 1.0:
        start = monotonic()
        mean_loss = _one_epoch(state, wrapped, objective, batches(state.epoch), settings, fabric, start)
        state.epoch += 1
        scores, seconds = _scored(state, score, settings, fabric, start)
        state.elapsed += seconds
        if fabric.is_global_zero:
            checkpoint.save(_as_data(state, settings), state_file)
        rate = float(optimiser.param_groups[0]["lr"])
        progress = _progress(state, settings, 0.0)
        yield EpochReport(state.epoch, progress, seconds, rate, mean_loss, scores)
    return state.average


def _scored(
    state: _State, score: Scorer, settings: FitSettings, fabric: Fabric, start: float
) -> tuple[dict[str, float], float]:
    """Return the scores of this epoch where they are due, as at the end always, and the seconds since `start`."""
    seconds = first_says(fabric, monotonic() - start)
    if state.epoch % settings.validate_every != 0 and _progress(state, settings, seconds) < 1.0:
        return {}, seconds
    scores = score(state.average) if fabric.is_global_zero else {}
    return scores, first_says(fabric, monotonic() - start)  # the time of scoring counts


def _one_epoch(
    state: _State,
    wrapped: nn.Module,
    objective: Objective,
    batches: Iterator[Batch],
    settings: FitSettings,
    fabric: Fabric,
    start: float,
) -> float:
    wrapped.train()
    total, count, odd = 0.0, 0, 0
    progress = _progress(state, settings, 0.0)  # not by the clock, which is each process's own
    for images, targets in batches:
        for group in state.optimiser.param_groups:
            group["lr"] = _rate(progress, settings)
        images, targets = fabric.to_device((images, targets))
        value = objective(wrapped, (images, targets), state.step * fabric.world_size + fabric.global_rank)
        mean = mean_of_all(fabric, value.item())
        if not math.isfinite(mean):
            raise _diverged(state.epoch)
        state.optimiser.zero_grad(set_to_none=True)
        fabric.backward(value)
        odd = _step(state, odd)
        _follow(state, settings)
        total, count = total + mean, count + 1
        progress = _progress(state, settings, monotonic() - start, count)
        if settings.minutes is not None:
            progress = first_says(fabric, progress)
            if progress >= 1.0:
                break
    return total / max(count, 1)


def _step(state: _State, odd: int) -> int:
    """Step along the gradient, or leave the step out where that is no number; returns how many were in a row."""
    # a finite loss may still have such a gradient (half precision): its step would ruin the weights
    sound = math.isfinite(nn.utils.clip_grad_norm_(state.network.parameters(), 12.0).item())
    if not sound and odd + 1 >= MOST_ODD_STEPS:
        raise _diverged(state.epoch)
    if sound:
        state.optimiser.step()
    state.step += 1
    return 0 if sound else odd + 1


def _progress(state: _State, settings: FitSettings, running: float, steps: int = 0) -> float:
    if settings.minutes is not None:
        return min(1.0, (state.elapsed + running) / (60.0 * settings.minutes))
    # counted in steps, never in time, so that a resumed training follows the same schedule
    return min(1.0, (state.epoch + steps / settings.steps_per_epoch) / (settings.epochs or 1))


def _rate(progress: float, settings: FitSettings) -> float:
    rise = min(1.0, (progress + 1e-3) / settings.warmup) if settings.warmup > 0 else 1.0
    return settings.learning_rate * rise * (0.5 * (1.0 + math.cos(math.pi * progress)) * 0.99 + 0.01)


@torch.no_grad()
def _follow(state: _State, settings: FitSettings) -> None:
    keep = min(settings.average, (1 + state.step) / (10 + state.step))
    ours = list(state.average.state_dict().values())
    theirs = list(state.network.state_dict().values())
    for own, new in zip(ours, theirs, strict=True):
        if own.is_floating_point():
            own.lerp_(new.to(own.device), 1.0 - keep)
        else:
            own.copy_(new)


def _as_data(state: _State, settings: FitSettings) -> dict[str, Any]:
    return {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "epoch": state.epoch,
        "step": state.step,
        "elapsed": state.elapsed,
        "seed": settings.seed,
    }


def _restore(state: _State, data: dict[str, Any], settings: FitSettings) -> None:
    if data["seed"] != settings.seed:
        raise UsageError(
            "E_USAGE",
            found=f"a training begun with seed {data['seed']}",
            expected=f"seed {settings.seed}",
            not_done="the training was not resumed",
            remedy="Resume with the same seed.",
        )
    state.network.load_state_dict(data["network"])
    state.average.load_state_dict(data["average"])
    state.optimiser.load_state_dict(data["optimiser"])
    state.epoch, state.step, state.elapsed = data["epoch"], data["step"], data["elapsed"]


def _diverged(epoch: int) -> OutputError:
    return OutputError(
        "E_OUTPUT_NONFINITE",
        found=f"a loss that is not a number in epoch {epoch + 1}",
        expected="a finite loss",
        not_done="the training stopped; the state of the epoch before is kept",
        remedy="Lower the learning rate in the plan, or look for damaged images.",
    )
