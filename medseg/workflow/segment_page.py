"""What a run segmented, gathered from its output folder into one page: ``report.html``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medseg.report.structures_page import Amount, Scan, StructuresPage
from medseg.workflow.pages import (
    PAGE_NAME,
    STATE_WORDS,
    far_from_the_others,
    link_to,
    picture_of,
    thumbnail,
)
from medseg.workflow.staging import write_bytes
from medseg.workflow.summary import CaseRow, RunSummary

MOST_LARGE = 20
MOST_SMALL = 400
_SMALL = 260
_FEW = 3
_SIZES = (("volume_ml", "ml"), ("area_mm2", "mm²"), ("area_um2", "µm²"), ("volume_um3", "µm³"), ("voxels", "voxels"))
LOW = "W_LOW_CONFIDENCE"
_URGENT = ("W_OUT_OF_DISTRIBUTION", "W_SMALLER_THAN_PATCH", "W_PARTIAL", "W_CONSTANT_IMAGE")


def write_segment_page(summary: RunSummary, out: Path) -> None:
    """Write ``report.html``: a row per case, those that most need eyes first, and the sizes of every structure.

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
    amounts = {row.case: _amounts(row, out) for row in rows}
    reasons = reasons_by_case(rows, amounts)
    order = sorted(rows, key=lambda row: _place(row, reasons[row.case], amounts[row.case]))
    scans = []
    for k, row in enumerate(order):
        scan = _scan(row, reasons[row.case], amounts[row.case])
        shown_above = k < MOST_LARGE and (bool(scan.reasons) or len(rows) <= _FEW)
        scans.append(_with_pictures(scan, picture_of(row), out, small=k < MOST_SMALL, large=shown_above))
    page = StructuresPage(
        title="Segmented scans",
        model=f"{summary.model['name']} {summary.model['version']}",
        scans=tuple(scans),
        warnings=tuple(notice.text for notice in summary.warnings),
    )
    write_bytes(out / PAGE_NAME, page.as_html().encode("utf-8"))


def reasons_by_case(rows: Sequence[CaseRow], amounts: dict[str, dict[str, Amount]]) -> dict[str, tuple[str, ...]]:
    """Return, for each case, why a person should look at it; nothing where it is like the others.

    Parameters
    ----------
    rows : sequence of CaseRow
    amounts : dict of str to dict of str to Amount
        What was found in each case, by the name of the structure.
    """
    found: dict[str, list[str]] = {row.case: [] for row in rows}
    for row in rows:
        own = amounts[row.case]
        if not row.is_done:
            found[row.case].append(STATE_WORDS.get(row.state, row.state))
        elif own and not any(amount.value for amount in own.values()):
            found[row.case].append("nothing was found")
        elif row.state == "ok_with_warnings":
            found[row.case].append(row.message or ", ".join(row.codes))
    for name in dict.fromkeys(name for own in amounts.values() for name in own):
        known = [(case, own[name]) for case, own in amounts.items() if name in own]
        some = [(case, amount.value) for case, amount in known if amount.value]
        for case, above in far_from_the_others(some).items():
            found[case].append(f"{name} is far {'larger' if above else 'smaller'} than in the others")
        if len(some) > len(known) / 2:
            for case, amount in known:
                if not amount.value and any(other.value for other in amounts[case].values()):
                    found[case].append(f"{name} was not found, unlike in the others")
    return {case: tuple(words) for case, words in found.items()}


def _place(row: CaseRow, reasons: tuple[str, ...], amounts: dict[str, Amount]) -> tuple[float | str, ...]:
    """Return what sorts the cases: urgent warnings, then what is probably bad, the worst first, then the rest."""
    nothing = bool(amounts) and not any(amount.value for amount in amounts.values())
    urgent = 100.0 if not row.is_done else 20.0 * nothing + 5.0 * sum(code in _URGENT for code in row.codes)
    expected = 1.0 if row.expected_dice is None else row.expected_dice
    probably_bad = expected if LOW in row.codes else 1.0
    return -urgent, probably_bad, -len(reasons), expected, row.case


def _scan(row: CaseRow, reasons: tuple[str, ...], amounts: dict[str, Amount]) -> Scan:
    return Scan(
        name=row.case,
        state=STATE_WORDS.get(row.state, row.state),
        is_done=row.is_done,
        amounts=amounts,
        reasons=reasons,
        link=link_to(picture_of(row)),
        message="" if row.is_done else row.message,
        expected=row.expected_dice,
    )


def _with_pictures(scan: Scan, name: str, out: Path, *, small: bool, large: bool) -> Scan:
    if not name:
        return scan
    return replace(
        scan,
        picture=thumbnail(out / name, _SMALL) if small else None,
        large=thumbnail(out / name) if large else None,
    )


def _amounts(row: CaseRow, out: Path) -> dict[str, Amount]:
    name = next((name for name in row.outputs if name.endswith("_structures.csv")), "")
    if not (row.is_done and name):
        return {}
    try:
        with (out / name).open(newline="", encoding="utf-8") as file:
            table: csv.DictReader[Any] = csv.DictReader(file)
            column, unit = next((pair for pair in _SIZES if pair[0] in (table.fieldnames or ())), ("", ""))
            return {line["name"]: Amount(float(line[column] or 0.0), unit) for line in table} if column else {}
    except (OSError, ValueError, KeyError):
        return {}
