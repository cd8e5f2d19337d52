"""``medseg evaluate``: how well predictions agree with a reference."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medseg.cli.objects import show_objects
from medseg.cli.outcome import DONE, NOTHING, SOME_FAILED
from medseg.cli.show import progress
from medseg.cli.table import decimals, table
from medseg.errors import UsageError, printable

if TYPE_CHECKING:
    from medseg.workflow.evaluate import Evaluation
    from medseg.workflow.evaluation_of_objects import ObjectEvaluation

WORST = 5
MOST_NAMES = 10


class Kind(StrEnum):
    """What a voxel's number means."""

    semantic = "semantic"
    instances = "instances"


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="Folder of results, or one label image.", show_default=False)
    ],
    references: Annotated[
        Path, typer.Argument(metavar="REFERENCES", help="Folder of references, or one label image.", show_default=False)
    ],
    kind: Annotated[Kind, typer.Option(help="What a voxel's number means.")] = Kind.semantic,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="REPORT.json", help="Where the whole report goes.")
    ] = None,
    components: Annotated[
        bool,
        typer.Option("--components", help="Masks, not numbered objects: each connected part is one (instances only)."),
    ] = False,
    size_edges: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Borders of size bands, such as 50,200, in µm², mm³ ... (instances only)."),
    ] = None,
) -> int:
    """Compare label images with references.

    Classes: Dice, IoU, HD95, NSD and volume error for every class and case. Objects (--kind instances): how many were
    found, merged and split, average precision, count error; for scans also lesion by lesion. NAME_labels,
    NAME_instances or NAME is paired with NAME.
    """
    from medseg.progress import finish

    if out is not None and out.suffix.lower() != ".json":
        raise UsageError(
            "E_USAGE",
            path=out,
            found="a report that is no .json file",
            expected="a name that ends in .json",
            not_done="nothing was compared",
            remedy="Choose a name such as report.json.",
        )
    edges = parse_edges(size_edges)
    if kind is Kind.semantic and (components or edges):
        raise _wrong("--components or --size-edges with --kind semantic", "--kind instances", "Add --kind instances.")
    with progress() as show:
        if kind is Kind.instances:
            from medseg.workflow.evaluate_objects import evaluate_objects_steps

            steps = evaluate_objects_steps(predictions, references, components=components, size_edges=edges)
            objects = finish(steps, show)
        else:
            from medseg.workflow.evaluate import evaluate_steps

            classes = finish(evaluate_steps(predictions, references), show)
    evaluation = objects if kind is Kind.instances else classes
    if out is not None:
        write_report(evaluation, out)
    if kind is Kind.instances:
        show_objects(objects)
    else:
        _show(classes)
    _show_missing(evaluation)
    return exit_code(evaluation)


def parse_edges(text: str | None) -> tuple[float, ...]:
    """Return the borders of size bands.

    Raises
    ------
    UsageError
        If they are no ascending numbers above 0.

    Examples
    --------
    >>> parse_edges("50,200"), parse_edges(None)
    ((50.0, 200.0), ())
    """
    if text is None:
        return ()
    try:
        edges = tuple(float(part) for part in text.split(","))
    except ValueError:
        edges = ()
    if not edges or not all(0 < low < high for low, high in zip(edges, (*edges[1:], float("inf")), strict=True)):
        remedy = "Correct --size-edges."
        raise _wrong(f"--size-edges {text!r}", "ascending numbers above 0, such as 50,200", remedy)
    return edges


def exit_code(evaluation: Evaluation | ObjectEvaluation) -> int:
    """Return 0, 3 where some pairs were refused, 4 where nothing could be compared."""
    if evaluation.n_refused == len(evaluation.cases):
        return NOTHING
    return SOME_FAILED if evaluation.n_refused else DONE


def write_report(evaluation: Evaluation | ObjectEvaluation, out: Path) -> None:
    """Write the report as JSON, whole or not at all."""
    from medseg.workflow.staging import write_bytes

    text = json.dumps(evaluation.as_dict(), indent=2, allow_nan=False, ensure_ascii=True) + "\n"
    write_bytes(out, text.encode())


def _show(evaluation: Evaluation) -> None:
    per_class = evaluation.per_class()
    if per_class:
        names = ("class", "n", "Dice", "± sd", "IoU", "HD95 mm", "NSD", "volume error ml")
        table(names, (_class_row(summary) for summary in per_class.values()))
        _show_worst(evaluation)


def _show_missing(evaluation: Evaluation | ObjectEvaluation) -> None:
    refused = [case for case in evaluation.cases if case.error is not None]
    for case in refused[:MOST_NAMES]:
        typer.echo(f"refused: {printable(case.name)}: {printable(str(case.error))}", err=True)
    if len(refused) > MOST_NAMES:
        typer.echo(f"refused: {len(refused) - MOST_NAMES} more, all of them in the report (-o)", err=True)
    _show_names("references without a prediction", evaluation.without_prediction)
    _show_names("predictions without a reference", evaluation.without_reference)


def _wrong(found: str, expected: str, remedy: str) -> UsageError:
    return UsageError("E_USAGE", found=found, expected=expected, not_done="nothing was compared", remedy=remedy)


def _class_row(summary: dict[str, Any]) -> tuple[Any, ...]:
    scores = (("dice_mean", 4), ("dice_std", 4), ("iou_mean", 4), ("hd95_mm_mean", 2), ("nsd_mean", 4))
    error = summary["volume_error_ml_mean"]
    cells = (decimals(summary[name], digits) for name, digits in scores)
    return summary["name"], summary["n"], *cells, None if error is None else f"{error:+.3f}"


def _show_worst(evaluation: Evaluation) -> None:
    scored = [
        (scores.dice, case.name, scores)
        for case in evaluation.cases
        for scores in case.classes.values()
        if scores.dice is not None
    ]
    worst = sorted(scored, key=lambda row: (row[0], row[1]))[:WORST]
    if len(evaluation.cases) > 1:
        typer.echo("")
        rows = ((name, s.name, decimals(dice, 4), decimals(s.hd95_mm, 2), s.note) for dice, name, s in worst)
        table(("worst case", "class", "Dice", "HD95 mm", "note"), rows)


def _show_names(what: str, names: tuple[str, ...]) -> None:
    if names:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        shown = ", ".join(printable(name) for name in names[:MOST_NAMES])
        typer.echo(f"\n{len(names)} {what}: {shown}{more}")
