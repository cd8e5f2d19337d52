"""From scores and steps at every anchor to a few hundred proposals per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medseg.nets.maskrcnn.boxes import clipped, stepped
from medseg.nets.maskrcnn.nms import nms

STEP_WEIGHTS = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """How many candidates per level are compared, how many proposals stay, their largest overlap, their least score."""

    candidates: int
    proposals: int
    overlap: float
    threshold: float = 0.0


@torch.no_grad()
def propose(
    anchors: Sequence[Tensor], logits: Tensor, steps: Tensor, shape: Sequence[int], choice: Choice
) -> list[Tensor]:
    """Return per image the (k, 2n) boxes of the best proposals, best first.

    Parameters
    ----------
    anchors : sequence of (a, 2n) tensor
        Per level.
    logits : (b, sum a) tensor
    steps : (b, sum a, 2n) tensor
    shape : sequence of int
        Of the image; boxes are cut at its edges.
    choice : Choice
    """
    lengths = [len(level) for level in anchors]
    found = []
    for own_logits, own_steps in zip(logits, steps, strict=True):
        boxes, scores = [], []
        per_level = zip(anchors, own_logits.split(lengths), own_steps.split(lengths), strict=True)
        for level, level_logits, level_steps in per_level:
            score, best = level_logits.topk(min(choice.candidates, len(level)))
            # what is not a number shows in the losses; here it only must not break the geometry
            moved = torch.nan_to_num(stepped(level[best], level_steps[best], STEP_WEIGHTS))
            boxes.append(clipped(moved, shape))
            scores.append(score)
        whole, score = torch.cat(boxes), torch.cat(scores)
        good = score.sigmoid() >= choice.threshold
        whole, score = whole[good], score[good]
        found.append(whole[nms(whole, score, choice.overlap, most=choice.proposals)])
    return found
