"""What a run over scans has produced, as a person wants to see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from medseg.cli.show import duration
from medseg.cli.table import decimals, table
from medseg.errors import MedsegError, printable

if TYPE_CHECKING:
    from medseg.workflow.summary import CaseRow, RunSummary

MOST_ROWS = 60
"""Longer tables are left to the files; then only the cases that need eyes are shown."""
MOST_MESSAGES = 20
REPORT_NAME = "report.html"

_WORDS = {"ok_with_warnings": "ok with warnings", "not_started": "not started"}
_SIZES = (("volume_ml", "ml"), ("area_mm2", "mm²"), ("area_um2", "µm²"), ("area_px", "px"), ("voxels", "voxels"))


def show_results(summary: RunSummary, out: Path) -> None:
    """Write the table of a run to stdout, and its refusals to stderr."""
    cases = [row for row in summary.rows if row.state != "skipped"]
    shown = cases if len(cases) <= MOST_ROWS else [row for row in cases if row.state != "ok"][:MOST_ROWS]
    counted = any(row.objects for row in cases)
    rows = [] if counted else [line for row in shown for line in _lines(row, out)]
    if counted:
        _show_counts(shown, sum(row.objects.get("count", 0) for row in cases))
    if rows:
        unit = next((line[2] for line in rows if line[2]), "ml")
        cells = [(case, name, size, state, codes) for case, name, _, size, state, codes in rows]
        table(("case", "structure", unit, "state", "warnings"), cells)
    for row in [row for row in cases if row.state in ("refused", "failed")][:MOST_MESSAGES]:
        typer.echo(f"{printable(row.case)}: {row.state}: {printable(row.message)}", err=True)
    _closing(summary, cases, out)


def _show_counts(rows: list[CaseRow], total: int) -> None:
    """Write a line per image: how many objects, how dense, how large, how many with a flag."""
    from medseg.measure.counts import SIZE_COLUMNS

    known = {name for row in rows for name, value in row.objects.items() if value is not None}
    sizes = [f"mean_{name}" for name in SIZE_COLUMNS if f"mean_{name}" in known]
    densities = [name for name in ("density_per_mm2", "density_per_mm3") if name in known]
    shares = [name for name in ("flagged_share", "positive_share") if name in known]
    names = ["count", *densities, *sizes, *shares]
    heads = {"flagged_share": "flagged %", "positive_share": "positive %"}
    table(
        ("case", *(heads.get(name, name.replace("_", " ")) for name in names), "state", "warnings"),
        (
            (
                row.case,
                *(_count_cell(row, name) for name in names),
                _WORDS.get(row.state, row.state),
                " ".join(row.codes),
            )
            for row in rows
        ),
    )
    typer.echo(f"\n{total} objects in all.")


def _count_cell(row: CaseRow, name: str) -> str | None:
    value = row.objects.get(name)
    if value is None or name == "count":
        return None if value is None else str(value)
    return decimals(100.0 * value, 1) if name.endswith("_share") else f"{value:.4g}"


def _lines(row: CaseRow, out: Path) -> Iterator[tuple[Any, ...]]:
    """Yield (case, structure, unit, size, state, codes) for each structure of a case."""
    state, codes = _WORDS.get(row.state, row.state), " ".join(row.codes)
    structures = _structures(row, out) if row.is_done else ()
    if not structures:
        yield row.case, "none found" if row.is_done else "", "", None, state, codes
    for number, facts in enumerate(structures):
        unit, size = _size(facts)
        first = number == 0
        yield (row.case if first else ""), facts.get("name"), unit, size, (state if first else ""), codes * first


def _structures(row: CaseRow, out: Path) -> tuple[dict[str, Any], ...]:
    from medseg.workflow.record import load_record, record_path

    try:
        return load_record(record_path(out, row.case)).structures
    except MedsegError:
        return ()


def _size(facts: dict[str, Any]) -> tuple[str, str | None]:
    for column, unit in _SIZES:
        if facts.get(column) is not None:
            return unit, decimals(float(facts[column]), 0 if column in ("voxels", "area_px") else 3)
    return "", None


def _closing(summary: RunSummary, cases: list[CaseRow], out: Path) -> None:
    counts = summary.counts
    words = ", ".join(f"{number} {_WORDS.get(state, state)}" for state, number in counts.items() if number)
    typer.echo(f"\n{len(cases)} case{'s' * (len(cases) != 1)}: {words}, in {duration(summary.seconds)}.")
    pictures = [name for row in cases for name in row.outputs if name.endswith("_overlay.png")]
    if pictures:
        where = out / pictures[0] if len(pictures) == 1 else out / "*_overlay.png"
        typer.echo(f"Look at the pictures first: {printable(str(where))}")
    typer.echo(f"Everything lies in {printable(str(out))}: labels, tables, records, summary.csv")
    if (out / REPORT_NAME).is_file():
        typer.echo(f"Open this in a browser: {printable(str(out / REPORT_NAME))}")
    if summary.computed_by:
        typer.echo(f"Computed by {summary.computed_by}.")
    for notice in summary.warnings:
        typer.echo(f"Warning: {notice.text} [{notice.code}]", err=True)
    if summary.stopped is not None:
        typer.echo("The run stopped early; run it again with --resume to do the rest.", err=True)
    typer.echo("Research use only: not for diagnosis or treatment.")
