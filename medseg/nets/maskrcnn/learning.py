"""The losses of a batch: match, draw, compare, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from medseg.nets.maskrcnn.align import Table
from medseg.nets.maskrcnn.boxes import clipped, stepped, steps_between
from medseg.nets.maskrcnn.losses import class_loss, giou, mask_loss, mask_targets, semantic_loss, smooth_l1
from medseg.nets.maskrcnn.matching import drawn, hard_drawn, match
from medseg.nets.maskrcnn.proposals import STEP_WEIGHTS, Choice, propose
from medseg.nets.maskrcnn.values import Truth

if TYPE_CHECKING:
    from medseg.nets.maskrcnn.network import Dense, MaskRCNN

TRAINING_CANDIDATES = 1000
STAGE_WEIGHTS = (10.0, 5.0)
"""Factors of shifts and growths in the first stage; each further stage takes smaller steps (Cai and Vasconcelos)."""


class Drawn(NamedTuple):
    """Boxes of a whole batch that are learned from; `objects` and `classes` are 0 where a box holds none."""

    boxes: Tensor
    which: Tensor
    objects: Tensor
    classes: Tensor


def stage_weights(stage: int) -> tuple[float, float]:
    """Return the factors of shifts and growths of a stage."""
    return STAGE_WEIGHTS[0] * (stage + 1), STAGE_WEIGHTS[1] * (stage + 1)


def losses(network: MaskRCNN, images: Tensor, truths: list[Truth], *, generator: torch.Generator) -> dict[str, Tensor]:
    """Return the losses of a batch, see `MaskRCNN.losses`."""
    options = network.options
    dense = network(images)
    shape = images.shape[2:]
    levels = network.anchors(dense)
    found = _proposal_losses(network, dense, torch.cat(levels), truths, generator)
    choice = Choice(TRAINING_CANDIDATES, options.proposals_per_image, options.proposal_nms)
    proposals = propose(levels, dense.objectness, dense.steps, shape, choice)
    boxes = _drawn_boxes(network, proposals, truths, generator)
    table = network.table(dense)
    found |= _box_losses(network, table, boxes, truths, shape)
    found["masks"] = _mask_loss(network, table, boxes, truths, generator)
    if dense.semantic is not None:
        found["semantic"] = _semantic_loss(network, dense.semantic, truths)
    return found


def _proposal_losses(
    network: MaskRCNN, dense: Dense, anchors: Tensor, truths: list[Truth], generator: torch.Generator
) -> dict[str, Tensor]:
    options = network.options
    low, high = options.proposal_overlaps
    logits, goals, steps, targets = [], [], [], []
    for i, truth in enumerate(truths):
        overlap, which, favourite = match(anchors, truth.boxes)
        positive = (overlap >= high) | (favourite >= 0)
        which = torch.where(favourite >= 0, favourite, which)
        chosen = drawn(positive, options.anchors_per_image // 2, generator)
        rest = options.anchors_per_image - len(chosen)
        others = hard_drawn(~positive & (overlap < low), dense.objectness[i], rest, generator)
        logits += [dense.objectness[i, chosen], dense.objectness[i, others]]
        goals += [torch.ones_like(logits[-2]), torch.zeros_like(logits[-1])]
        steps.append(dense.steps[i, chosen])
        targets.append(steps_between(anchors[chosen], truth.boxes[which[chosen]], STEP_WEIGHTS))
    n = sum(len(part) for part in steps)
    return {
        "objectness": torch.nn.functional.binary_cross_entropy_with_logits(torch.cat(logits), torch.cat(goals)),
        "proposal_boxes": smooth_l1(torch.cat(steps), torch.cat(targets)) / max(n, 1),
    }


def _drawn_boxes(network: MaskRCNN, proposals: list[Tensor], truths: list[Truth], generator: torch.Generator) -> Drawn:
    options = network.options
    parts = []
    for i, (own, truth) in enumerate(zip(proposals, truths, strict=True)):
        boxes = torch.cat([own, truth.boxes])
        overlap, objects, _ = match(boxes, truth.boxes)
        positive = overlap >= options.stages[0]
        chosen = drawn(positive, options.boxes_per_image // 2, generator)
        others = drawn(~positive, options.boxes_per_image - len(chosen), generator)
        keep = torch.cat([chosen, others])
        parts.append(_labelled(boxes[keep], i, objects[keep], positive[keep], truth))
    return Drawn(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _labelled(boxes: Tensor, image: int, objects: Tensor, positive: Tensor, truth: Truth) -> Drawn:
    classes = torch.zeros_like(objects)
    classes[positive] = truth.classes[objects[positive]]
    return Drawn(boxes, torch.full_like(objects, image), objects, classes)


def _box_losses(
    network: MaskRCNN, table: Table, boxes: Drawn, truths: list[Truth], shape: torch.Size
) -> dict[str, Tensor]:
    options = network.options
    classes, steps = [], []
    for stage, head in enumerate(network.box_heads):
        logits, step = head(network.box_features(table, boxes.boxes, boxes.which))
        share = 0.5**stage
        focal = options.class_loss == "focal"
        classes.append(share * class_loss(logits, boxes.classes, focal=focal, weights=options.class_weights))
        steps.append(share * _step_loss(network, boxes, step, truths, stage))
        if stage + 1 < len(options.stages):
            moved = clipped(stepped(boxes.boxes, step.detach(), stage_weights(stage)), shape)
            boxes = _matched_again(moved, boxes.which, truths, options.stages[stage + 1])
    return {"classes": torch.stack(classes).sum(), "boxes": torch.stack(steps).sum()}


def _step_loss(network: MaskRCNN, boxes: Drawn, step: Tensor, truths: list[Truth], stage: int) -> Tensor:
    positive = boxes.classes > 0
    start, moved = boxes.boxes[positive], step[positive]
    goals = _boxes_of(boxes, positive, truths)
    n = max(len(boxes.boxes), 1)
    if network.options.box_loss == "giou":
        return giou(stepped(start, moved, stage_weights(stage)), goals) / n
    return smooth_l1(moved, steps_between(start, goals, stage_weights(stage)), beta=1.0) / n


def _boxes_of(boxes: Drawn, positive: Tensor, truths: list[Truth]) -> Tensor:
    """Return the boxes of the objects that the positive boxes of the batch belong to."""
    counts = torch.tensor([0, *(len(t) for t in truths)], device=positive.device).cumsum(0)
    return torch.cat([t.boxes for t in truths])[(boxes.objects + counts[boxes.which])[positive]]


def _matched_again(boxes: Tensor, which: Tensor, truths: list[Truth], wanted: float) -> Drawn:
    parts = []
    for i, truth in enumerate(truths):
        own = boxes[which == i]
        overlap, objects, _ = match(own, truth.boxes)
        parts.append(_labelled(own, i, objects, overlap >= wanted, truth))
    return Drawn(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _mask_loss(
    network: MaskRCNN, table: Table, boxes: Drawn, truths: list[Truth], generator: torch.Generator
) -> Tensor:
    keep, targets = [], []
    size = tuple(2 * n for n in network.options.mask_bins)
    for i, truth in enumerate(truths):
        own = drawn((boxes.which == i) & (boxes.classes > 0), network.options.masks_per_image, generator)
        keep.append(own)
        targets.append(mask_targets(truth, boxes.boxes[own], boxes.objects[own], size))
    chosen = torch.cat(keep)
    features = network.mask_features(table, boxes.boxes[chosen], boxes.which[chosen])
    logits = network.mask_head(features)
    column = boxes.classes[chosen] - 1 if network.options.mask_per_class else torch.zeros_like(chosen)
    own_logits = logits[torch.arange(len(chosen), device=chosen.device), column]
    return mask_loss(own_logits, torch.cat(targets))


def _semantic_loss(network: MaskRCNN, logits: Tensor, truths: list[Truth]) -> Tensor:
    steps = network.strides[0]
    # the voxel in the middle of each cell speaks for it
    place = tuple(slice(s // 2, None, s) for s in steps)
    goals = torch.stack([t.class_map()[place] for t in truths])
    cut = tuple(slice(0, n) for n in goals.shape[1:])
    return semantic_loss(logits.float()[(slice(None), slice(None), *cut)], goals)
