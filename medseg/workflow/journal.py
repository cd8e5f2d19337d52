"""What has become of the cases so far, while a run goes on: for whoever watches it from another process.

The journal is no result: it begins with the list of cases, grows by a line as each case ends, and is gone when
the run has ended. Where a run was killed it stays behind until the next run in the folder.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medseg.io.atomic import TEMPORARY_PREFIX
from medseg.workflow.inputs import Case
from medseg.workflow.summary import CaseRow, line_of

JOURNAL_NAME = f"{TEMPORARY_PREFIX}journal.jsonl"


def begin_journal(out: Path, cases: Sequence[Case]) -> None:
    """Write down which cases there are."""
    _append(out, {"cases": [case.name for case in cases]}, mode="w")


def note(out: Path, row: CaseRow) -> None:
    """Write down how a case ended, with the keys of ``report.jsonl``."""
    _append(out, line_of(row))


def end_journal(out: Path) -> None:
    """Remove the journal: the report says it all."""
    with contextlib.suppress(OSError):
        (out / JOURNAL_NAME).unlink(missing_ok=True)


def _append(out: Path, line: dict[str, Any], mode: str = "a") -> None:
    # a run must not fail because nobody can watch it
    with contextlib.suppress(OSError), (out / JOURNAL_NAME).open(mode, encoding="ascii") as file:
        file.write(json.dumps(line, ensure_ascii=True) + "\n")


@dataclass(slots=True)
class Watch:
    """Reads what a run in a folder has come to, again and again, each line once.

    Parameters
    ----------
    out : Path
        The output folder of the run.
    """

    out: Path
    cases: tuple[str, ...] = ()
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    _read: int = 0

    def look(self) -> list[dict[str, Any]]:
        """Return the lines of the cases that ended since the last look; `cases` and `rows` grow with them."""
        try:
            with (self.out / JOURNAL_NAME).open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]  # the last line may be half written
        self._read += len(whole)
        return self._take(whole)

    def conclude(self) -> list[dict[str, Any]]:
        """Return the lines of the report that were not seen before: for a run that has ended."""
        try:
            return self._take((self.out / "report.jsonl").read_bytes())
        except OSError:
            return self.look()

    def _take(self, text: bytes) -> list[dict[str, Any]]:
        fresh = []
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except ValueError:  # a disk that was full cut it
                continue
            if "cases" in found:
                self.cases = tuple(found["cases"])
            elif found["case"] and found != self.rows.get(found["case"]):  # what was left out is no case
                self.rows[found["case"]] = found
                fresh.append(found)
        return fresh


def was_stopped(out: Path) -> bool:
    """Tell whether the last run in a folder did not come to its end, so that it can be resumed."""
    if (out / JOURNAL_NAME).exists():
        return True
    try:
        summary = json.loads((out / "summary.json").read_bytes())
    except FileNotFoundError:  # results without a summary: it found no room on the disk
        return any(out.glob("*.medseg.json"))
    except (OSError, ValueError):
        return False
    return isinstance(summary, dict) and bool(summary.get("stopped"))
