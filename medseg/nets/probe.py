"""A fixed question to a network whose answer is kept in the card: it tells that weights and code still fit together."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

PROBE_TOLERANCE = 1e-3
"""Largest difference of an answer, relative to the largest answer; rounding differs a little between processors."""


@torch.inference_mode()
def probe_answer(network: nn.Module, *, n_in: int, patch: tuple[int, ...]) -> tuple[float, ...]:
    """Return mean and deviation per output channel for a fixed wave pattern, computed in float32 on the CPU.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, on the CPU.
    n_in : int
        Channels of the input.
    patch : tuple of int
        The pattern has at most 32 voxels per axis and never more than the patch.
    """
    shape = tuple(min(n, 32) if n % 32 == 0 or n > 32 else n for n in patch)
    phase = torch.linspace(0.0, 8.0 * math.pi, math.prod(shape) * n_in)
    wave = torch.sin(phase).reshape(1, n_in, *shape)
    # a detector answers with objects; it has a question of its own that reaches all its heads
    answer = getattr(network, "probe", network)(wave).float()[0]
    values = torch.stack([answer.flatten(1).mean(1), answer.flatten(1).std(1)])
    return tuple(round(float(v), 6) for v in values.flatten())


def answers_agree(found: tuple[float, ...], kept: tuple[float, ...]) -> bool:
    """Tell whether an answer equals the one in the card within `PROBE_TOLERANCE`."""
    if len(found) != len(kept):
        return False
    a, b = np.array(found), np.array(kept)
    return bool(np.abs(a - b).max() <= PROBE_TOLERANCE * max(1.0, float(np.abs(b).max())))
