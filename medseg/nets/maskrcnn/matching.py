"""Which box learns from which object, and which boxes are drawn to learn from."""

from __future__ import annotations

import torch
from torch import Tensor

from medseg.nets.maskrcnn.boxes import overlaps

OBJECTS_AT_A_TIME = 256
HARD_POOL = 4
"""Negatives are drawn from this many times as many of the most mistaken ones."""


def match(boxes: Tensor, objects: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the best object of every box, and the best boxes of every object; memory does not grow with the objects.

    Parameters
    ----------
    boxes : (a, 2n) tensor
    objects : (k, 2n) tensor

    Returns
    -------
    overlap : (a,) tensor
        Overlap (IoU) of each box with its best object; 0 without objects.
    which : (a,) long tensor
        That object; 0 without objects.
    favourite : (a,) long tensor
        An object for which no box is better than this one, -1 if there is none. It may not be the box's own best.
    """
    best = boxes.new_zeros(len(boxes))
    which = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
    favourite = torch.full_like(which, -1)
    for begin in range(0, len(objects), OBJECTS_AT_A_TIME):
        table = overlaps(objects[begin : begin + OBJECTS_AT_A_TIME], boxes)
        top, own = table.max(dim=0)
        better = top > best
        best = torch.where(better, top, best)
        which = torch.where(better, own + begin, which)
        highest = table.amax(dim=1, keepdim=True) if len(boxes) else table
        rows, columns = ((table >= highest - 1e-6) & (highest > 0)).nonzero(as_tuple=True)
        favourite[columns] = rows + begin
    return best, which, favourite


def drawn(where: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return at most `count` of the places where a (a,) bool tensor is true, by chance."""
    places = where.nonzero().flatten()
    if len(places) <= count:
        return places
    return places[torch.randperm(len(places), generator=generator)[:count].to(places.device)]


def hard_drawn(where: Tensor, mistaken: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return at most `count` places by chance among the `HARD_POOL` times as many that are most mistaken.

    Parameters
    ----------
    where : (a,) bool tensor
        The negatives.
    mistaken : (a,) tensor
        How much each looks like an object.
    count : int
    generator : torch.Generator
    """
    places = where.nonzero().flatten()
    if len(places) <= count:
        return places
    pool = mistaken.detach()[places].topk(min(len(places), HARD_POOL * count)).indices
    return places[pool[torch.randperm(len(pool), generator=generator)[:count].to(pool.device)]]
