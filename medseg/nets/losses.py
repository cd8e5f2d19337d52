"""Losses by name. Dice-type losses keep a class alive that fills less than a percent of the image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from medseg.nets.hausdorff import Hausdorff, Spacing

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


class _WeightedCrossEntropy(nn.Module):
    """Each class that is present counts by the square root of its share in the batch instead of by its share."""

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        numbers = labels[:, 0].long()
        share = torch.bincount(numbers.flatten(), minlength=logits.shape[1]).to(logits.dtype) / numbers.numel()
        weight = torch.where(share > 0, share.clamp(min=1e-6).rsqrt(), 0.0)
        return nn.functional.cross_entropy(logits, numbers, weight=weight)


class _WithCrossEntropy(nn.Module):
    """A loss of regions plus cross-entropy: the second has a slope where the first has none yet."""

    def __init__(self, region: nn.Module) -> None:
        super().__init__()
        self.region, self.entropy = region, _CrossEntropy()

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        total: Tensor = self.region(logits, labels) + self.entropy(logits, labels)
        return total


def _generalised_dice_ce() -> nn.Module:
    from monai.losses.dice import GeneralizedDiceLoss

    return _WithCrossEntropy(GeneralizedDiceLoss(include_background=True, to_onehot_y=True, softmax=True, batch=True))


class _DiceFocal(nn.Module):
    def __init__(self) -> None:
        from monai.losses.dice import DiceLoss
        from monai.losses.focal_loss import FocalLoss

        super().__init__()
        self.dice = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
        self.focal = FocalLoss(to_onehot_y=True, use_softmax=True, gamma=2.0)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        total: Tensor = self.dice(logits, labels) + self.focal(logits, labels)
        return total


def _tversky_ce() -> nn.Module:
    from monai.losses.tversky import TverskyLoss

    region = TverskyLoss(include_background=False, to_onehot_y=True, softmax=True, alpha=0.3, beta=0.7, batch=True)
    return _WithCrossEntropy(region)


class _HausdorffDice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dice, self.far = _dice_ce(), Hausdorff()

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        total: Tensor = self.dice(logits, labels) + self.far(logits, labels)
        return total


LOSSES: dict[str, Callable[[], nn.Module]] = {
    "dice_ce": _dice_ce,
    "dice": _dice,
    "ce": _CrossEntropy,
    "weighted_ce": _WeightedCrossEntropy,
    "generalised_dice_ce": _generalised_dice_ce,
    "dice_focal": _DiceFocal,
    "tversky_ce": _tversky_ce,
    "hausdorff_dice_ce": _HausdorffDice,
}
"""Name → loss on (b, c, *s) logits and (b, 1, *s) class numbers.

``dice_ce``: the default, Dice of the foreground plus cross-entropy (Isensee et al. 2021).
``dice``: Dice alone (Milletari et al. 2016). ``ce``: cross-entropy alone, for balanced classes.
``weighted_ce``: cross-entropy where rare classes count more; finds more, at the price of false alarms.
``generalised_dice_ce``: classes weighted by their inverse size (Sudre et al. 2017), for classes of very unequal size.
``dice_focal``: Dice plus focal loss (Lin et al. 2017), for a few hard voxels among many easy ones.
``tversky_ce``: misses cost more than false alarms (Salehi et al. 2017; 0.7 to 0.3), for small lesions.
``hausdorff_dice_ce``: `dice_ce` plus errors weighted by their distance (Karimi et al. 2019), for outlines; slow.
"""


def loss_of(name: str, spacing: Spacing | None) -> nn.Module:
    """Return a loss by name, in the spacing of the images where it looks at distances.

    Parameters
    ----------
    name : str
        One of `LOSSES`.
    spacing : tuple of float, optional
        Of the working grid; equal along all axes when not given.
    """
    loss = LOSSES[name]()
    for part in loss.modules():
        if isinstance(part, Hausdorff):
            part.spacing = spacing
    return loss


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
