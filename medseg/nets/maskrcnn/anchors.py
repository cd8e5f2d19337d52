"""Anchors: the boxes from which proposals start, at every cell of every proposing level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medseg.nets.maskrcnn.options import MaskRCNNOptions


def shapes_of(options: MaskRCNNOptions) -> tuple[Tensor, ...]:
    """Return per proposing level the (a, n) lengths of its anchors in voxels."""
    n = options.n_axes
    factors = torch.tensor(options.anchor_shapes or ((1.0,) * n,))
    return tuple((torch.tensor(level)[:, None] * factors[None]).reshape(-1, n) for level in options.anchor_sizes)


def anchors(shapes: Tensor, cells: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Return the (prod(cells) * a, 2n) anchors of one level: cells in reading order, then the shapes.

    Anchors are centred on the cell: cell i of stride s covers the voxels from i s to (i + 1) s.
    """
    at = [(torch.arange(n, device=shapes.device) + 0.5) * s for n, s in zip(cells, stride, strict=True)]
    middles = torch.stack(torch.meshgrid(*at, indexing="ij"), dim=-1).reshape(-1, 1, len(cells))
    boxes = torch.cat([middles - shapes / 2, middles + shapes / 2], dim=-1)
    return boxes.reshape(-1, 2 * len(cells))
