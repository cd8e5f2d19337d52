"""Several networks that answer as one: their answers for a tile are averaged before anything is decided."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean answer of several networks of one shape.

    The tile loop sees a single network: mirroring, half precision, steps down on trouble and stopping work as ever. One
    member computes after the other, so that the activations of one are in memory at a time.

    Parameters
    ----------
    members : sequence of nn.Module
        (b, c, *s) → (b, n_out, *s), the same shapes for all.

    Examples
    --------
    >>> import torch
    >>> double, same = nn.Conv2d(1, 1, 1, bias=False), nn.Identity()
    >>> _ = nn.init.constant_(double.weight, 2.0)
    >>> Ensemble([double, same]).eval()(torch.ones(1, 1, 2, 2)).flatten().tolist()
    [1.5, 1.5, 1.5, 1.5]
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, image: Tensor) -> Tensor:
        """Return the mean of the members' answers, summed in float32."""
        total: Tensor | None = None
        for member in self.members:
            answer = member(image).float()
            total = answer if total is None else total + answer
        assert total is not None
        return total / len(self.members)


def as_one(networks: Sequence[nn.Module]) -> nn.Module:
    """Return a single network as it is, and several as their `Ensemble`, in evaluation mode."""
    return networks[0] if len(networks) == 1 else Ensemble(networks).eval().requires_grad_(requires_grad=False)
