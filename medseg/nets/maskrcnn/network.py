"""Mask R-CNN (He et al. 2017) in 2-D and 3-D: encoder, pyramid, proposals, boxes, masks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from math import prod
from operator import mul
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.nets.maskrcnn.align import Table, level_of, sampled, table_of
from medseg.nets.maskrcnn.anchors import anchors, shapes_of
from medseg.nets.maskrcnn.backbone import Encoder
from medseg.nets.maskrcnn.detecting import detect
from medseg.nets.maskrcnn.heads import BoxHead, MaskHead, ProposalHead, start_rare
from medseg.nets.maskrcnn.learning import losses
from medseg.nets.maskrcnn.neck import NECKS, convolution
from medseg.nets.maskrcnn.options import DetectSettings, MaskRCNNOptions
from medseg.nets.maskrcnn.values import Detections, Truth


class Dense(NamedTuple):
    """What the network says about every cell, before any box is looked at.

    Parameters
    ----------
    pyramid : list of (b, width, *f) tensor
        Finest level first.
    objectness : (b, a) float32 tensor
        Logits of all anchors, level after level.
    steps : (b, a, 2n) float32 tensor
        From each anchor to its object.
    semantic : (b, classes, *f) tensor, optional
        Logits of the classes of voxels at the finest level; 0 is background.
    """

    pyramid: list[Tensor]
    objectness: Tensor
    steps: Tensor
    semantic: Tensor | None


class MaskRCNN(nn.Module):
    """A detector of objects with masks.

    Parameters
    ----------
    n_axes : int
        2 or 3.
    n_in : int
        Channels of the images.
    n_classes : int
        Classes with the background, which is 0.
    options : MaskRCNNOptions

    Raises
    ------
    ValueError
        If the options are not for this number of axes or classes, or name an unknown neck.
    """

    def __init__(self, n_axes: int, n_in: int, n_classes: int, options: MaskRCNNOptions) -> None:
        super().__init__()
        if options.n_axes != n_axes:
            raise ValueError(f"options for {options.n_axes} axes, images with {n_axes}")
        if n_classes < 2 or len(options.class_weights) not in (0, n_classes):
            raise ValueError(f"{n_classes} classes with background, {len(options.class_weights)} class weights")
        if options.neck not in NECKS:
            raise ValueError(f"the neck {options.neck!r}; there are {', '.join(NECKS)}")
        self.options, self.n_classes = options, n_classes
        shapes = shapes_of(options)
        if len({len(s) for s in shapes}) != 1:
            raise ValueError("every anchor level must have the same number of sizes")
        self._shapes = shapes
        strides = list(accumulate(options.strides, lambda a, b: tuple(map(mul, a, b))))
        self.strides = strides[options.finest :]
        self.unit = tuple(strides[-1])
        self.encoder = Encoder(n_in, options)
        self.neck = NECKS[options.neck](options)
        self.proposal_head = ProposalHead(len(shapes[0]), options)
        self.box_heads = nn.ModuleList(BoxHead(n_classes, options) for _ in options.stages)
        self.mask_head = MaskHead(n_classes - 1 if options.mask_per_class else 1, options)
        self.semantic_head = convolution(n_axes, options.width, n_classes) if options.semantic else None
        start_rare(self.proposal_head)

    def forward(self, images: Tensor) -> Dense:
        """Return what the network says about every cell of (b, c, *s) images of any size.

        Images are filled up with zeros to a multiple of the deepest stride, behind the last voxel.
        """
        pyramid = self.neck(self.encoder(self._filled(images)))
        first = self.options.finest
        logits, steps = self.proposal_head([pyramid[i - first] for i in self.options.anchor_levels])
        semantic = None if self.semantic_head is None else self.semantic_head(pyramid[0])
        return Dense(pyramid, logits, steps, semantic)

    def losses(self, images: Tensor, truths: list[Truth], *, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the losses of a batch, each a scalar to be summed.

        Autocast of the caller holds for the convolutions; sampling of boxes and losses are in float32.

        Parameters
        ----------
        images : (b, c, *s) float tensor
        truths : list of Truth
            One per image, on the same device.
        generator : torch.Generator
            On the CPU; draws which anchors and boxes are learned from.

        Returns
        -------
        dict of str to Tensor
            ``objectness``, ``proposal_boxes``, ``classes``, ``boxes``, ``masks`` and, with that head, ``semantic``.
        """
        return losses(self, images, truths, generator=generator)

    def detect(self, images: Tensor, *, settings: DetectSettings | None = None) -> list[Detections]:
        """Return the objects of each of (b, c, *s) images; the network should be in evaluation mode.

        Raises
        ------
        OutputError
            If the network answers with values that are not numbers.
        """
        with torch.no_grad():
            return detect(self, images, settings or DetectSettings())

    def probe(self, images: Tensor) -> Tensor:
        """Return (b, q, 4) numbers in which every head has its say, for four fixed boxes per image.

        They tell whether weights and code still fit together.
        """
        dense = self(images)
        shape = torch.tensor(images.shape[2:], dtype=torch.float32, device=images.device)
        corner = torch.tensor([0.0, 0.1, 0.2, 0.3], device=images.device)[:, None] * shape
        boxes = torch.cat([corner, corner + 0.6 * shape], dim=1)
        table = self.table(dense)
        answers = []
        for i in range(len(images)):
            which = torch.full((len(boxes),), i, device=images.device)
            features = self.box_features(table, boxes, which)
            parts = [part for head in self.box_heads for part in head(features)]
            parts.append(self.mask_head(self.mask_features(table, boxes, which)).flatten(2).mean(2))
            parts.append(dense.objectness[i, :4, None])
            parts.append(dense.steps[i, :4])
            answers.append(torch.cat(parts, dim=1).T)
        return torch.stack(answers)

    def anchors(self, dense: Dense) -> list[Tensor]:
        """Return per proposing level the (a, 2n) anchors that the answer speaks of."""
        first = self.options.finest
        return [
            anchors(shapes.to(dense.steps.device), dense.pyramid[i - first].shape[2:], self.strides[i - first])
            for i, shapes in zip(self.options.anchor_levels, self._shapes, strict=True)
        ]

    def table(self, dense: Dense) -> Table:
        """Return the pyramid as boxes are sampled from it."""
        return table_of(dense.pyramid, self.strides)

    def box_features(self, table: Table, boxes: Tensor, which: Tensor) -> Tensor:
        """Return the (k, width, *box_bins) float32 features of boxes in the images `which`."""
        return self._features(table, boxes, which, self.options.box_bins)

    def mask_features(self, table: Table, boxes: Tensor, which: Tensor) -> Tensor:
        """Return the (k, width, *mask_bins) float32 features of boxes in the images `which`."""
        return self._features(table, boxes, which, self.options.mask_bins)

    def _features(self, table: Table, boxes: Tensor, which: Tensor, bins: tuple[int, ...]) -> Tensor:
        levels = level_of(boxes, bins, self.strides)
        return sampled(table, boxes, which, levels, bins, self.options.samples)

    def _filled(self, images: Tensor) -> Tensor:
        # two cells at least on the deepest level: an instance norm over one is undefined
        wanted = [max(2, -(-length // unit)) * unit for length, unit in zip(images.shape[2:], self.unit, strict=True)]
        more = [w - length for w, length in zip(wanted, images.shape[2:], strict=True)]
        if not any(more):
            return images
        return functional.pad(images, [side for m in reversed(more) for side in (0, m)])

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; frozen norms stay as they are."""
        super().train(mode)
        if self.options.norm == "frozen":
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                    module.eval()
        return self


def load_backbone(network: MaskRCNN, tensors: dict[str, Tensor]) -> tuple[str, ...]:
    """Fill encoder and way up with the weights of a trained ``dynunet``; what does not fit stays as it is.

    Parameters
    ----------
    network : MaskRCNN
    tensors : dict of str to Tensor
        Names as in the model file of a ``dynunet``, such as ``downsamples.0.conv1.conv.weight``.

    Returns
    -------
    tuple of str
        Names, as in `tensors`, of what was loaded.
    """
    own = network.state_dict()
    places = {name: place for name in tensors for place in _places(name) if place in own}
    fitting = {name: place for name, place in places.items() if own[place].shape == tensors[name].shape}
    network.load_state_dict({place: tensors[name].float() for name, place in fitting.items()}, strict=False)
    return tuple(sorted(fitting))


def _places(name: str) -> Iterator[str]:
    yield f"encoder.{name}"
    yield f"neck.{name}"


def n_weights(network: nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(prod(p.shape) for p in network.parameters())
