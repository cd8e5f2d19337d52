"""How much masks overlap, and suppression by masks where boxes would drop a slanting neighbour."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from medseg.nets.maskrcnn.boxes import overlaps, sizes

POINTS = {2: 32, 3: 16}
"""Points per axis at which two masks are compared, by the number of axes."""
PAIRS_AT_A_TIME = 1024
ROWS_AT_A_TIME = 512
INSIDE = 0.5


def mask_overlaps(boxes: Tensor, masks: Tensor, pairs: Tensor) -> Tensor:
    """Return the overlap (IoU) of two masks, each on a regular grid over its own box, without drawing either.

    Both are looked up at `POINTS` points per axis over the box that they share: about .01 from the exact value.

    Parameters
    ----------
    boxes : (k, 2n) tensor
    masks : (k, m, ..., m) tensor
        0 to 1, an object where above one half.
    pairs : (p, 2) long tensor

    Returns
    -------
    (p,) float tensor
    """
    n = boxes.shape[1] // 2
    volumes = (masks > INSIDE).flatten(1).float().mean(1) * sizes(boxes).prod(1)
    found = [boxes.new_zeros(0)]
    for part in pairs.split(PAIRS_AT_A_TIME):
        a, b = boxes[part[:, 0]], boxes[part[:, 1]]
        starts, stops = torch.maximum(a[:, :n], b[:, :n]), torch.minimum(a[:, n:], b[:, n:])
        extent = (stops - starts).clamp(min=0)
        share = (torch.arange(POINTS[n], device=boxes.device) + 0.5) / POINTS[n]
        grid = torch.stack(torch.meshgrid(*(share for _ in range(n)), indexing="ij"), dim=-1)
        points = starts.reshape(-1, *(1,) * n, n) + grid * extent.reshape(-1, *(1,) * n, n)
        both = _inside(a, masks[part[:, 0]], points) & _inside(b, masks[part[:, 1]], points)
        shared = both.flatten(1).float().mean(1) * extent.prod(1)
        union = volumes[part[:, 0]] + volumes[part[:, 1]] - shared
        found.append(shared / union.clamp(min=1e-6))
    return torch.cat(found)


def mask_nms(boxes: Tensor, masks: Tensor, classes: Tensor, overlap: float) -> Tensor:
    """Return the (k,) bool tensor of objects that stay: no better one of their class overlaps their mask by more.

    Parameters
    ----------
    boxes : (k, 2n) tensor
        Best first.
    masks : (k, m, ..., m) tensor
    classes : (k,) long tensor
    overlap : float
        Largest overlap (IoU) of two masks that both stay.
    """
    pairs = _near_pairs(boxes, classes, overlap)
    pairs = pairs[mask_overlaps(boxes, masks, pairs) > overlap]
    better, worse = pairs.T
    stays = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    # who stays depends only on better objects, so repeating settles from the best on
    while True:
        settled = torch.ones_like(stays)
        settled[worse[stays[better]]] = False
        if torch.equal(settled, stays):
            return stays
        stays = settled


def _near_pairs(boxes: Tensor, classes: Tensor, overlap: float) -> Tensor:
    """Return the (p, 2) pairs of one class whose boxes overlap, the better object first.

    Masks can overlap by more than their boxes, as each may fill only a part of its own: hence the quarter.
    """
    found = [torch.zeros((0, 2), dtype=torch.long, device=boxes.device)]
    for begin in range(0, len(boxes), ROWS_AT_A_TIME):
        rows = slice(begin, begin + ROWS_AT_A_TIME)
        near = (overlaps(boxes[rows], boxes) > overlap / 4) & (classes[rows, None] == classes[None])
        pairs = near.nonzero() + torch.tensor([begin, 0], device=boxes.device)
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return torch.cat(found)


def _inside(boxes: Tensor, masks: Tensor, points: Tensor) -> Tensor:
    """Return which (p, g, ..., g, n) points lie in each mask."""
    n = boxes.shape[1] // 2
    shape = (-1, *(1,) * n, n)
    place = 2 * (points - boxes[:, :n].reshape(shape)) / sizes(boxes).clamp(min=1e-6).reshape(shape) - 1
    # grid_sample counts axes from the last one
    looked_up = functional.grid_sample(
        masks[:, None].float(), place.flip(-1), mode="bilinear", padding_mode="border", align_corners=False
    )
    return looked_up[:, 0] > INSIDE
