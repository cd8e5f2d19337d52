"""The heads: which anchors hold an object, what each box holds, which part of it, and the class of every voxel."""

from __future__ import annotations

from math import log, prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.nets.maskrcnn.neck import convolution
from medseg.nets.maskrcnn.options import MaskRCNNOptions


class ProposalHead(nn.Module):
    """One score and one step per anchor, by the same weights at all levels."""

    def __init__(self, n_shapes: int, options: MaskRCNNOptions) -> None:
        super().__init__()
        n, width = options.n_axes, options.width
        self.n_axes = n
        self.shared = convolution(n, width, width, 3)
        self.answer = convolution(n, width, n_shapes * (1 + 2 * n))
        _small(self.answer)

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return (b, a) logits and (b, a, 2n) steps, the levels' anchors one after the other."""
        answers = []
        for features in levels:
            answer = self.answer(functional.relu(self.shared(features), inplace=True))
            answers.append(answer.movedim(1, -1).reshape(len(answer), -1, 1 + 2 * self.n_axes))
        whole = torch.cat(answers, dim=1).float()
        return whole[..., 0], whole[..., 1:]


class BoxHead(nn.Module):
    """The class of a box and the step to the object's own box."""

    def __init__(self, n_classes: int, options: MaskRCNNOptions) -> None:
        super().__init__()
        cells = prod(options.box_bins) * options.width
        self.hidden = nn.Sequential(
            nn.Linear(cells, options.hidden), nn.ReLU(), nn.Linear(options.hidden, options.hidden), nn.ReLU()
        )
        self.classes = nn.Linear(options.hidden, n_classes)
        self.steps = nn.Linear(options.hidden, 2 * options.n_axes)
        for layer in (self.classes, self.steps):
            _small(layer)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return (k, n_classes) logits and (k, 2n) steps for (k, c, *bins) features."""
        x = self.hidden(features.flatten(1))
        return self.classes(x).float(), self.steps(x).float()


class MaskHead(nn.Module):
    """Logits of the object's shape over its box, at twice the resolution of the features."""

    def __init__(self, n_masks: int, options: MaskRCNNOptions) -> None:
        super().__init__()
        n, width = options.n_axes, options.mask_width
        layers: list[nn.Module] = []
        for i in range(options.mask_convolutions):
            layers += [convolution(n, width if i else options.width, width, 3), nn.ReLU(inplace=True)]
        grow = (nn.ConvTranspose2d if n == 2 else nn.ConvTranspose3d)(width, width, 2, stride=2)
        self.layers = nn.Sequential(*layers, grow, nn.ReLU(inplace=True), convolution(n, width, n_masks))
        for module in self.layers:
            if not isinstance(module, nn.ReLU):
                weight, bias = _parameters(module)
                nn.init.kaiming_normal_(weight, nonlinearity="relu")
                nn.init.zeros_(bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return (k, n_masks, *2 bins) logits for (k, c, *bins) features."""
        return self.layers(features).float()


def start_rare(head: ProposalHead, share: float = 0.05) -> None:
    """Let a fresh head believe that a share of the anchors holds an object, which is nearer to the truth than half."""
    _, bias = _parameters(head.answer)
    with torch.no_grad():
        bias.view(-1, 1 + 2 * head.n_axes)[:, 0].fill_(-log((1 - share) / share))


def _small(layer: nn.Module) -> None:
    weight, bias = _parameters(layer)
    nn.init.normal_(weight, std=0.01)
    nn.init.zeros_(bias)


def _parameters(layer: nn.Module) -> tuple[Tensor, Tensor]:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return weight, bias
