"""The result of comparing separate objects with references: cases, pooled and mean figures, lesions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from medseg.errors import MedsegError
from medseg.metrics.instances import InstanceScores, image_mean, pooled
from medseg.metrics.lesions import LesionScores, pooled_lesions

NOTES = (
    "ap is TP / (TP + FP + FN) at one least intersection over union; there is no ranking by confidence",
    "pooled adds up the objects of all images, image_mean takes the mean of the images' own figures: the two differ,"
    " and publications use either",
    "an image without any object in prediction and reference has no ap and is in no image_mean",
    "a merge is a prediction with more than half of each of several references inside, a split a reference with more"
    " than half of each of several predictions inside",
    "absolute_count_error adds up the differences of all images, so that too many in one cannot hide too few elsewhere",
)
LESION_NOTE = (
    "lesions: a reference lesion is detected when the prediction covers any of its voxels; a predicted lesion is false"
    " when it touches no reference lesion; bands are volumes in the grid's unit"
)


@dataclass(frozen=True, slots=True)
class ObjectCase:
    """One pair of object images: its scores, or the reason why there are none."""

    name: str
    prediction: str = ""
    reference: str = ""
    scores: InstanceScores | None = None
    lesions: LesionScores | None = None
    error: MedsegError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the case as plain values, for JSON."""
        return {
            "case": self.name,
            "state": "ok" if self.error is None else "refused",
            "prediction": self.prediction,
            "reference": self.reference,
            "instances": None if self.scores is None else _plain(self.scores.as_dict()),
            "lesions": None if self.lesions is None else _plain(self.lesions.as_dict()),
            "error": None if self.error is None else self.error.as_dict() | {"message": str(self.error)},
        }


@dataclass(frozen=True, slots=True)
class ObjectEvaluation:
    """Scores of all cases.

    Parameters
    ----------
    cases : tuple of ObjectCase
        By name; refused ones included.
    without_prediction, without_reference : tuple of str
        Names that stand on one side only.
    """

    cases: tuple[ObjectCase, ...]
    without_prediction: tuple[str, ...] = ()
    without_reference: tuple[str, ...] = ()

    @property
    def n_refused(self) -> int:
        """Number of pairs that could not be compared."""
        return sum(case.error is not None for case in self.cases)

    @property
    def pooled(self) -> InstanceScores | None:
        """All images' objects together; None where nothing could be compared."""
        scores = [case.scores for case in self.cases if case.scores is not None]
        return pooled(scores) if scores else None

    @property
    def lesions(self) -> LesionScores | None:
        """All stacks' objects together, in the manner of lesion challenges; None without a stack."""
        scores = [case.lesions for case in self.cases if case.lesions is not None]
        if len({len(one.bands) for one in scores}) > 1:  # stacks in mm and in pixels share no bands
            scores = [replace(one, bands=()) for one in scores]
        return pooled_lesions(scores) if scores else None

    def image_mean(self) -> dict[str, float | None]:
        """Return the mean of the images' own figures."""
        means = image_mean([case.scores for case in self.cases if case.scores is not None])
        return {name: found.value for name, found in means.items()}

    def worst(self, n: int, key: Callable[[InstanceScores], float | None]) -> list[ObjectCase]:
        """Return the `n` cases with the lowest figure."""
        known = [
            (value, case.name, case)
            for case in self.cases
            if case.scores is not None and (value := key(case.scores)) is not None
        ]
        return [case for _, _, case in sorted(known, key=lambda row: row[:2])[:n]]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON: ``cases, per_class, instances, missing`` and ``lesions``."""
        together, lesions = self.pooled, self.lesions
        n_images = sum(case.scores is not None for case in self.cases)
        return {
            "kind": "instances",
            "cases": [case.as_dict() for case in self.cases],
            "per_class": {},
            "instances": None
            if together is None
            else {"n_images": n_images, "pooled": _plain(together.as_dict()), "image_mean": self.image_mean()},
            "lesions": None if lesions is None else _plain(lesions.as_dict()),
            "overall": {"n_cases": len(self.cases), "n_refused": self.n_refused},
            "missing": {"predictions": list(self.without_prediction), "references": list(self.without_reference)},
            "notes": [*NOTES, *([] if lesions is None else [LESION_NOTE])],
        }


def _plain(scores: dict[str, Any]) -> dict[str, Any]:
    """Return scores as JSON can hold them: the open end of the last size band is null."""
    return {
        name: [{k: None if v == float("inf") else v for k, v in band.items()} for band in value]
        if isinstance(value, list)
        else value
        for name, value in scores.items()
    }
