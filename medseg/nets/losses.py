"""Losses by name. Dice-type losses keep a class alive that fills less than a percent of the image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]


def _dice_ce() -> nn.Module:
    from monai.losses.dice import DiceCELoss

    return DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)


def _dice() -> nn.Module:
    from monai.losses.dice import DiceLoss

    return DiceLoss(include_background=True, to_onehot_y=True, softmax=True, batch=True)


class _CrossEntropy(nn.Module):
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, labels[:, 0].long())


LOSSES: dict[str, Callable[[], nn.Module]] = {"dice_ce": _dice_ce, "dice": _dice, "ce": _CrossEntropy}
"""Name → loss on (b, c, *s) logits and (b, 1, *s) class numbers.

``dice_ce``: the default, Dice of the foreground plus cross-entropy (Isensee et al. 2021).
``dice``: Dice alone (Milletari et al. 2016). ``ce``: cross-entropy alone, for balanced classes.
"""


def deeply_supervised(loss: Loss) -> Loss:
    """Return `loss` for networks that answer with several heads: weights 1, 1/2, 1/4 ..., summing to 1.

    Parameters
    ----------
    loss : callable
        On (b, c, *s) logits and (b, 1, *s) labels.
    """

    def total(output: Tensor, labels: Tensor) -> Tensor:
        if output.ndim == labels.ndim:
            return loss(output.float(), labels)
        heads = torch.unbind(output.float(), dim=1)
        weights = [0.5**i for i in range(len(heads))]
        parts = [w / sum(weights) * loss(h, labels) for w, h in zip(weights, heads, strict=True)]
        return torch.stack(parts).sum()

    return total
