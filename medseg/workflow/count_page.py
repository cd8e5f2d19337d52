"""What a run counted, gathered from its output folder into one page: ``report.html``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.measure.counts import SIZE_COLUMNS
from medseg.report.page import Page, Shown
from medseg.workflow.pages import PAGE_NAME, STATE_WORDS, far_from_the_others, link_to, picture_of, thumbnail
from medseg.workflow.staging import write_bytes
from medseg.workflow.summary import CaseRow, RunSummary

MOST_PICTURES = 60
_MANY_FLAGS = 0.2
_COUNT_WORDS = ("the count is far below that of the others", "the count is far above that of the others")
_SIZE_WORDS = ("objects are far smaller than in the others", "objects are far larger than in the others")


def write_count_page(summary: RunSummary, out: Path) -> None:
    """Write ``report.html``: the images that most need eyes first, a histogram of sizes, a table of counts.

    Parameters
    ----------
    summary : RunSummary
    out : Path
        The output folder, whose tables and pictures are read again.

    Raises
    ------
    MedsegError
        If the disk is full or the folder may not be written.
    """
    rows = [row for row in summary.rows if row.state != "skipped"]
    found = reasons_by_case(rows)
    order = sorted(rows, key=lambda row: (-_urgency(row, found[row.case]), row.case))
    images = tuple(_shown(row, found[row.case], out, with_picture=k < MOST_PICTURES) for k, row in enumerate(order))
    page = Page(
        title="Counted objects",
        model=f"{summary.model['name']} {summary.model['version']}",
        images=images,
        sizes=_sizes(rows, out),
        warnings=tuple(notice.text for notice in summary.warnings),
    )
    write_bytes(out / PAGE_NAME, page.as_html().encode("utf-8"))


def reasons_by_case(rows: Sequence[CaseRow]) -> dict[str, tuple[str, ...]]:
    """Return, for each case, why a person should look at it; nothing where it is like the others.

    Parameters
    ----------
    rows : sequence of CaseRow
    """
    found: dict[str, list[str]] = {row.case: [] for row in rows}
    for row in rows:
        if not row.is_done:
            found[row.case].append(STATE_WORDS.get(row.state, row.state))
            continue
        if row.objects.get("count") == 0:
            found[row.case].append("nothing was found")
        flagged = row.objects.get("flagged_share")
        if flagged is not None and flagged > _MANY_FLAGS:
            found[row.case].append(f"{100 * flagged:.0f} % of the objects have a flag")
        if row.state == "ok_with_warnings":
            found[row.case].append(", ".join(row.codes))
    names = [f"mean_{name}" for name in SIZE_COLUMNS]
    for name in ("count", *names):
        for case, words in _far_from_the_others(rows, name).items():
            found[case].append(words)
    return {case: tuple(words) for case, words in found.items()}


def _far_from_the_others(rows: Sequence[CaseRow], name: str) -> dict[str, str]:
    words = _COUNT_WORDS if name == "count" else _SIZE_WORDS
    known = [(row.case, float(row.objects[name])) for row in rows if row.objects.get(name)]
    return {case: words[above] for case, above in far_from_the_others(known).items()}


def _urgency(row: CaseRow, reasons: tuple[str, ...]) -> float:
    if not row.is_done:
        return 100.0
    nothing = row.objects.get("count") == 0
    return 10.0 * nothing + 2.0 * len(reasons) + float(row.objects.get("flagged_share") or 0.0)


def _shown(row: CaseRow, reasons: tuple[str, ...], out: Path, *, with_picture: bool) -> Shown:
    name = picture_of(row)
    return Shown(
        name=row.case,
        state=STATE_WORDS.get(row.state, row.state),
        figures=row.objects,
        reasons=reasons,
        thumbnail=thumbnail(out / name) if name and with_picture else None,
        link=link_to(name),
        message="" if row.is_done else row.message,
    )


def _sizes(rows: Sequence[CaseRow], out: Path) -> dict[str, Sequence[float]]:
    """Return the sizes of all objects by column; images in pixels and in micrometres are not mixed."""
    found: dict[str, list[float]] = {}
    for name in (name for row in rows if row.is_done for name in row.outputs if name.endswith("_objects.csv")):
        column, values = _column(out / name)
        if column is not None:
            found.setdefault(column, []).extend(values)
    return dict(found)


def _column(path: Path) -> tuple[str | None, list[float]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table: csv.DictReader[Any] = csv.DictReader(file)
            column = next((name for name in SIZE_COLUMNS if name in (table.fieldnames or ())), None)
            return column, [] if column is None else [float(row[column]) for row in table if row[column]]
    except (OSError, ValueError):
        return None, []
