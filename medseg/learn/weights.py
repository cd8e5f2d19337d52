"""From a model folder to a network that is known to be the one that the card describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from medseg.errors import ModelError
from medseg.models.bundle import Bundle, Tensors
from medseg.models.card import ModelCard
from medseg.nets.build import build
from medseg.nets.probe import answers_agree, probe_answer
from medseg.nets.shape import Shape


def load_network(bundle: Bundle) -> nn.Module:
    """Build the card's network, fill in the weights and check its answer to the fixed question.

    Returns
    -------
    nn.Module
        float32, in evaluation mode, on the CPU.

    Raises
    ------
    ModelError
        If weights and card do not fit together.
    """
    card = bundle.card
    _check_size(bundle)
    network = build(card.architecture, shape=shape_of(card))
    expected = {name: tuple(t.shape) for name, t in _own_state(network).items()}
    found = {name: tuple(t.shape) for name, t in bundle.tensors.items()}
    if expected != found:
        odd = sorted(n for n in set(expected) | set(found) if expected.get(n) != found.get(n))
        raise _misfit(bundle, f"weights that differ at {odd[0]} ({len(odd)} in all)", "the card's network")
    fill(network, bundle.tensors)
    network.eval().requires_grad_(requires_grad=False)
    answer = probe_answer(network, n_in=len(card.input.channels), patch=card.input.patch)
    if card.probe_output and not answers_agree(answer, card.probe_output):
        raise _misfit(bundle, f"the answer {answer} to the test pattern", f"{card.probe_output}")
    return network


def _check_size(bundle: Bundle) -> None:
    """Refuse a card whose network has more weights than there are, before room is made for them."""
    card = bundle.card
    try:
        with torch.device("meta"), _NoDrawing():  # shapes without numbers
            sketch = build(card.architecture, shape=shape_of(card))
    except RuntimeError:
        return  # a network that computes while it is built; the bounds of its options keep it small
    needed, stored = sum(p.numel() for p in sketch.parameters()), sum(t.size for t in bundle.tensors.values())
    if needed > stored:
        raise _misfit(bundle, f"{stored:,} weights", f"the {needed:,} of the card's network")


class _NoDrawing(TorchFunctionMode):
    """Leaves out the drawing of first weights, which loads all of torch's compiler for tensors without numbers."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **(kwargs or {}))


def as_tensors(network: nn.Module) -> Tensors:
    """Return the weights as arrays, floating ones in float16."""
    state = _own_state(network)
    return {n: (t.half() if t.is_floating_point() else t).cpu().numpy() for n, t in state.items()}


def fill(network: nn.Module, tensors: Tensors) -> None:
    """Copy stored weights into a network, as float32."""
    network.load_state_dict({n: torch.from_numpy(t).float() for n, t in tensors.items()}, strict=False)


def _own_state(network: nn.Module) -> dict[str, Tensor]:
    # MONAI's dynamic U-Net registers its blocks twice; each tensor is kept under its first name only. How many batches
    # a norm has seen says nothing about its answer.
    seen: set[int] = set()
    own: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        if tensor.data_ptr() not in seen and not name.endswith("num_batches_tracked"):
            seen.add(tensor.data_ptr())
            own[name] = tensor
    return own


def shape_of(card: ModelCard) -> Shape:
    """Return the outer shape of the card's network."""
    return Shape(len(card.input.patch), len(card.input.channels), len(card.outputs))


def _misfit(bundle: Bundle, found: str, expected: str) -> ModelError:
    return ModelError(
        "E_BUNDLE_INTEGRITY",
        path=bundle.path,
        found=found,
        expected=expected,
        not_done="the model was not used",
        remedy="Get the model again, or use the version of medseg that made it.",
    )
