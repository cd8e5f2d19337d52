"""Features of a box on a small regular grid, sampled between the cells without rounding, in any number of axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

TERMS_AT_A_TIME = 2**22
"""Largest number of products (bins x cells that each is made of) whose indices are held at a time."""


def roi_align(
    features: Tensor,
    boxes: Tensor,
    batch_index: Tensor,
    size: Sequence[int],
    stride: Sequence[float],
    samples: int = 2,
) -> Tensor:
    """Sample features over boxes (RoIAlign of He et al. 2017, n-linear, with half-pixel centres).

    A box is divided into ``prod(size)`` bins; each is the mean over ``samples`` points per axis, in the middle of equal
    parts of the bin. Cell i of the features has its centre at (i + 1/2) stride voxels; between centres values are
    interpolated linearly along every axis, nothing is rounded.

    Border: a point further out than the centre of the outermost cell has the value at that centre, however far it is.
    Torchvision has the same rule up to one cell outside and 0 beyond; for boxes inside the image both agree.

    Gradients reach the features, not the boxes. Memory is that of the result and of `TERMS_AT_A_TIME` indices, forward
    and backward; no part of the features is copied per box.

    Parameters
    ----------
    features : (b, c, *f) float tensor
    boxes : (k, 2n) tensor
        In voxels of the image.
    batch_index : (k,) long tensor
        The image of each box.
    size : sequence of int
        Bins per axis.
    stride : sequence of float
        Voxels per cell of the features, per axis.
    samples : int
        Points per bin and axis.

    Returns
    -------
    (k, c, *size) tensor

    Examples
    --------
    >>> ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    >>> roi_align(ramp, torch.tensor([[2.0, 2.0, 6.0, 6.0]]), torch.tensor([0]), (1, 2), (1, 1)).flatten()
    tensor([2.5000, 4.5000])
    """
    table = table_of([features], [stride])
    return sampled(table, boxes, batch_index, torch.zeros_like(batch_index), size, samples)


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of all levels and images of a pyramid, one below the other, so that boxes of any level are one lookup.

    Parameters
    ----------
    rows : (r, c) tensor
    cells : (l, n) long tensor
        Cells per level and axis.
    first : (l,) long tensor
        Row at which each level begins.
    strides : (l, n) tensor
        Voxels per cell.
    """

    rows: Tensor
    cells: Tensor
    first: Tensor
    strides: Tensor


def table_of(features: Sequence[Tensor], strides: Sequence[Sequence[float]]) -> Table:
    """Return the table of a pyramid, in float32 at least.

    Parameters
    ----------
    features : sequence of (b, c, *f) tensor
        With equal channels.
    strides : sequence of sequence of float
        Voxels per cell, per level and axis.
    """
    device = features[0].device
    parts = [f.movedim(1, -1).reshape(-1, f.shape[1]) for f in features]
    rows = torch.cat(parts) if len(parts) > 1 else parts[0]
    rows = rows if rows.dtype == torch.float64 else rows.float()
    lengths = torch.tensor([0, *(len(part) for part in parts[:-1])], device=device)
    cells = torch.tensor([tuple(f.shape[2:]) for f in features], device=device)
    return Table(rows, cells, lengths.cumsum(0), torch.tensor(strides, dtype=rows.dtype, device=device))


def sampled(
    table: Table, boxes: Tensor, batch_index: Tensor, levels: Tensor, size: Sequence[int], samples: int = 2
) -> Tensor:
    """Sample each box from its own level of a pyramid, see `roi_align`.

    Parameters
    ----------
    table : Table
    boxes, batch_index, size, samples
        As for `roi_align`.
    levels : (k,) long tensor
        Which level each box is sampled from.
    """
    n = len(size)
    cells = table.cells[levels]
    origin = table.first[levels] + batch_index * cells.prod(1)
    edges = boxes.to(table.strides.dtype) / table.strides.repeat(1, 2)[levels]
    grid = _Grid(edges[:, :n], edges[:, n:], cells, origin, tuple(size), samples)
    return _Sampled.apply(table.rows, grid).unflatten(0, (len(boxes), *size)).movedim(-1, 1)


def level_of(boxes: Tensor, size: Sequence[int], strides: Sequence[Sequence[float]]) -> Tensor:
    """Return the (k,) pyramid level on which a box spans about as many cells as it is given bins.

    Parameters
    ----------
    boxes : (k, 2n) tensor
    size : sequence of int
        Bins per axis.
    strides : sequence of sequence of float
        Voxels per cell, per level and axis.
    """
    n = len(size)
    extent = (boxes[:, n:] - boxes[:, :n]).clamp(min=1e-3).log().sum(1)
    wanted = torch.tensor([prod(s) * prod(size) for s in strides], dtype=boxes.dtype, device=boxes.device).log()
    return (extent[:, None] - wanted).abs().argmin(1)


class _Grid:
    """The places of all bins of some boxes, in cells; `terms` tells what each bin is the weighted sum of."""

    def __init__(
        self, starts: Tensor, stops: Tensor, cells: Tensor, origin: Tensor, size: tuple[int, ...], samples: int
    ) -> None:
        self.starts, self.stops, self.cells, self.origin = starts.detach(), stops.detach(), cells, origin
        self.size, self.samples = size, samples
        self.step = max(1, TERMS_AT_A_TIME // (prod(size) * (2 * samples) ** len(size)))

    def chunks(self) -> list[slice]:
        return [slice(a, a + self.step) for a in range(0, len(self.starts), self.step)]

    def terms(self, chunk: slice) -> tuple[Tensor, Tensor]:
        """Return the (k * bins, t) rows of the table that make up each bin, and their weights."""
        origin = self.origin[chunk]
        rows = torch.zeros((len(origin), 1, 1), dtype=torch.long, device=origin.device)
        weights = torch.ones((len(origin), 1, 1), dtype=self.starts.dtype, device=origin.device)
        for axis in range(len(self.size)):
            at, share = self._along(axis, chunk)
            length = self.cells[chunk, axis, None, None, None, None]
            rows = (rows[:, :, None, :, None] * length + at[:, None, :, None, :]).flatten(3, 4).flatten(1, 2)
            weights = (weights[:, :, None, :, None] * share[:, None, :, None, :]).flatten(3, 4).flatten(1, 2)
        return (rows + origin[:, None, None]).flatten(0, 1), weights.flatten(0, 1)

    def _along(self, axis: int, chunk: slice) -> tuple[Tensor, Tensor]:
        """Return the (k, bins, 2 samples) cells along one axis that each bin is made of, and their weights."""
        start, stop, length = self.starts[chunk, axis, None], self.stops[chunk, axis, None], self.cells[chunk, axis]
        points = self.size[axis] * self.samples
        share = (torch.arange(points, dtype=start.dtype, device=start.device) + 0.5) / points
        last = (length[:, None] - 1).to(start.dtype)
        place = torch.minimum((start + share * (stop - start) - 0.5).clamp(min=0), last)
        low = torch.minimum(place.floor(), (last - 1).clamp(min=0))
        high = torch.minimum(low + 1, last)
        upper = place - low
        at = torch.stack([low, high], dim=-1).long()
        weight = torch.stack([1 - upper, upper], dim=-1) / self.samples
        shape = (len(start), self.size[axis], 2 * self.samples)
        return at.reshape(shape), weight.reshape(shape)


class _Sampled(torch.autograd.Function):
    """Weighted sums of rows of a table. The terms are made again for the gradient instead of being kept."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, grid: _Grid) -> Tensor:
        ctx.grid, ctx.shape = grid, table.shape
        bins = prod(grid.size)
        out = table.new_empty((len(grid.starts) * bins, table.shape[1]))
        for chunk in grid.chunks():
            rows, weights = grid.terms(chunk)
            out[chunk.start * bins : chunk.stop * bins] = functional.embedding_bag(
                rows, table, mode="sum", per_sample_weights=weights
            )
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        grid: _Grid = ctx.grid
        bins = prod(grid.size)
        total = gradient.new_zeros(ctx.shape)
        for chunk in grid.chunks():
            rows, weights = grid.terms(chunk)
            own = gradient[chunk.start * bins : chunk.stop * bins].contiguous()
            # the same sums the other way round: for every row of the table those bins that it went into
            order = rows.flatten().argsort()
            bags = torch.div(order, rows.shape[1], rounding_mode="floor")
            seen, counts = torch.unique_consecutive(rows.flatten()[order], return_counts=True)
            begins = counts.cumsum(0) - counts
            sums = functional.embedding_bag(bags, own, begins, mode="sum", per_sample_weights=weights.flatten()[order])
            total[seen] += sums
        return total, None
