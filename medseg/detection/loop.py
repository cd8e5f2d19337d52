"""The training loop of the detector: the patches of the instance branch, the detector's losses, average precision."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medseg.detection.begin import fill_encoder
from medseg.detection.judge import LOWEST_SCORE, average_precisions, judged_steps
from medseg.detection.look import Looker
from medseg.detection.plan import diameters, working_diameter
from medseg.detection.targets import truth_of
from medseg.instance.augment import draw_objects
from medseg.instance.cases import InstanceCase
from medseg.instance.loop import MOST_SCORED, Budget, batches_of, settings_of, spread
from medseg.learn.fit import Batch, EpochReport, Objective, fit
from medseg.learn.together import fabric_for
from medseg.models.bundle import Bundle
from medseg.nets.build import build
from medseg.nets.device import fast_half
from medseg.nets.maskrcnn.network import MaskRCNN
from medseg.nets.shape import Shape
from medseg.planning import Plan
from medseg.progress import finish

T = TypeVar("T")


@dataclass(frozen=True, eq=False, slots=True)
class Start:
    """Where a training begins: from nothing, or from the encoder of another model."""

    bundle: Bundle | None = None
    resume: bool = False


def fit_cases(
    training: Sequence[InstanceCase],
    tuning: Sequence[InstanceCase],
    plan: Plan,
    *,
    groups: Mapping[str, str],
    budget: Budget,
    device: torch.device,
    state_file: Path,
    start: Start,
) -> Generator[EpochReport, None, nn.Module]:
    """Train on prepared cases; yields a report per epoch and returns the averaged network.

    Parameters
    ----------
    training, tuning : sequences of InstanceCase
    plan : Plan
    groups : mapping of case name to group
    budget : Budget
    device : torch.device
    state_file : Path
    start : Start
    """
    # in volumes on a CPU bfloat16 gave gradients that are no numbers (torch 2.13)
    half = fast_half(device) and (device.type != "cpu" or len(plan.input.patch) == 2)
    precision: Any = "bf16-mixed" if half else "32-true"
    fabric = fabric_for(device, precision, budget.place)
    scored = spread(tuning, MOST_SCORED)

    def score(network: nn.Module) -> dict[str, float]:
        return average_precisions(finish(judged_steps(scored, looker(network, plan, device))), output_names(plan)[1:])

    return (
        yield from fit(
            lambda: begun(plan, start.bundle),
            objective(fabric, budget.seed),
            batches_of(
                training,
                plan,
                draw_objects,
                groups=groups,
                seed=budget.seed,
                place=budget.place,
                diameter=working_diameter(plan),
            ),
            score,
            settings=settings_of(plan, budget),
            fabric=fabric,
            state_file=state_file,
            resume=start.resume,
        )
    )


def objective(fabric: Fabric, seed: int) -> Objective:
    """Return the sum of the detector's losses; what is drawn in a step follows from the seed and its number."""

    def total(wrapped: nn.Module, batch: Batch, step: int) -> Tensor:
        images, labels = batch
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
        with fabric.autocast():
            parts = losses_of(wrapped, fabric)(
                images, [truth_of(own[0], own[1]) for own in labels], generator=generator
            )
        return torch.stack([part.float() for part in parts.values()]).sum()

    return total


class _Whole(Generic[T]):
    """A list that wrappers of the network hand on as it is; they take lists apart, and frozen values cannot be."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __getitem__(self, index: int) -> T:
        return self._items[index]


def losses_of(wrapped: nn.Module, fabric: Fabric) -> Callable[..., dict[str, Tensor]]:
    """Return the network's own losses; gradients of several processes are averaged of what passes the wrapper only."""
    if fabric.world_size == 1:
        return cast("MaskRCNN", getattr(wrapped, "module", wrapped)).losses
    module = cast("Any", wrapped)
    module.mark_forward_method("losses")
    call = cast("Callable[..., dict[str, Tensor]]", module.losses)
    return lambda images, truths, **given: call(images, _Whole(truths), **given)


def begun(plan: Plan, bundle: Bundle | None) -> nn.Module:
    """Return the plan's network with fresh weights, its encoder from another model where one is given."""
    network = new_network(plan)
    if bundle is not None:
        fill_encoder(network, bundle)
    return network


def new_network(plan: Plan) -> MaskRCNN:
    """Return the plan's network with fresh weights."""
    n_axes = len(plan.input.patch)
    network = build(plan.architecture, shape=Shape(n_axes, len(plan.input.channels), len(output_names(plan))))
    # not in the layout of channels last: with torch 2.13 the backward pass of such a network on a CPU broke the memory
    return cast("MaskRCNN", network)


def output_names(plan: Plan) -> tuple[str, ...]:
    """Return the names of what the network tells apart: the background and the classes."""
    return ("background", *(plan.classes[c] for c in sorted(plan.classes)))


def looker(network: nn.Module, plan: Plan, device: torch.device) -> Looker:
    """Return the network ready to look at images of the working size, down to the faintest objects."""
    low, high = plan.fingerprint.spacing_low, plan.fingerprint.spacing_high
    spacing = tuple((a * b) ** 0.5 for a, b in zip(low, high, strict=True))
    usual = diameters(len(plan.input.patch), spacing)
    scale = working_diameter(plan) / max(usual)
    return Looker(
        cast("MaskRCNN", network),
        plan.input.patch,
        tuple(d * scale for d in usual),
        device,
        threshold=LOWEST_SCORE,
        half=fast_half(device),
    )
