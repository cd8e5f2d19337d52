"""Lesion by lesion: which were seen, which are false alarms, by volume; the conventions of lesion challenges.

A reference lesion counts as detected when the prediction covers at least one of its voxels (or the share asked for); a
predicted lesion is false when it touches no reference lesion. Several predictions may detect one lesion, and one
prediction several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from medseg.labels import Instances
from medseg.metrics.contingency import Contingency, contingency, things
from medseg.metrics.instances import ratio


@dataclass(frozen=True, slots=True)
class LesionBand:
    """Lesions from `low` up to, but not including, `high` in volume (the grid's own unit, mm3 in a scan)."""

    low: float
    high: float
    n_reference: int
    n_detected: int
    n_prediction: int
    n_false: int

    @property
    def sensitivity(self) -> float | None:
        """Share of the reference lesions that were detected; None where there are none."""
        return ratio(self.n_detected, self.n_reference)


@dataclass(frozen=True, slots=True)
class LesionScores:
    """Detection over one scan or several.

    Parameters
    ----------
    n_scans : int
    total : LesionBand
        Lesions of every volume.
    bands : tuple of LesionBand
    """

    n_scans: int
    total: LesionBand
    bands: tuple[LesionBand, ...] = ()

    @property
    def sensitivity(self) -> float | None:
        """Share of the reference lesions that were detected."""
        return self.total.sensitivity

    @property
    def precision(self) -> float | None:
        """Share of the predicted lesions that touch a reference lesion."""
        return ratio(self.total.n_prediction - self.total.n_false, self.total.n_prediction)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of sensitivity and precision; None where one of them is not defined."""
        if self.sensitivity is None or self.precision is None:
            return None
        return ratio(2 * self.sensitivity * self.precision, self.sensitivity + self.precision) or 0.0

    @property
    def false_per_scan(self) -> float | None:
        """False alarms per scan."""
        return ratio(self.total.n_false, self.n_scans)

    def as_dict(self) -> dict[str, Any]:
        """Return counts and ratios as plain data for JSON."""
        names = ("n_reference", "n_detected", "n_prediction", "n_false", "sensitivity")
        bands = [{name: getattr(b, name) for name in ("low", "high", *names)} for b in self.bands]
        ratios = {"precision": self.precision, "f1": self.f1, "false_per_scan": self.false_per_scan}
        total = {name: getattr(self.total, name) for name in names}
        return {"n_scans": self.n_scans} | total | ratios | {"by_volume": bands}


def lesion_scores(
    prediction: Instances,
    reference: Instances,
    *,
    volume_edges: tuple[float, ...] = (),
    min_share: float = 0.0,
) -> LesionScores:
    """Compare the lesions of one scan.

    Parameters
    ----------
    prediction, reference : Instances
        On the same grid, one object per lesion (`medseg.instance.watershed.components` makes them).
    volume_edges : tuple of float
        Ascending borders of the volume bands, in the grid's own unit (mm3 in a scan). A reference lesion belongs to a
        band by its own volume, a false alarm by its own.
    min_share : float
        Share of a reference lesion that the prediction must cover; any voxel is enough at 0.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).

    Examples
    --------
    >>> from medseg.grid import Grid
    >>> grid = Grid((1, 1, 6), np.eye(4))
    >>> truth = Instances(np.array([[[1, 1, 0, 2, 0, 0]]]), grid)
    >>> found = Instances(np.array([[[1, 0, 0, 0, 0, 2]]]), grid)
    >>> scores = lesion_scores(found, truth)
    >>> scores.sensitivity, scores.false_per_scan
    (0.5, 1.0)
    """
    table = things(contingency(prediction, reference), prediction, reference)
    size = reference.grid.voxel_size
    covered = np.bincount(table.columns, weights=table.shared, minlength=len(table.reference_ids))
    detected = (covered > 0) & (covered >= min_share * table.reference_voxels)
    false = np.ones(len(table.prediction_ids), np.bool_)
    false[table.rows] = False
    borders = [0.0, *volume_edges, float("inf")]
    bands = [_band(low, high, table, size, detected, false) for low, high in pairwise(borders)]
    return LesionScores(1, _band(0.0, float("inf"), table, size, detected, false), tuple(bands) if volume_edges else ())


def pooled_lesions(scans: Sequence[LesionScores]) -> LesionScores:
    """Add up several scans that were compared with the same bands."""
    bands = zip(*(s.bands for s in scans), strict=True)
    n_scans = sum(s.n_scans for s in scans)
    return LesionScores(n_scans, _sum([s.total for s in scans]), tuple(_sum(band) for band in bands))


def _sum(bands: Sequence[LesionBand]) -> LesionBand:
    names = ("n_reference", "n_detected", "n_prediction", "n_false")
    first = bands[0] if bands else LesionBand(0.0, float("inf"), 0, 0, 0, 0)
    return LesionBand(first.low, first.high, *(sum(getattr(b, name) for b in bands) for name in names))


def _band(low: float, high: float, table: Contingency, size: float, detected: Any, false: Any) -> LesionBand:
    reference, prediction = table.reference_voxels * size, table.prediction_voxels * size
    there, said = (reference >= low) & (reference < high), (prediction >= low) & (prediction < high)
    return LesionBand(
        low, high, int(there.sum()), int((there & detected).sum()), int(said.sum()), int((said & false).sum())
    )
