"""What became of each case, for people (summary.csv), programs (summary.json, report.jsonl) and the exit code."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from medseg.errors import Notice, printable
from medseg.workflow.record import LABEL
from medseg.workflow.staging import write_bytes

State = Literal["ok", "ok_with_warnings", "refused", "failed", "skipped", "not_started"]
Stop = Literal["interrupted", "resource"]

STATES: tuple[State, ...] = ("ok", "ok_with_warnings", "refused", "failed", "skipped", "not_started")
SUMMARY_FILES = ("summary.csv", "summary.json", "report.jsonl")

_RUN_WARNINGS = {
    "W_SPACING_UNTRUSTED": "{found} of {n} images do not say how large a pixel is: sizes are in pixels and there is no"
    " density per mm. Give it with --pixel-size.",
    "W_BACKEND_FALLBACK": "OpenVINO failed or did not answer as PyTorch does: PyTorch computed in {found} of {n} cases."
    " The records say why; --backend torch asks for PyTorch from the start.",
}
_DONE = ("ok", "ok_with_warnings")
_RESOURCE_CODES = frozenset({"E_DISK_FULL", "E_OOM_CPU", "E_OOM_GPU", "E_WORKER_LOST"})


@dataclass(frozen=True, slots=True)
class CaseRow:
    """What became of one case.

    Parameters
    ----------
    case : str
        Name of its results.
    input : str
        First file, relative to the input root.
    state : str
        One of `STATES`.
    codes : tuple of str
        Error and warning codes, each once.
    message : str
        One line in words.
    outputs : tuple of str
        Files of the result, relative to the output folder.
    seconds : float
    objects : dict
        Count, density, mean size and the like, where objects were separated.
    told_once : tuple of str
        Warning codes of this case that are told once for the whole run.
    expected_dice : float or None
        The least one of its structures, where the model tells it.
    """

    case: str
    input: str
    state: State
    codes: tuple[str, ...] = ()
    message: str = ""
    outputs: tuple[str, ...] = ()
    seconds: float = 0.0
    objects: dict[str, Any] = field(default_factory=dict)
    told_once: tuple[str, ...] = ()
    expected_dice: float | None = None

    @property
    def is_done(self) -> bool:
        """Tell whether the case has a complete result."""
        return self.state in _DONE


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What became of a run.

    Parameters
    ----------
    out : str
    run_id : str
    rows : tuple of CaseRow
        One per case in order, then what was skipped.
    exit_code : int
        As the command line returns it.
    stopped : {"interrupted", "resource"} or None
        Why the run ended before its last case.
    model : dict
        Name, version and sha256.
    seconds : float
    computed_by : str
        Library, version and device.
    """

    out: str
    run_id: str
    rows: tuple[CaseRow, ...]
    exit_code: int
    stopped: Stop | None
    model: dict[str, str]
    seconds: float
    computed_by: str = ""

    @property
    def counts(self) -> dict[State, int]:
        """Number of cases in each state."""
        found = Counter(row.state for row in self.rows)
        return {state: found[state] for state in STATES}

    @property
    def warnings(self) -> tuple[Notice, ...]:
        """What concerns the whole run and is told once."""
        found = Counter(code for row in self.rows if row.is_done for code in row.told_once)
        n = sum(row.is_done for row in self.rows)
        return tuple(Notice(code, _RUN_WARNINGS[code].format(found=found[code], n=n)) for code in sorted(found))

    def as_dict(self) -> dict[str, Any]:
        """Return the totals as plain JSON data (the cases themselves are in the report)."""
        return {
            "schema": "medseg-summary/1",
            "label": LABEL,
            "run_id": self.run_id,
            "model": self.model,
            "computed_by": self.computed_by,
            "cases": sum(self.counts.values()) - self.counts["skipped"],
            "counts": self.counts,
            "stopped": self.stopped,
            "warnings": [{"code": notice.code, "text": notice.text} for notice in self.warnings],
            "exit_code": self.exit_code,
            "seconds": self.seconds,
        }


def exit_code(rows: Sequence[CaseRow], *, stopped: Stop | None = None, strict: bool = False) -> int:
    """Return the exit code of a run.

    Parameters
    ----------
    rows : sequence of CaseRow
    stopped : {"interrupted", "resource"}, optional
    strict : bool
        Count warnings as a partial failure.

    Examples
    --------
    >>> exit_code([CaseRow("a", "a.nii", "ok"), CaseRow("b", "b.nii", "refused", ("E_INPUT_EMPTY",))])
    3
    """
    if stopped is not None:
        return 130 if stopped == "interrupted" else 6
    if any("E_INTERNAL" in row.codes for row in rows):
        return 1
    lost = [row for row in rows if row.state in ("refused", "failed", "not_started")]
    if not any(row.is_done for row in rows):
        for_want_of_resources = bool(lost) and all(_RESOURCE_CODES.intersection(row.codes) for row in lost)
        return 6 if for_want_of_resources else 4
    warned = strict and any(row.state == "ok_with_warnings" or (row.is_done and row.told_once) for row in rows)
    return 3 if lost or warned else 0


def write_summary(summary: RunSummary, out: Path) -> None:
    """Write summary.csv, summary.json and report.jsonl, each atomically.

    Raises
    ------
    ResourceError
        If the disk is full.
    """
    lines = "".join(json.dumps(line_of(row), ensure_ascii=True) + "\n" for row in summary.rows)
    totals = json.dumps(summary.as_dict(), indent=1, ensure_ascii=True) + "\n"
    for name, text in (("report.jsonl", lines), ("summary.csv", _table(summary.rows)), ("summary.json", totals)):
        write_bytes(out / name, text.encode())


def line_of(row: CaseRow) -> dict[str, Any]:
    """Return a row as plain JSON data, as ``report.jsonl`` has it."""
    line = asdict(row)
    del line["told_once"]
    if not row.objects:
        del line["objects"]
    if row.expected_dice is None:
        del line["expected_dice"]
    return line


def _table(rows: Sequence[CaseRow]) -> str:
    counted = tuple(dict.fromkeys(name for row in rows for name in row.objects))
    expected = ("expected_dice",) if any(row.expected_dice is not None for row in rows) else ()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("case", "input", "state", *counted, *expected, "codes", "message", "outputs", "seconds"))
    for row in _worst_first(rows) if expected else rows:
        names = (printable(name) for name in (row.case, row.input, row.state))
        words = (printable(word) for word in (";".join(row.codes), row.message, ";".join(row.outputs)))
        figures = [_figure(row.objects.get(name)) for name in counted] + [_figure(row.expected_dice) for _ in expected]
        writer.writerow((*names, *figures, *words, f"{row.seconds:.3f}"))
    return text.getvalue()


def _worst_first(rows: Sequence[CaseRow]) -> list[CaseRow]:
    """Return the rows as a person should look at them: no result, nothing known, the least expected; skipped files."""

    def place(row: CaseRow) -> tuple[int, float]:
        if not row.is_done:
            return (3, 0.0) if row.state == "skipped" else (0, 0.0)
        return (1, 0.0) if row.expected_dice is None else (2, row.expected_dice)

    return sorted(rows, key=place)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
