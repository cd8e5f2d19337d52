"""Weighted sums of the answers for overlapping tiles, only as deep as the tiles that are still open."""

from __future__ import annotations

import torch
from torch import Tensor

from medseg.ops.slab import Slab, cut
from medseg.ops.tiles import gaussian

BACKGROUND_IS_SURE = 20.0
"""Logit of the background, the first channel, where a run that was stopped has not looked."""


class Sums:
    """The sums of a row of tiles, which become a slab of maps as soon as no further tile can change them.

    The weights of all tiles factorise by axis, so no volume of weights is needed: what is finished is divided by one
    vector of weights per axis.

    Parameters
    ----------
    n_out : int
        Maps.
    axis_starts : tuple of ints per axis
        Where the tiles begin.
    patch : tuple of int
    axis : {0, -1}
        Along which rows of tiles follow each other.
    depth : int
        Planes that are kept along `axis`: the patch, or as many as there are where all is one row.
    device : torch.device
    """

    def __init__(
        self,
        n_out: int,
        *,
        axis_starts: list[tuple[int, ...]],
        patch: tuple[int, ...],
        axis: int,
        depth: int,
        device: torch.device,
    ) -> None:
        factors = [torch.from_numpy(gaussian(p)) for p in patch]
        self._patch, self._axis = patch, axis
        self._weights = [
            _weights(factor, begins).to(device) for factor, begins in zip(factors, axis_starts, strict=True)
        ]
        self._window = _outer([factor.to(device) for factor in factors])
        shape = [len(weight) for weight in self._weights]
        shape[axis] = depth
        self._sums = torch.zeros((n_out, *shape), dtype=torch.float32, device=device)
        self._start = 0

    def begin(self, start: int) -> None:
        """Begin the row of tiles at `start`: forget what lies before, and make room for what follows."""
        step, self._start = start - self._start, start
        for sums in self._sums if step else ():  # map by map, since source and target overlap
            one = sums[None]
            depth = one.shape[1] if self._axis == 0 else one.shape[-1]
            kept = max(0, depth - step)
            cut(one, self._axis, slice(0, kept)).copy_(cut(one, self._axis, slice(depth - kept, depth)).clone())
            cut(one, self._axis, slice(kept, depth)).zero_()

    def add(self, place: tuple[int, ...], answer: Tensor) -> None:
        """Add the answer (n_out, *patch) for the tile that begins at `place` of the whole grid."""
        self._at(place).addcmul_(answer, self._window)  # no map of the weighted answer is made

    def finish(self, stop: int, unseen: list[tuple[int, ...]]) -> Slab:
        """Return the planes before `stop` as maps, which are valid until another row is begun.

        Where one of the tiles that begin at `unseen` has not been added, the background is sure.
        """
        for place in unseen:
            box = self._at(place)
            box.zero_()
        done = cut(self._sums, self._axis, slice(0, stop - self._start))
        weights = list(self._weights)
        weights[self._axis] = weights[self._axis][self._start : stop]
        done /= weights[0].reshape(-1, *(1,) * (len(weights) - 1))
        done /= _outer(weights[1:])
        for place in unseen:
            self._at(place)[0] = BACKGROUND_IS_SURE
        maps = self._sums if self._sums.device.type == "cpu" else done.contiguous().cpu()
        return Slab(maps.numpy(), self._axis, self._start, stop - self._start)

    def _at(self, place: tuple[int, ...]) -> Tensor:
        begins = list(place)
        begins[self._axis] -= self._start
        return self._sums[(slice(None), *(slice(b, b + p) for b, p in zip(begins, self._patch, strict=True)))]


def _weights(factor: Tensor, begins: tuple[int, ...]) -> Tensor:
    """Return what all tiles together count along one axis."""
    weight = torch.zeros(begins[-1] + len(factor))
    for begin in begins:
        weight[begin : begin + len(factor)] += factor
    return weight


def _outer(factors: list[Tensor]) -> Tensor:
    window = factors[0]
    for factor in factors[1:]:
        window = window[..., None] * factor
    return window
