"""The part of a model's card that follows from its plan and its training."""

from __future__ import annotations

from typing import Any

from torch import nn

from medseg.learn.weights import as_tensors, fill
from medseg.nets.probe import probe_answer
from medseg.planning import Plan
from medseg.training.options import TrainOptions


def card_fields(
    plan: Plan, options: TrainOptions, network: nn.Module, *, n_train: int, n_val: int, facts: dict[str, float]
) -> dict[str, Any]:
    """Return the fields of a `ModelCard` that every branch fills alike; summary and outputs are the branch's own.

    Parameters
    ----------
    plan : Plan
    options : TrainOptions
    network : nn.Module
        With the weights as they are stored, see `as_stored`.
    n_train, n_val : int
        Cases that trained, and that tuned.
    facts : dict
        The last line of the training's diary.
    """
    return {
        "name": options.name,
        "version": "1.0.0",
        "task": plan.task,
        "architecture": plan.architecture.model_dump(),
        "input": plan.input.model_dump(),
        "classes": plan.classes,
        "probe_output": probe_answer(network, n_in=len(plan.input.channels), patch=plan.input.patch),
        "licence": options.licence,
        "training_data": {
            "name": options.data_name,
            "licence": options.licence,
            "attribution": options.attribution,
            "n_cases": n_train + n_val,
            "notes": f"{n_train} cases trained, {n_val} tuned; the rest was never shown.",
        },
        "training": {
            "plan": plan.training.model_dump(),
            "budget": options.length,
            "seed": options.seed,
            **({"fold": "{}/{}".format(*options.fold)} if options.fold else {}),
            **({"devices": options.devices} if options.devices > 1 else {}),
            "facts": {"n_train": n_train, "n_val": n_val, **facts},
        },
        "fingerprint": plan.fingerprint.model_dump(),
    }


def as_stored(network: nn.Module, fresh: nn.Module) -> nn.Module:
    """Return `fresh` with the weights of `network`, rounded as they are stored: the card speaks of those."""
    fill(fresh, as_tensors(network))
    return fresh.eval().requires_grad_(requires_grad=False)
