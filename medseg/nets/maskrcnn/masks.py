"""How much masks overlap, and suppression by masks where boxes would drop a slanting neighbour."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medseg.nets.maskrcnn.boxes import overlaps, sizes
from medseg.nets.maskrcnn.nms import compiled_loops

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
    volumes = _volumes(boxes, masks)
    loops = _loops(boxes)
    found = [boxes.new_zeros(0)]
    for part in pairs.split(PAIRS_AT_A_TIME):
        extent = _extents(boxes, part)
        share = _shares(boxes, masks, part) if loops is None else _compiled_shares(loops, boxes, masks, part)
        shared = share * extent.prod(1)
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
    pairs = _possible(boxes, masks, _near_pairs(boxes, classes, overlap), overlap)
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


def _possible(boxes: Tensor, masks: Tensor, pairs: Tensor, overlap: float) -> Tensor:
    """Return the pairs that would overlap by more if both masks filled all that their boxes share."""
    volumes = _volumes(boxes, masks)
    most = _extents(boxes, pairs).prod(1)
    # a little more than needed: no rounding may decide
    return pairs[most * (1 + overlap) >= 0.999 * overlap * (volumes[pairs[:, 0]] + volumes[pairs[:, 1]])]


def _volumes(boxes: Tensor, masks: Tensor) -> Tensor:
    return (masks > INSIDE).flatten(1).float().mean(1) * sizes(boxes).prod(1)


def _extents(boxes: Tensor, pairs: Tensor) -> Tensor:
    n = boxes.shape[1] // 2
    a, b = boxes[pairs[:, 0]], boxes[pairs[:, 1]]
    return (torch.minimum(a[:, n:], b[:, n:]) - torch.maximum(a[:, :n], b[:, :n])).clamp(min=0)


def _shares(boxes: Tensor, masks: Tensor, pairs: Tensor) -> Tensor:
    """Return at which share of the points over the box that two objects share both are inside."""
    n = boxes.shape[1] // 2
    a, b = boxes[pairs[:, 0]], boxes[pairs[:, 1]]
    starts, extent = torch.maximum(a[:, :n], b[:, :n]), _extents(boxes, pairs)
    share = (torch.arange(POINTS[n], device=boxes.device) + 0.5) / POINTS[n]
    grid = torch.stack(torch.meshgrid(*(share for _ in range(n)), indexing="ij"), dim=-1)
    points = starts.reshape(-1, *(1,) * n, n) + grid * extent.reshape(-1, *(1,) * n, n)
    both = _inside(a, masks[pairs[:, 0]], points) & _inside(b, masks[pairs[:, 1]], points)
    return both.flatten(1).float().mean(1)


def _loops(boxes: Tensor) -> ModuleType | None:
    return compiled_loops("medseg.nets.maskrcnn.mask_kernels") if boxes.device.type == "cpu" else None


def _compiled_shares(loops: ModuleType, boxes: Tensor, masks: Tensor, pairs: Tensor) -> Tensor:
    """Return the same as `_shares`; an image of two axes is a volume of one slice."""
    n = boxes.shape[1] // 2
    edges = boxes.detach().float().unflatten(1, (2, n))
    grids = masks.detach().float()
    if n == 2:
        slice_ = torch.tensor([0.0, 1.0]).expand(len(edges), 2)[..., None]
        edges, grids = torch.cat([slice_, edges], dim=2), grids[:, None]
    points = np.array([1] * (3 - n) + [POINTS[n]] * n)
    starts, stops = (edges[:, side].contiguous().numpy() for side in range(2))
    found = loops.shared_shares(starts, stops, grids.contiguous().numpy(), pairs.numpy(), points, INSIDE)
    return torch.from_numpy(found)


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
