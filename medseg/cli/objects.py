"""What a comparison of separate objects found, as a person wants to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from medseg.cli.table import decimals, table

if TYPE_CHECKING:
    from medseg.metrics.instances import InstanceScores
    from medseg.metrics.lesions import LesionScores
    from medseg.workflow.evaluation_of_objects import ObjectEvaluation

SHOWN = (50, 60, 70, 75, 80, 90)
"""Thresholds worth a line, in percent of intersection over union; the report holds all of them."""
WORST = 5


def show_objects(evaluation: ObjectEvaluation) -> None:
    """Write the pooled and mean figures, the worst images and, for stacks, the lesions to stdout."""
    together = evaluation.pooled
    if together is None:
        return
    mean, values = evaluation.image_mean(), together.values()
    names = [(f"{t / 100:.2f}", f"_{t}") for t in SHOWN if f"ap_{t}" in values]
    rows = [
        (shown, *(decimals(values[f"{name}{tail}"], 4) for name in ("ap", "f1", "precision", "recall")),
         *(decimals(mean[f"{name}{tail}"], 4) for name in ("ap", "f1")))
        for shown, tail in names
    ]  # fmt: skip
    whole = ("mean .50:.95", decimals(together.mean_ap, 4), None, None, None, decimals(mean["mean_ap"], 4), None)
    table(("IoU", "AP pooled", "F1", "precision", "recall", "AP image mean", "F1 image mean"), [*rows, whole])
    typer.echo("")
    pairs = [
        ("panoptic quality (SQ x RQ)", *(decimals(v["pq"], 4) for v in (values, mean))),
        ("aggregated Jaccard index", *(decimals(v["aji"], 4) for v in (values, mean))),
        ("count error %", *(_percent(v["relative_count_error"]) for v in (values, mean))),
    ]
    table(("", "pooled", "image mean"), pairs)
    typer.echo(
        f"\n{together.n_prediction} objects predicted, {together.n_reference} in the references"
        f" ({together.count_error:+d}); {together.merges} merged, {together.splits} split."
    )
    _show_bands(together)
    if evaluation.lesions is not None:
        _show_lesions(evaluation.lesions)
    if len(evaluation.cases) > 1:
        _show_worst(evaluation)


def _show_bands(scores: InstanceScores) -> None:
    if not scores.bands:
        return
    typer.echo("")
    rows = [(_band(b.low, b.high), str(b.n_reference), decimals(b.recall, 4)) for b in scores.bands]
    table(("size", "references", "found at IoU .5"), rows)


def _show_lesions(lesions: LesionScores) -> None:
    typer.echo("\nLesion by lesion (any overlap detects):")
    bands = [(_band(b.low, b.high), b) for b in lesions.bands]
    rows = [
        (name, str(b.n_reference), str(b.n_detected), decimals(b.sensitivity, 4), str(b.n_prediction), str(b.n_false),
         decimals(b.n_false / lesions.n_scans, 2))
        for name, b in [*bands, ("all", lesions.total)]
    ]  # fmt: skip
    columns = ("volume mm3", "lesions", "detected", "sensitivity", "predicted", "false", "false per scan")
    table(columns, rows)


def _show_worst(evaluation: ObjectEvaluation) -> None:
    typer.echo("")
    rows = []
    for case in evaluation.worst(WORST, lambda scores: scores.at[0].ap):
        scores = case.scores
        if scores is not None:
            counts = (str(scores.n_prediction), str(scores.n_reference), str(scores.merges), str(scores.splits))
            rows.append((case.name, decimals(scores.at[0].ap, 4), decimals(scores.mean_ap, 4), *counts))
    table(("worst image", "AP .5", "mean AP", "predicted", "reference", "merged", "split"), rows)


def _band(low: float, high: float) -> str:
    return f"{low:g} and more" if high == float("inf") else f"{low:g} to {high:g}"


def _percent(share: float | None) -> str | None:
    return decimals(None if share is None else 100.0 * share, 2)
