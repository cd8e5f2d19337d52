"""The result of comparing predictions with references: cases, summary, tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.errors import MedsegError
from medseg.metrics.overlap import ACCURACY_NOTE, ClassOverlap, mean
from medseg.metrics.surface import HD95_CONVENTION, SurfaceScores

if TYPE_CHECKING:
    import pandas as pd

_SCORES = ("dice", "iou", "hd_mm", "hd95_mm", "assd_mm", "nsd", "volume_error_ml", "volume_error_percent")


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class in one case; None where a score is not defined, with the reason in `note`."""

    class_id: int
    name: str
    prediction_voxels: int
    reference_voxels: int
    dice: float | None
    iou: float | None
    hd_mm: float | None
    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None
    volume_error_ml: float | None
    volume_error_percent: float | None
    note: str = ""

    @classmethod
    def of(cls, shared: ClassOverlap, surface: SurfaceScores, tolerance_mm: float) -> ClassScores:
        """Join the overlap and the surface distances of one class."""
        return cls(
            class_id=shared.class_id,
            name=shared.name,
            prediction_voxels=shared.prediction_voxels,
            reference_voxels=shared.reference_voxels,
            dice=shared.dice,
            iou=shared.iou,
            hd_mm=surface.hd_mm,
            hd95_mm=surface.hd95_mm,
            assd_mm=surface.assd_mm,
            nsd=surface.nsd(tolerance_mm),
            volume_error_ml=shared.volume_error_ml,
            volume_error_percent=shared.volume_error_percent,
            note="; ".join(note for note in (shared.note, surface.note) if note),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class CaseScores:
    """One pair of label maps: its scores, or the reason why there are none."""

    name: str
    prediction: str = ""
    reference: str = ""
    classes: dict[int, ClassScores] = field(default_factory=dict)
    pixel_accuracy: float | None = None
    mean_iou: float | None = None
    error: MedsegError | None = None

    @property
    def state(self) -> str:
        """``ok`` or ``refused``."""
        return "ok" if self.error is None else "refused"

    def as_dict(self) -> dict[str, Any]:
        """Return the case as plain values, for JSON."""
        return {
            "case": self.name,
            "state": self.state,
            "prediction": self.prediction,
            "reference": self.reference,
            "per_class": {str(c): scores.as_dict() for c, scores in self.classes.items()},
            "mean_iou": self.mean_iou,
            "pixel_accuracy": self.pixel_accuracy,
            "error": None if self.error is None else self.error.as_dict() | {"message": str(self.error)},
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of all cases.

    Parameters
    ----------
    cases : tuple of CaseScores
        By name; refused ones included.
    without_prediction, without_reference : tuple of str
        Names that stand on one side only.
    tolerance_mm : float
        Used for the normalised surface Dice.
    """

    cases: tuple[CaseScores, ...]
    without_prediction: tuple[str, ...] = ()
    without_reference: tuple[str, ...] = ()
    tolerance_mm: float = 2.0

    @property
    def n_refused(self) -> int:
        """Number of pairs that could not be compared."""
        return sum(case.error is not None for case in self.cases)

    def per_class(self) -> dict[int, dict[str, Any]]:
        """Return means and standard deviations by class; each mean with the number of cases behind it.

        A score that is not defined in a case is not counted. The deviation is that of a sample, None for one case.
        """
        ids = sorted({c for case in self.cases for c in case.classes})
        return {c: _summary([case.classes[c] for case in self.cases if c in case.classes]) for c in ids}

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON: ``cases, per_class, instances, missing`` and overall means."""
        accuracy, iou = (mean(getattr(c, name) for c in self.cases) for name in ("pixel_accuracy", "mean_iou"))
        per_class = self.per_class()
        return {
            "kind": "semantic",
            "cases": [case.as_dict() for case in self.cases],
            "per_class": {str(c): summary for c, summary in per_class.items()},
            "overall": {
                "dice_mean": mean(summary["dice_mean"] for summary in per_class.values()).value,
                "n_classes": len(per_class),
                "mean_iou": iou.value,
                "mean_iou_n": iou.n,
                "pixel_accuracy_mean": accuracy.value,
                "pixel_accuracy_n": accuracy.n,
                "n_cases": len(self.cases),
                "n_refused": self.n_refused,
            },
            "instances": None,
            "missing": {"predictions": list(self.without_prediction), "references": list(self.without_reference)},
            "tolerance_mm": self.tolerance_mm,
            "notes": self.notes(),
        }

    def notes(self) -> list[str]:
        """Return what a reader of the numbers has to know."""
        notes = [
            ACCURACY_NOTE,
            HD95_CONVENTION,
            f"nsd: share of both surfaces within {self.tolerance_mm:g} mm of the other",
            "a class that neither map holds is not counted; one that only one map holds has Dice and IoU 0 and no"
            " distances, so distance means leave it out: read each mean with its n",
            "volume errors are signed, prediction minus reference: their mean shows a bias, their deviation the size",
        ]
        if self.n_refused:
            notes.append(f"{self.n_refused} of {len(self.cases)} cases were refused and are in no mean")
        if self.without_prediction:
            notes.append(f"{len(self.without_prediction)} references have no prediction and are in no mean")
        return notes

    def table(self) -> pd.DataFrame:
        """Return one row per case and class; a refused case has one row with its code and message."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for case in self.cases:
            head: dict[str, Any] = {"case": case.name, "state": case.state}
            if case.error is not None:
                rows.append(head | {"code": case.error.code, "note": str(case.error)})
            rows.extend(head | scores.as_dict() for scores in case.classes.values())
        columns = ["case", "state", "code", *(f.name for f in fields(ClassScores))]
        whole = dict.fromkeys(("class_id", "prediction_voxels", "reference_voxels"), "Int64")
        return pd.DataFrame(rows, columns=columns).astype(whole | dict.fromkeys(_SCORES, "Float64"))


def _summary(scores: list[ClassScores]) -> dict[str, Any]:
    summary: dict[str, Any] = {"name": scores[0].name, "n": len(scores)}
    for name in _SCORES:
        known = [float(v) for v in (getattr(s, name) for s in scores) if v is not None]
        summary[f"{name}_mean"] = mean(known).value
        summary[f"{name}_std"] = _deviation(known)
        summary[f"{name}_n"] = len(known)
    return summary


def _deviation(values: Iterable[float]) -> float | None:
    known = list(values)
    return float(np.std(known, ddof=1)) if len(known) > 1 else None
