"""What a run counted, gathered from its output folder into one page: ``report.html``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np

from medseg.measure.counts import SIZE_COLUMNS
from medseg.report.page import Page, Shown
from medseg.workflow.staging import write_bytes
from medseg.workflow.summary import CaseRow, RunSummary

PAGE_NAME = "report.html"
MOST_PICTURES = 60
_WIDTH = 1000
_QUALITY = 78
_ENOUGH = 5
_FAR = 3.5
_MANY_FLAGS = 0.2
_COUNT_WORDS = ("the count is far below that of the others", "the count is far above that of the others")
_SIZE_WORDS = ("objects are far smaller than in the others", "objects are far larger than in the others")
_WORDS = {"ok_with_warnings": "ok with warnings", "not_started": "not started"}


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
            found[row.case].append(_WORDS.get(row.state, row.state))
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
    """Name the cases whose figure lies far from the median, in deviations that outliers do not widen."""
    known = [(row.case, float(row.objects[name])) for row in rows if row.objects.get(name)]
    if len(known) < _ENOUGH:
        return {}
    values = np.log([value for _, value in known])
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    far = (values - np.median(values)) / max(spread, 0.1)
    return {
        case: _COUNT_WORDS[bool(away > 0)] if name == "count" else _SIZE_WORDS[bool(away > 0)]
        for (case, _), away in zip(known, far, strict=True)
        if abs(away) > _FAR
    }


def _urgency(row: CaseRow, reasons: tuple[str, ...]) -> float:
    if not row.is_done:
        return 100.0
    nothing = row.objects.get("count") == 0
    return 10.0 * nothing + 2.0 * len(reasons) + float(row.objects.get("flagged_share") or 0.0)


def _shown(row: CaseRow, reasons: tuple[str, ...], out: Path, *, with_picture: bool) -> Shown:
    name = next((name for name in row.outputs if name.endswith("_overlay.png")), "")
    link = quote_from_bytes(name.encode("utf-8", "surrogateescape")) if name else ""
    return Shown(
        name=row.case,
        state=_WORDS.get(row.state, row.state),
        figures=row.objects,
        reasons=reasons,
        thumbnail=_thumbnail(out / name) if name and with_picture else None,
        link=link,
        message="" if row.is_done else row.message,
    )


def _thumbnail(path: Path) -> bytes | None:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.thumbnail((_WIDTH, _WIDTH))
            held = io.BytesIO()
            picture.convert("RGB").save(held, format="JPEG", quality=_QUALITY)
    except OSError:
        return None
    return held.getvalue()


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
