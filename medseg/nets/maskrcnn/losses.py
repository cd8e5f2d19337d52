"""What a detector is told it did wrong. All in float32; finite where there is nothing to compare."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from medseg.nets.maskrcnn.boxes import generalised_overlap
from medseg.nets.maskrcnn.values import NO_CLASS, Truth

FOCUS = 2.0
"""Exponent of the focal loss (Lin et al. 2017)."""


def smooth_l1(steps: Tensor, targets: Tensor, *, beta: float = 0.11) -> Tensor:
    """Return the sum over boxes and coordinates of the smooth L1 distance."""
    return functional.smooth_l1_loss(steps, targets, beta=beta, reduction="sum")


def giou(boxes: Tensor, targets: Tensor) -> Tensor:
    """Return the sum over boxes of 1 - generalised overlap."""
    return (1 - generalised_overlap(boxes, targets)).sum()


def class_loss(logits: Tensor, classes: Tensor, *, focal: bool, weights: tuple[float, ...]) -> Tensor:
    """Return the mean class loss of (k, c) logits; cross-entropy or focal, each with weights per class."""
    if not len(classes):
        return logits.sum() * 0
    weight = logits.new_tensor(weights) if weights else logits.new_ones(logits.shape[1])
    each = functional.cross_entropy(logits, classes, weight=weight, reduction="none")
    if focal:
        sure = logits.softmax(1).gather(1, classes[:, None])[:, 0]
        each = each * (1 - sure) ** FOCUS
    return each.sum() / weight[classes].sum()


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return binary cross-entropy plus Dice loss of (k, *m) masks, the mean over masks."""
    if not len(logits):
        return logits.sum() * 0
    cross = functional.binary_cross_entropy_with_logits(logits, targets)
    share = logits.sigmoid().flatten(1)
    flat = targets.flatten(1)
    dice = (2 * (share * flat).sum(1) + 1) / (share.sum(1) + flat.sum(1) + 1)
    return cross + (1 - dice).mean()


def semantic_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Return cross-entropy plus Dice loss of the classes of voxels; voxels of no class count nothing.

    Parameters
    ----------
    logits : (b, c, *s) tensor
    classes : (b, *s) long tensor
        `NO_CLASS` where unknown.
    """
    known = (classes != NO_CLASS).float()
    each = functional.cross_entropy(logits, classes, ignore_index=NO_CLASS, reduction="sum")
    cross = each / known.sum().clamp(min=1)
    shares = logits.softmax(1)[:, 1:] * known[:, None]
    truth = torch.stack([(classes == c).float() for c in range(1, logits.shape[1])], dim=1)
    axes = (0, *range(2, logits.ndim))
    dice = (2 * (shares * truth).sum(axes) + 1) / (shares.sum(axes) + truth.sum(axes) + 1)
    return cross + (1 - dice).mean()


def mask_targets(truth: Truth, boxes: Tensor, which: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return how much of each cell of a grid over each box an object fills, read from the label image.

    The indicator of the object is interpolated linearly between voxel centres at the centre of each cell; outside the
    image there is no object.

    Parameters
    ----------
    truth : Truth
    boxes : (k, 2n) tensor
    which : (k,) long tensor
        The object of each box.
    size : tuple of int
        Cells per axis.

    Returns
    -------
    (k, *size) float32 tensor
    """
    n = len(size)
    lows, uppers = [], []
    for axis, cells in enumerate(size):
        share = (torch.arange(cells, device=boxes.device) + 0.5) / cells
        place = boxes[:, axis, None] + share * (boxes[:, n + axis] - boxes[:, axis])[:, None] - 0.5
        low = place.floor()
        shape = [len(boxes), *(cells if a == axis else 1 for a in range(n))]
        lows.append(low.long().reshape(shape))
        uppers.append((place - low).reshape(shape))
    wanted = truth.ids[which].reshape(-1, *(1,) * n)
    total = boxes.new_zeros((len(boxes), *size))
    for corner in product((0, 1), repeat=n):
        at = [low + c for low, c in zip(lows, corner, strict=True)]
        weight = torch.ones((), device=boxes.device)
        for place, upper, c, length in zip(at, uppers, corner, truth.labels.shape, strict=True):
            weight = weight * torch.where((place >= 0) & (place < length), upper if c else 1 - upper, 0.0)
        inside = [p.clamp(0, length - 1) for p, length in zip(at, truth.labels.shape, strict=True)]
        total = total + weight * (truth.labels[tuple(inside)] == wanted)
    return total
