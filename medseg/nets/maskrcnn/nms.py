"""Non-maximum suppression in n axes: of boxes that overlap too much, only the best stays."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

from medseg.nets.maskrcnn.boxes import overlaps

BLOCK = 1024
"""Boxes that are compared with each other at a time where nothing is compiled."""


def nms(
    boxes: Tensor, scores: Tensor, overlap: float, classes: Tensor | None = None, *, most: int | None = None
) -> Tensor:
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
    most : int, optional
        Return the best of those that stay; the rest is not looked at.

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
    most = len(order) if most is None else most
    ranked = torch.nan_to_num(boxes.detach()[order].float())
    kinds = torch.zeros_like(order) if classes is None else classes[order].long()
    loops = _compiled() if boxes.device.type == "cpu" else None
    if loops is not None and len(order):
        kept = torch.from_numpy(
            loops.kept_boxes(ranked.contiguous().numpy(), kinds.contiguous().numpy(), overlap, most)
        )
    else:
        kept = _kept(ranked, kinds, overlap, most)
    return order[kept][:most]


def compiled_loops(name: str) -> ModuleType | None:
    """Return a module of compiled loops; None where nothing can be compiled."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return None  # uncompiled loops would take hours
    try:
        return import_module(name)
    except ImportError:  # numba is absent, or refuses the installed numpy
        return None


def _compiled() -> ModuleType | None:
    return compiled_loops("medseg.nets.maskrcnn.nms_kernels")


def _kept(boxes: Tensor, classes: Tensor, overlap: float, most: int) -> Tensor:
    """Return a (k,) bool tensor of `most` boxes or a few more; the same as the compiled loops, on any device."""
    kept = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for begin in range(0, len(boxes), BLOCK):
        if begin and int(kept.sum()) >= most:
            break
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
