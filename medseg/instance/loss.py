"""The loss of a network with several heads: classes, distance to the outline, way to the centre."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

N_CLASSES = 3
DISTANCE = N_CLASSES
"""Channel of the relative distance; the ways to the centre follow."""
DISTANCE_WEIGHT = 2.0
OFFSET_WEIGHT = 1.0


def heads_loss(output: Tensor, targets: Tensor) -> Tensor:
    """Return Dice and weighted cross-entropy of the classes plus smooth distances of the regressed maps.

    Parameters
    ----------
    output : (b, 3 + 1 + n, *s) tensor
        Logits of background, interior, boundary; relative distance; way to the centre.
    targets : (b, 1 + 1 + n + 1, *s) tensor
        Class, relative distance, way to the centre, weight of the voxel.
    """
    output = output.float()
    logits, classes, weight = output[:, :N_CLASSES], targets[:, 0].long(), targets[:, -1]
    entropy = (functional.cross_entropy(logits, classes, reduction="none") * weight).sum() / weight.sum()
    inside = (classes > 0).float()
    distance = functional.smooth_l1_loss(output[:, DISTANCE], targets[:, 1], reduction="none", beta=0.1)
    ways = functional.smooth_l1_loss(output[:, DISTANCE + 1 :], targets[:, 2:-1], reduction="none", beta=0.1).sum(1)
    distance_part = (distance * weight).sum() / weight.sum()
    ways_part = (ways * inside).sum() / inside.sum().clamp(min=1.0)
    return _dice_loss(logits, classes) + entropy + DISTANCE_WEIGHT * distance_part + OFFSET_WEIGHT * ways_part


def _dice_loss(logits: Tensor, classes: Tensor) -> Tensor:
    # over the batch: a patch without any object must not divide by nothing
    shares = torch.softmax(logits, dim=1)
    truth = functional.one_hot(classes, N_CLASSES).movedim(-1, 1).float()
    axes = (0, *range(2, shares.ndim))
    common, both = (shares * truth).sum(axes), (shares + truth).sum(axes)
    return 1.0 - ((2.0 * common + 1.0) / (both + 1.0))[1:].mean()
