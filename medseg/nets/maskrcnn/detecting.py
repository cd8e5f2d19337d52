"""From the network's answer to detections: proposals, boxes, suppression, masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medseg.errors import OutputError
from medseg.nets.maskrcnn.align import Table
from medseg.nets.maskrcnn.boxes import clipped, sizes, stepped
from medseg.nets.maskrcnn.learning import stage_weights
from medseg.nets.maskrcnn.masks import mask_nms
from medseg.nets.maskrcnn.nms import nms
from medseg.nets.maskrcnn.options import DetectSettings
from medseg.nets.maskrcnn.proposals import Choice, propose
from medseg.nets.maskrcnn.values import Detections

if TYPE_CHECKING:
    from medseg.nets.maskrcnn.network import MaskRCNN

SMALLEST = 0.5
"""Detections thinner than half a voxel along any axis are dropped: they hold nothing."""


def detect(network: MaskRCNN, images: Tensor, settings: DetectSettings) -> list[Detections]:
    """Return the objects of each image, see `MaskRCNN.detect`."""
    dense = network(images)
    if not (torch.isfinite(dense.objectness).all() and torch.isfinite(dense.steps).all()):
        raise OutputError(
            "E_OUTPUT_NONFINITE",
            found="an answer of the network that is not a number",
            expected="finite values",
            not_done="no objects were detected",
            remedy="Look for extreme values in the image; if there are none, the model is damaged.",
        )
    shape = images.shape[2:]
    choice = Choice(settings.candidates, settings.max_proposals, settings.proposal_nms, settings.proposal_threshold)
    proposals = propose(network.anchors(dense), dense.objectness, dense.steps, shape, choice)
    table = network.table(dense)
    found = []
    for i, boxes in enumerate(proposals):
        kept = _classified(network, table, i, boxes, shape, settings)
        masks = _masks(network, table, i, kept, settings.chunk)
        found.append(_without_twins(Detections(*kept, masks), settings))
    return found


def _classified(
    network: MaskRCNN, table: Table, image: int, boxes: Tensor, shape: torch.Size, settings: DetectSettings
) -> tuple[Tensor, Tensor, Tensor]:
    shares = boxes.new_zeros((len(boxes), network.n_classes))
    for stage, head in enumerate(network.box_heads):
        steps = []
        for begin in range(0, len(boxes), settings.chunk):
            part = slice(begin, begin + settings.chunk)
            which = torch.full((len(boxes[part]),), image, device=boxes.device)
            logits, step = head(network.box_features(table, boxes[part], which))
            shares[part] += logits.softmax(1) / len(network.box_heads)
            steps.append(step)
        if steps:
            boxes = clipped(stepped(boxes, torch.cat(steps), stage_weights(stage)), shape)
    wide = (sizes(boxes) >= SMALLEST).all(1, keepdim=True)
    rows, columns = ((shares[:, 1:] >= settings.score_threshold) & wide).nonzero(as_tuple=True)
    scores, classes = shares[rows, columns + 1], columns + 1
    stays = nms(boxes[rows], scores, settings.nms_overlap, classes, most=settings.max_detections)
    return boxes[rows[stays]], scores[stays], classes[stays]


def _masks(network: MaskRCNN, table: Table, image: int, kept: tuple[Tensor, Tensor, Tensor], chunk: int) -> Tensor:
    boxes, _, classes = kept
    parts = [boxes.new_zeros((0, *(2 * n for n in network.options.mask_bins)))]
    for begin in range(0, len(boxes), chunk):
        own = slice(begin, begin + chunk)
        which = torch.full((len(boxes[own]),), image, device=boxes.device)
        logits = network.mask_head(network.mask_features(table, boxes[own], which))
        column = classes[own] - 1 if network.options.mask_per_class else torch.zeros_like(classes[own])
        parts.append(logits[torch.arange(len(logits), device=boxes.device), column].sigmoid())
    return torch.cat(parts)


def _without_twins(found: Detections, settings: DetectSettings) -> Detections:
    if settings.mask_overlap >= 1 or not len(found):
        return found
    stays = mask_nms(found.boxes, found.masks, found.classes, settings.mask_overlap)
    return Detections(found.boxes[stays], found.scores[stays], found.classes[stays], found.masks[stays])
