"""Predictions against references: scores of every case and class, a summary, and what was missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from medseg.errors import MedsegError, UsageError
from medseg.io.read import read_labels
from medseg.metrics.overlap import mean_iou, overlap, pixel_accuracy
from medseg.metrics.surface import all_surface_distances
from medseg.progress import Pace, Progress, Steps, finish
from medseg.workflow.evaluation import CaseScores, ClassScores, Evaluation
from medseg.workflow.pairs import Pair, Pairs, class_names_beside, find_label_pairs

__all__ = ["Evaluation", "evaluate", "evaluate_steps"]


def evaluate(
    predictions: Path,
    references: Path,
    *,
    kind: str = "semantic",
    classes: dict[int, str] | None = None,
    tolerance_mm: float = 2.0,
) -> Evaluation:
    """Compare label maps with references, class by class.

    Parameters
    ----------
    predictions, references : path
        Two folders (with their sub-folders) or two files. ``NAME_labels.<ext>`` or ``NAME.<ext>`` on one side belongs
        to either on the other.
    kind : {"semantic"}
        A voxel's number is a class.
    classes : dict of int to str, optional
        Names; by default those in the record ``NAME.medseg.json`` beside the prediction, where there is one.
    tolerance_mm : float
        Distance that still counts as agreement for the normalised surface Dice.

    Returns
    -------
    Evaluation
        A case whose files cannot be read or lie on different grids is listed as refused; the others go on.

    Raises
    ------
    UsageError
        If a path does not exist, no pair is found, or `tolerance_mm` is negative (E_USAGE).
    """
    return finish(evaluate_steps(predictions, references, kind=kind, classes=classes, tolerance_mm=tolerance_mm))


def evaluate_steps(
    predictions: Path,
    references: Path,
    *,
    kind: str = "semantic",
    classes: dict[int, str] | None = None,
    tolerance_mm: float = 2.0,
) -> Steps[Evaluation]:
    """Do the work of `evaluate`, yielding after each case."""
    _check(kind, tolerance_mm)
    pairs = find_label_pairs(Path(predictions), Path(references))
    pace = Pace("comparing", len(pairs.matched))
    yield Progress("comparing", 0, len(pairs.matched))
    cases = list(_ambiguous(pairs))
    for done, pair in enumerate(pairs.matched, start=1):
        cases.append(_compared(pair, classes, tolerance_mm))
        yield pace.at(done)
    cases.sort(key=lambda case: case.name)
    return Evaluation(tuple(cases), pairs.without_prediction, pairs.without_reference, tolerance_mm)


def _check(kind: str, tolerance_mm: float) -> None:
    if kind != "semantic":
        raise UsageError(
            "E_USAGE",
            found=f"kind {kind!r}",
            expected="'semantic' here; separate objects are compared by `evaluate_objects_steps`",
            not_done="nothing was compared",
            remedy="Compare label maps whose numbers are classes.",
        )
    if not tolerance_mm >= 0:
        raise UsageError(
            "E_USAGE",
            found=f"a tolerance of {tolerance_mm} mm",
            expected="0 mm or more",
            not_done="nothing was compared",
            remedy="Give the distance that still counts as agreement, such as 2.",
        )


def _ambiguous(pairs: Pairs) -> list[CaseScores]:
    return [CaseScores(name, error=error) for name, error in pairs.ambiguous]


def _compared(pair: Pair, classes: dict[int, str] | None, tolerance_mm: float) -> CaseScores:
    bare = CaseScores(pair.name, str(pair.prediction), str(pair.reference))
    try:
        names = classes if classes is not None else class_names_beside(pair.prediction, pair.name)
        # names only: the reader's own `classes` would refuse every label that has none
        prediction = replace(read_labels(pair.prediction), classes=names)
        reference = replace(read_labels(pair.reference), classes=names)
        shared = overlap(prediction, reference)
        surfaces = all_surface_distances(prediction, reference, tuple(shared))
    except MedsegError as error:
        return replace(bare, error=error)
    scores = {c: ClassScores.of(shared[c], surfaces[c], tolerance_mm) for c in shared}
    accuracy = pixel_accuracy(prediction, reference)
    return replace(bare, classes=scores, pixel_accuracy=accuracy, mean_iou=mean_iou(shared).value)
