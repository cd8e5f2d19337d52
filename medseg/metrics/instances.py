"""How well separate objects were found: matches at many overlaps, panoptic quality, merges, splits, counts, sizes.

Two ways to join images are in use and both are given by name: *pooled* adds up the objects of all images before any
ratio is taken (StarDist's figures), *image mean* takes the mean of the images' own ratios (the Data Science Bowl's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medseg.labels import Instances
from medseg.metrics.contingency import Contingency, class_of, contingency, things
from medseg.metrics.matching import match
from medseg.metrics.overlap import Mean, mean

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""Intersection over union from .5 to .95 in steps of .05."""


@dataclass(frozen=True, slots=True)
class ThresholdScores:
    """Matches at one least intersection over union; a ratio is None where nothing was there to be divided by.

    Parameters
    ----------
    threshold : float
    true_positives, false_positives, false_negatives : int
        Matched objects; predictions and references without a partner.
    """

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float | None:
        """Share of the predictions that are right."""
        return ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        """Share of the references that were found."""
        return ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positives + self.false_negatives
        return ratio(2 * self.true_positives, 2 * self.true_positives + wrong)

    @property
    def ap(self) -> float | None:
        """TP / (TP + FP + FN), which this field calls average precision (there is no ranking by confidence)."""
        return ratio(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)


@dataclass(frozen=True, slots=True)
class SizeBand:
    """References from `low` up to, but not including, `high` in size, and how many were found at IoU .5."""

    low: float
    high: float
    n_reference: int
    n_found: int

    @property
    def recall(self) -> float | None:
        """Share that was found."""
        return ratio(self.n_found, self.n_reference)


@dataclass(frozen=True, slots=True)
class PanopticScores:
    """Panoptic quality of one class (Kirillov et al., 2019): matches above IoU .5.

    Parameters
    ----------
    true_positives, false_positives, false_negatives : int
    iou_sum : float
        Over the matches.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    iou_sum: float

    @property
    def sq(self) -> float | None:
        """Segmentation quality: mean IoU of the matches."""
        return ratio(self.iou_sum, self.true_positives)

    @property
    def rq(self) -> float | None:
        """Recognition quality: F1 of the matches."""
        return ratio(self.true_positives, self.true_positives + (self.false_positives + self.false_negatives) / 2)

    @property
    def pq(self) -> float | None:
        """Panoptic quality, SQ times RQ; None where neither image holds the class."""
        return ratio(self.iou_sum, self.true_positives + (self.false_positives + self.false_negatives) / 2)


@dataclass(frozen=True, slots=True)
class InstanceScores:
    """Everything that is counted when predicted objects meet reference objects, in one image or pooled over several.

    Parameters
    ----------
    n_prediction, n_reference : int
    at : tuple of ThresholdScores
    panoptic : PanopticScores
        All objects as one class.
    aji_shared, aji_union : int
        Voxels behind the aggregated Jaccard index.
    merges : int
        Predictions that swallow two or more references (more than half of each lies inside).
    splits : int
        References that were cut into two or more predictions (each with more than half of itself inside).
    absolute_count_error : int
        Sum over images of the difference in number, so that errors of two images do not cancel.
    bands : tuple of SizeBand
    """

    n_prediction: int
    n_reference: int
    at: tuple[ThresholdScores, ...]
    panoptic: PanopticScores
    aji_shared: int
    aji_union: int
    merges: int
    splits: int
    absolute_count_error: int
    bands: tuple[SizeBand, ...] = ()

    @property
    def mean_ap(self) -> float | None:
        """Mean of `ap` over the thresholds."""
        return mean(scores.ap for scores in self.at).value

    @property
    def aji(self) -> float | None:
        """Aggregated Jaccard index (Kumar et al., 2017): each reference with its best prediction, the rest as loss."""
        return ratio(self.aji_shared, self.aji_union)

    @property
    def count_error(self) -> int:
        """Predictions minus references."""
        return self.n_prediction - self.n_reference

    @property
    def relative_count_error(self) -> float | None:
        """Absolute difference in number as a share of the references."""
        return ratio(self.absolute_count_error, self.n_reference)

    def values(self) -> dict[str, float | None]:
        """Return every ratio by name; ``_50`` is an IoU of at least .50."""
        named: dict[str, float | None] = {"mean_ap": self.mean_ap}
        for scores in self.at:
            tail = f"{round(100 * scores.threshold)}"
            for name in ("ap", "f1", "precision", "recall"):
                named[f"{name}_{tail}"] = getattr(scores, name)
        named |= {"pq": self.panoptic.pq, "sq": self.panoptic.sq, "rq": self.panoptic.rq, "aji": self.aji}
        named["relative_count_error"] = self.relative_count_error
        return named

    def as_dict(self) -> dict[str, Any]:
        """Return counts, ratios and bands as plain data for JSON."""
        counts = ("n_prediction", "n_reference", "count_error", "absolute_count_error", "merges", "splits")
        bands = [{"low": b.low, "high": b.high, "n_reference": b.n_reference, "recall": b.recall} for b in self.bands]
        return {name: getattr(self, name) for name in counts} | self.values() | {"recall_by_size": bands}


def instance_scores(
    prediction: Instances,
    reference: Instances,
    *,
    thresholds: tuple[float, ...] = THRESHOLDS,
    size_edges: tuple[float, ...] = (),
) -> InstanceScores:
    """Compare the objects of one image, whatever their class; stuff is left out.

    Parameters
    ----------
    prediction, reference : Instances
        On the same grid.
    thresholds : tuple of float
        Least intersections over union.
    size_edges : tuple of float
        Ascending borders of the size bands, as area or volume in the grid's own unit (um2, mm3, px ...): n borders
        make n + 1 bands.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> grid = image_grid((1, 6), (1.0, 1.0), "px")
    >>> truth = Instances(np.array([[1, 1, 1, 0, 2, 2]]), grid)
    >>> found = Instances(np.array([[1, 1, 0, 0, 2, 2]]), grid)
    >>> scores = instance_scores(found, truth)
    >>> scores.at[0].ap, scores.at[4].ap, round(scores.panoptic.pq, 3)
    (1.0, 0.3333333333333333, 0.833)
    """
    table = things(contingency(prediction, reference), prediction, reference)
    n, m = len(table.prediction_ids), len(table.reference_ids)
    at = []
    for threshold in thresholds:
        k = len(match(table, threshold).rows)
        at.append(ThresholdScores(threshold, k, n - k, m - k))
    shared, union = _aji(table)
    inside_prediction = table.columns[2 * table.shared > table.prediction_voxels[table.rows]]
    inside_reference = table.rows[2 * table.shared > table.reference_voxels[table.columns]]
    return InstanceScores(
        n_prediction=n,
        n_reference=m,
        at=tuple(at),
        panoptic=_panoptic(table),
        aji_shared=shared,
        aji_union=union,
        merges=int((np.bincount(inside_reference, minlength=1) > 1).sum()),
        splits=int((np.bincount(inside_prediction, minlength=1) > 1).sum()),
        absolute_count_error=abs(n - m),
        bands=_bands(table, reference.grid.voxel_size, size_edges),
    )


def panoptic_scores(prediction: Instances, reference: Instances) -> dict[int, PanopticScores]:
    """Compare two panoptic images class by class, stuff and things alike: only segments of one class can match.

    Returns
    -------
    dict of int to PanopticScores
        By ascending class id.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).
    """
    table = contingency(prediction, reference)
    rows, columns = class_of(table.prediction_ids, prediction), class_of(table.reference_ids, reference)
    classes = sorted({*rows.tolist(), *columns.tolist()})
    return {c: _panoptic(table.restricted(rows == c, columns == c)) for c in classes}


def pooled(images: Sequence[InstanceScores]) -> InstanceScores:
    """Add up the objects of several images, compared with the same thresholds and bands, as if they were one."""
    at, bands = zip(*(i.at for i in images), strict=True), zip(*(i.bands for i in images), strict=True)
    return InstanceScores(
        n_prediction=sum(i.n_prediction for i in images),
        n_reference=sum(i.n_reference for i in images),
        at=tuple(
            ThresholdScores(
                s[0].threshold,
                sum(t.true_positives for t in s),
                sum(t.false_positives for t in s),
                sum(t.false_negatives for t in s),
            )
            for s in at
        ),
        panoptic=pooled_panoptic([i.panoptic for i in images]),
        aji_shared=sum(i.aji_shared for i in images),
        aji_union=sum(i.aji_union for i in images),
        merges=sum(i.merges for i in images),
        splits=sum(i.splits for i in images),
        absolute_count_error=sum(i.absolute_count_error for i in images),
        bands=tuple(
            SizeBand(b[0].low, b[0].high, sum(x.n_reference for x in b), sum(x.n_found for x in b)) for b in bands
        ),
    )


def pooled_panoptic(scores: Sequence[PanopticScores]) -> PanopticScores:
    """Add up the matches of one class over several images."""
    return PanopticScores(
        sum(s.true_positives for s in scores),
        sum(s.false_positives for s in scores),
        sum(s.false_negatives for s in scores),
        float(sum(s.iou_sum for s in scores)),
    )


def image_mean(images: Sequence[InstanceScores]) -> dict[str, Mean]:
    """Return the mean of each image's own ratios; images where a ratio is not defined are left out of its mean.

    Examples
    --------
    >>> image_mean([])
    {}
    """
    rows = [image.values() for image in images]
    return {name: mean(row[name] for row in rows) for name in (rows[0] if rows else {})}


def ratio(part: float, whole: float) -> float | None:
    """Return part / whole, None where the whole is nothing."""
    return float(part / whole) if whole else None


def _panoptic(table: Contingency) -> PanopticScores:
    iou = table.iou
    good = iou > 0.5
    k = int(good.sum())
    n, m = len(table.prediction_ids), len(table.reference_ids)
    return PanopticScores(k, n - k, m - k, float(iou[good].sum()))


def _aji(table: Contingency) -> tuple[int, int]:
    iou = table.iou
    order = np.lexsort((table.rows, -iou, table.columns))
    best = order[np.flatnonzero(np.diff(table.columns[order], prepend=-1))]
    rows, shared = table.rows[best], table.shared[best]
    unused = np.ones(len(table.prediction_ids), np.bool_)
    unused[rows] = False
    # a reference without any prediction adds its own voxels: it is in the first sum, with nothing shared
    union = table.reference_voxels.sum() + (table.prediction_voxels[rows] - shared).sum()
    return int(shared.sum()), int(union + table.prediction_voxels[unused].sum())


def _bands(table: Contingency, voxel_size: float, edges: tuple[float, ...]) -> tuple[SizeBand, ...]:
    if not edges:
        return ()
    found = np.zeros(len(table.reference_ids), np.bool_)
    found[match(table, 0.5).columns] = True
    band = np.searchsorted(np.array(edges), table.reference_voxels * voxel_size, side="right")
    borders = [0.0, *edges, float("inf")]
    return tuple(
        SizeBand(borders[k], borders[k + 1], int((band == k).sum()), int(found[band == k].sum()))
        for k in range(len(edges) + 1)
    )
