"""Non-maximum suppression in n axes: of boxes that overlap too much, only the best stays."""

from __future__ import annotations

import os
from types import ModuleType

import torch
from torch import Tensor

from medseg.nets.maskrcnn.boxes import overlaps

BLOCK = 1024
"""Boxes that are compared with each other at a time where nothing is compiled."""


def nms(boxes: Tensor, scores: Tensor, overlap: float, classes: Tensor | None = None) -> Tensor:
    """Return which boxes stay, best first: each box is dropped that overlaps a better box that stays by more.

    The boxes that stay are those of ``monai.data.box_utils.non_max_suppression``; of equal scores the first wins.

    Parameters
    ----------
    boxes : (k, 2n) float tensor
    scores : (k,) float tensor
    overlap : float
        Largest overlap (IoU) at which both stay.
    classes : (k,) long tensor, optional
        Boxes of different classes never drop each other.

    Returns
    -------
    (m,) long tensor
        Indices into `boxes`.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 1.0, 4.0, 4.0], [8.0, 8.0, 9.0, 9.0]])
    >>> nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5)
    tensor([1, 2])
    """
    order = scores.argsort(descending=True, stable=True)
    ranked = torch.nan_to_num(boxes.detach()[order].float())
    kinds = torch.zeros_like(order) if classes is None else classes[order].long()
    loops = _compiled() if boxes.device.type == "cpu" else None
    if loops is not None and len(order):
        kept = torch.from_numpy(loops.kept_boxes(ranked.contiguous().numpy(), kinds.contiguous().numpy(), overlap))
    else:
        kept = _kept(ranked, kinds, overlap)
    return order[kept]


def _compiled() -> ModuleType | None:
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return None  # uncompiled loops would take hours
    try:
        from medseg.nets.maskrcnn import nms_kernels
    except ImportError:  # numba is absent, or refuses the installed numpy
        return None
    return nms_kernels


def _kept(boxes: Tensor, classes: Tensor, overlap: float) -> Tensor:
    """Return a (k,) bool tensor; the same as the compiled loops, block by block, on any device."""
    kept = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for begin in range(0, len(boxes), BLOCK):
        block = slice(begin, begin + BLOCK)
        own, kind = boxes[block], classes[block]
        alive = torch.ones(len(own), dtype=torch.bool, device=boxes.device)
        before = kept[:begin].nonzero().flatten()
        for group in before.split(4 * BLOCK):
            beaten = (overlaps(boxes[group], own) > overlap) & (classes[group, None] == kind[None])
            alive &= ~beaten.any(0)
        beats = ((overlaps(own, own) > overlap) & (kind[:, None] == kind[None])).triu(diagonal=1)
        # who stays depends only on better boxes, so repeating settles from the best box on
        stays = alive
        while True:
            settled = alive & ~(beats & stays[:, None]).any(0)
            if torch.equal(settled, stays):
                break
            stays = settled
        kept[block] = stays
    return kept
