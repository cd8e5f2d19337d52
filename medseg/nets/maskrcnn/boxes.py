"""Boxes [starts, stops] in n axes: size, overlap, and the way from one box to another as numbers to be learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOST_GROWTH = 4.0
"""Largest learned logarithm of a size ratio: keeps the boxes of an untrained network finite."""
_EPS = torch.finfo(torch.float32).eps


def sizes(boxes: Tensor) -> Tensor:
    """Return the (k, n) lengths of (k, 2n) boxes, never negative."""
    n = boxes.shape[1] // 2
    return (boxes[:, n:] - boxes[:, :n]).clamp(min=0)


def centres(boxes: Tensor) -> Tensor:
    """Return the (k, n) centres of (k, 2n) boxes."""
    n = boxes.shape[1] // 2
    return (boxes[:, n:] + boxes[:, :n]) / 2


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Return the (k, m) overlaps (intersection over union) of every box of `a` with every box of `b`."""
    n = a.shape[1] // 2
    shared = torch.ones((), device=a.device)
    for axis in range(n):
        starts = torch.maximum(a[:, None, axis], b[None, :, axis])
        stops = torch.minimum(a[:, None, n + axis], b[None, :, n + axis])
        shared = shared * (stops - starts).clamp_(min=0)
    union = sizes(a).prod(1)[:, None] + sizes(b).prod(1)[None] - shared
    return shared / (union + _EPS)


def generalised_overlap(a: Tensor, b: Tensor) -> Tensor:
    """Return the (k,) generalised overlaps of boxes pair by pair, -1 to 1 (Rezatofighi et al. 2019)."""
    n = a.shape[1] // 2
    shared = (torch.minimum(a[:, n:], b[:, n:]) - torch.maximum(a[:, :n], b[:, :n])).clamp(min=0).prod(1)
    around = (torch.maximum(a[:, n:], b[:, n:]) - torch.minimum(a[:, :n], b[:, :n])).clamp(min=0).prod(1)
    union = sizes(a).prod(1) + sizes(b).prod(1) - shared
    return shared / (union + _EPS) - (around - union) / (around + _EPS)


def clipped(boxes: Tensor, shape: Sequence[int]) -> Tensor:
    """Return boxes cut at the edges of an image."""
    edge = torch.tensor([*shape, *shape], dtype=boxes.dtype, device=boxes.device)
    return torch.minimum(boxes.clamp(min=0), edge)


def steps_between(anchors: Tensor, targets: Tensor, weights: tuple[float, float]) -> Tensor:
    """Return the (k, 2n) steps from anchors to targets: shift of the centre in sizes, then logarithm of the growth.

    Parameters
    ----------
    anchors, targets : (k, 2n) tensor
    weights : tuple of float
        Factors of shifts and growths, that bring them to about 1.
    """
    size = sizes(anchors).clamp(min=1e-3)
    shift = (centres(targets) - centres(anchors)) / size
    growth = torch.log(sizes(targets).clamp(min=1e-3) / size)
    return torch.cat([shift * weights[0], growth * weights[1]], dim=1)


def stepped(anchors: Tensor, steps: Tensor, weights: tuple[float, float]) -> Tensor:
    """Return the (k, 2n) boxes that steps lead to; undoes `steps_between`."""
    n = anchors.shape[1] // 2
    size = sizes(anchors).clamp(min=1e-3)
    middle = centres(anchors) + steps[:, :n] / weights[0] * size
    half = size * torch.exp((steps[:, n:] / weights[1]).clamp(max=MOST_GROWTH)) / 2
    return torch.cat([middle - half, middle + half], dim=1)
