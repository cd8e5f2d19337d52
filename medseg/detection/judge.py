"""How good a detector is on tuning images: average precision, the best threshold, and what a score is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from medseg.detection.found import Found, masked
from medseg.detection.look import Looker, look_steps
from medseg.instance.cases import InstanceCase
from medseg.instance.scale import zoom_for
from medseg.metrics.coco import (
    Overlaps,
    box_overlaps,
    coco_by_class,
    coco_scores,
    mask_overlaps,
    of_class,
    ranked_hits,
)
from medseg.progress import Pace, Steps

LOWEST_SCORE = 0.05
"""Detections below it say nothing about a detector."""
LARGEST_SIDE = {2: 512, 3: 96}
"""Of larger tuning images the middle is looked at, by number of axes."""
KNOTS = 12
"""Most lines of the table that says what a score is worth."""
FEWEST_OBJECTS = 2 * KNOTS
"""Of fewer no such table is made, and no class gets a threshold of its own."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """What was found in one tuning image beside the truth, by boxes and by masks."""

    boxes: Overlaps
    masks: Overlaps


def judged_steps(cases: Sequence[InstanceCase], looker: Looker) -> Steps[list[Judged]]:
    """Look at tuning images, brought to the size of objects that the network is trained for.

    Parameters
    ----------
    cases : sequence of InstanceCase
    looker : Looker
        With `LOWEST_SCORE` as its threshold.
    """
    judged = []
    pace = Pace("scoring", len(cases))
    for done, case in enumerate(cases, 1):
        image, labels = at_size(case, max(looker.diameter))
        found, _ = yield from look_steps(image, looker)
        judged.append(beside_truth(found, labels, case.classes))
        yield pace.at(done)
    return judged


def average_precisions(judged: Sequence[Judged], names: Sequence[str] = ()) -> dict[str, float]:
    """Return the average precision of boxes and masks; ``score`` is the mean of the masks'. 0 without any object.

    Parameters
    ----------
    judged : sequence of Judged
    names : sequence of str
        Of the classes; of more than one, each class that has a true object gets its own line too.
    """
    boxes, masks = (coco_scores([getattr(j, kind) for j in judged]) for kind in ("boxes", "masks"))
    named = {"box_ap": boxes.mean, "box_ap50": boxes.at_50, "mask_ap": masks.mean, "mask_ap50": masks.at_50}
    named = {name: float(np.nan_to_num(value)) for name, value in named.items()}
    if len(names) > 1:
        by_class = coco_by_class([j.masks for j in judged])
        named |= {f"mask_ap50 {names[c - 1]}": scores.at_50 for c, scores in by_class.items()}
    return {**named, "score": named["mask_ap"]}


def of_kind(judged: Sequence[Judged], class_id: int) -> list[Judged]:
    """Return what was found of one class only, beside the true objects of this class."""
    return [Judged(of_class(j.boxes, class_id), of_class(j.masks, class_id)) for j in judged]


def n_true(judged: Sequence[Judged]) -> int:
    """Return the number of true objects."""
    return sum(len(j.masks.truth_classes) for j in judged)


def best_threshold(judged: Sequence[Judged]) -> float:
    """Return the score from which on most is right and found: the largest sum of F1 at overlaps of .5 and .75."""
    total = np.zeros(0)
    for overlap in (0.5, 0.75):
        scores, hits = ranked_hits([j.masks for j in judged], overlap)
        f1 = 2.0 * np.cumsum(hits) / np.maximum(np.arange(1, len(hits) + 1) + n_true(judged), 1)
        total = f1 if not len(total) else total + f1
    if not len(total) or total.max() <= 0:
        return 0.5
    best = int(total.argmax())
    lower = scores[best + 1] if best + 1 < len(scores) else LOWEST_SCORE
    return float(np.clip((scores[best] + lower) / 2.0, LOWEST_SCORE, 0.95))


def worth(judged: Sequence[Judged]) -> tuple[tuple[float, float], ...]:
    """Return (score, share of right objects) knots, rising, by isotonic regression; right means an overlap of .5.

    Empty where too little was found to tell.
    """
    from scipy.optimize import isotonic_regression

    scores, hits = ranked_hits([j.masks for j in judged], 0.5)
    if len(scores) < FEWEST_OBJECTS:
        return ()
    scores, hits = scores[::-1], hits[::-1]
    shares = isotonic_regression(hits.astype(float)).x
    # straight lines between the means of groups: steps would tie the scores of many objects
    group = np.searchsorted(np.linspace(LOWEST_SCORE, 1.0, KNOTS + 1)[1:-1], scores)
    knots = [(float(scores[group == g].mean()), float(shares[group == g].mean())) for g in np.unique(group)]
    return tuple((round(a, 4), round(b, 4)) for a, b in knots)


def beside_truth(
    found: Sequence[Found], labels: npt.NDArray[np.int64], kinds: npt.NDArray[Any] | None = None
) -> Judged:
    """Return the overlaps of objects with those of a label image.

    Parameters
    ----------
    found : sequence of Found
    labels : (*s) integer array
    kinds : (m,) integer array, optional
        Class of the objects 1 to m; without it all are of class 1.
    """
    scores = np.array([f.score for f in found], np.float64)
    classes = np.array([f.class_id for f in found], np.int64)
    by_mask, ids = mask_overlaps([masked(f, labels.shape) for f in found], labels)
    truth = np.array([_box(labels, number) for number in ids]).reshape(len(ids), 2 * labels.ndim)
    boxes = np.array([[*f.start, *f.stop] for f in found]).reshape(len(found), 2 * labels.ndim)
    own = np.ones(len(ids), np.int64) if kinds is None else np.asarray(kinds, np.int64)[ids - 1]
    by_box = box_overlaps(boxes, truth)
    return Judged(Overlaps(by_box, scores, classes, own), Overlaps(by_mask, scores, classes, own))


def at_size(case: InstanceCase, diameter: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return (c, *s) image and (*s) labels of a case, its objects brought to a median diameter in voxels."""
    zoom = zoom_for(case.diameter, diameter)
    box = tuple(_middle(n, round(LARGEST_SIDE[case.labels.ndim] / zoom)) for n in case.labels.shape)
    image = torch.from_numpy(np.ascontiguousarray(case.image[(slice(None), *box)], np.float32))[None]
    labels = torch.from_numpy(np.ascontiguousarray(case.labels[box]).astype(np.int64))[None, None]
    if zoom == 1.0:
        return image[0].numpy(), labels[0, 0].numpy()
    size = tuple(max(1, round(n * zoom)) for n in labels.shape[2:])
    mode = "bilinear" if len(size) == 2 else "trilinear"
    large = functional.interpolate(image, size=size, mode=mode, align_corners=False)
    picked = functional.interpolate(labels.double(), size=size, mode="nearest-exact")
    return large[0].numpy(), picked[0, 0].long().numpy()


def _middle(n: int, most: int) -> slice:
    start = max(0, (n - most) // 2)
    return slice(start, min(n, start + most))


def _box(labels: npt.NDArray[np.int64], number: int) -> list[int]:
    places = np.nonzero(labels == number)
    return [*(int(p.min()) for p in places), *(int(p.max()) + 1 for p in places)]
