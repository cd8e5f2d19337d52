"""Average precision as the COCO challenge counts it (Lin et al., 2014), for boxes and masks of two or three axes.

Objects of all images are ranked together by their score; precision is read off at 101 recalls, and averaged over these,
over ten least overlaps and over the classes. Ranking makes it blind to a bad threshold: see `medseg.metrics.instances`
for what a user gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.metrics.instances import THRESHOLDS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Piece = tuple[tuple[int, ...], npt.NDArray[np.bool_]]
"""Where a mask begins in its image, and the mask within its own box; it lies within the image."""

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False, slots=True)
class Overlaps:
    """Detections of one image beside its true objects.

    Parameters
    ----------
    iou : (k, m) float array
        Intersection over union of each detection with each true object.
    scores : (k,) float array
    classes, truth_classes : (k,), (m,) integer arrays
    """

    iou: Floats
    scores: Floats
    classes: Ints
    truth_classes: Ints


@dataclass(frozen=True, slots=True)
class CocoScores:
    """Average precision: over all ten overlaps, at .5 and at .75; not a number where there is no true object."""

    mean: float
    at_50: float
    at_75: float


def coco_scores(images: Sequence[Overlaps], *, most: int | None = None) -> CocoScores:
    """Return the average precision over images.

    Parameters
    ----------
    images : sequence of Overlaps
    most : int, optional
        Best detections of an image and class that count; the challenge takes 100, here all count.

    Examples
    --------
    >>> one = np.array([1])
    >>> coco_scores([Overlaps(np.array([[0.8]]), np.array([0.9]), one, one)]).at_75
    1.0
    """
    rows = [_of_class(images, c, most) for c in _true_classes(images)]
    if not rows:
        return CocoScores(float("nan"), float("nan"), float("nan"))
    return _summed_up(np.array(rows).mean(axis=0))


def coco_by_class(images: Sequence[Overlaps], *, most: int | None = None) -> dict[int, CocoScores]:
    """Return the average precision of each class that has a true object; their mean is that of `coco_scores`.

    Parameters
    ----------
    images : sequence of Overlaps
    most : int, optional
        Best detections of an image and class that count.

    Examples
    --------
    >>> one, two = np.array([1, 2]), np.array([0.9, 0.8])
    >>> {c: s.at_50 for c, s in coco_by_class([Overlaps(np.diag([0.8, 0.3]), two, one, one)]).items()}
    {1: 1.0, 2: 0.0}
    """
    return {c: _summed_up(_of_class(images, c, most)) for c in _true_classes(images)}


def of_class(image: Overlaps, class_id: int) -> Overlaps:
    """Return what was found of one class beside the true objects of this class."""
    rows, columns = image.classes == class_id, image.truth_classes == class_id
    return Overlaps(
        image.iou[np.ix_(rows, columns)], image.scores[rows], image.classes[rows], image.truth_classes[columns]
    )


def box_overlaps(found: npt.NDArray[Any], truth: npt.NDArray[Any]) -> Floats:
    """Return the (k, m) intersection over union of boxes.

    Parameters
    ----------
    found, truth : (k, 2n), (m, 2n) arrays
        Starts of all axes, then stops.

    Examples
    --------
    >>> box_overlaps(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2]])).round(2).tolist()
    [[0.33]]
    """
    n = found.shape[1] // 2
    low = np.maximum(found[:, None, :n], truth[None, :, :n])
    high = np.minimum(found[:, None, n:], truth[None, :, n:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2, dtype=np.float64)
    sizes = [np.prod(b[:, n:] - b[:, :n], axis=1, dtype=np.float64) for b in (found, truth)]
    union = sizes[0][:, None] + sizes[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-12))


def mask_overlaps(found: Sequence[Piece], labels: npt.NDArray[Any]) -> tuple[Floats, Ints]:
    """Return the (k, m) intersection over union of masks with the objects of a label image, and the (m,) ids.

    Parameters
    ----------
    found : sequence of Piece
        Masks may overlap each other.
    labels : (*s) integer array
    """
    ids, counts = np.unique(labels, return_counts=True)
    ids, counts = ids[ids > 0].astype(np.int64), counts[ids > 0]
    iou = np.zeros((len(found), len(ids)))
    for row, (start, mask) in enumerate(found):
        box = tuple(slice(a, a + n) for a, n in zip(start, mask.shape, strict=True))
        hit, shared = np.unique(labels[box][mask], return_counts=True)
        hit, shared = hit[hit > 0], shared[hit > 0]
        column = np.searchsorted(ids, hit)
        iou[row, column] = shared / (np.count_nonzero(mask) + counts[column] - shared)
    return iou, ids


def ranked_hits(images: Sequence[Overlaps], threshold: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the scores of all detections, best first, and which of them find an object of their class.

    Parameters
    ----------
    images : sequence of Overlaps
    threshold : float
        Least intersection over union.
    """
    scores, hits = [np.zeros(0)], [np.zeros(0, np.bool_)]
    for image in images:
        own = np.zeros(len(image.scores), np.bool_)
        for class_id in np.unique(image.classes):
            order = np.flatnonzero(image.classes == class_id)
            order = order[np.argsort(-image.scores[order], kind="stable")]
            columns = np.flatnonzero(image.truth_classes == class_id)
            own[order] = _hits(image.iou[np.ix_(order, columns)], threshold)
        scores.append(image.scores)
        hits.append(own)
    every, right = np.concatenate(scores), np.concatenate(hits)
    ranks = np.argsort(-every, kind="stable")
    return every[ranks], right[ranks]


def _true_classes(images: Sequence[Overlaps]) -> list[int]:
    found: list[int] = np.unique(np.concatenate([np.zeros(0, np.int64), *(i.truth_classes for i in images)])).tolist()
    return found


def _summed_up(table: Floats) -> CocoScores:
    places = [THRESHOLDS.index(t) for t in (0.5, 0.75)]
    return CocoScores(float(table.mean()), *(float(table[p]) for p in places))


def _of_class(images: Sequence[Overlaps], class_id: int, most: int | None) -> Floats:
    """Return the average precision of a class at each least overlap."""
    scores, hits, n_true = [], [], 0
    for image in images:
        order = np.flatnonzero(image.classes == class_id)
        order = order[np.argsort(-image.scores[order], kind="stable")][:most]
        columns = np.flatnonzero(image.truth_classes == class_id)
        n_true += len(columns)
        scores.append(image.scores[order])
        iou = image.iou[np.ix_(order, columns)]
        hits.append(np.array([_hits(iou, t) for t in THRESHOLDS]).reshape(len(THRESHOLDS), len(order)))
    ranks = np.argsort(-np.concatenate(scores), kind="stable")
    return np.array([_precision(row, n_true) for row in np.concatenate(hits, axis=1)[:, ranks]])


def _hits(iou: Floats, threshold: float) -> npt.NDArray[np.bool_]:
    """Return which detections, best first, find a true object that none before took."""
    free = np.ones(iou.shape[1], np.bool_)
    hits = np.zeros(len(iou), np.bool_)
    for row in np.flatnonzero((iou >= threshold).any(axis=1)):
        own = np.where(free, iou[row], -1.0)
        # the last of equals, as in the reference implementation
        best = len(own) - 1 - int(own[::-1].argmax())
        if own[best] >= threshold:
            free[best], hits[row] = False, True
    return hits


def _precision(hits: npt.NDArray[np.bool_], n_true: int) -> float:
    right = np.cumsum(hits)
    recall = right / n_true
    precision = right / np.arange(1, len(hits) + 1)
    # never lower than at a higher recall
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(place, len(precision))].mean())
