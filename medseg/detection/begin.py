"""A detector's encoder from a model that is trained already."""

from __future__ import annotations

import torch

from medseg.errors import ModelError
from medseg.models.bundle import Bundle
from medseg.nets.maskrcnn.network import MaskRCNN, load_backbone

FEWEST_TENSORS = 4
"""Fewer tensors that fit are an accident, and no start."""


def fill_encoder(network: MaskRCNN, bundle: Bundle) -> tuple[str, ...]:
    """Copy what fits of a model's weights into the encoder, and return the names.

    Raises
    ------
    ModelError
        If hardly anything fits.
    """
    names = load_backbone(network, {name: torch.from_numpy(t) for name, t in bundle.tensors.items()})
    if len(names) >= FEWEST_TENSORS:
        return names
    own = bundle.card.architecture
    raise ModelError(
        "E_BUNDLE_INCOMPATIBLE",
        path=bundle.path,
        found=f"a {own.name} of which {len(names)} of {len(bundle.tensors)} arrays of weights fit",
        expected="an encoder with the channels, strides and axes of the plan",
        not_done="no training was started",
        remedy="Leave out --init, name another model, or set the plan's filters and strides to those of the model.",
    )
