"""Faults of our own: their trace goes to a log beside the results, without a word of the data."""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path, PurePath

from medseg.errors import OutputError

FAULT_LOG = "medseg-debug.log"


def log_fault(path: Path, error: Exception, out: Path, run_id: str) -> OutputError:
    """Append where `error` came from to the log, and return it in words.

    The log holds kinds of errors and lines of code only: an exception's own text may quote a file's content.

    Parameters
    ----------
    path : Path
        The input that was worked on.
    error : Exception
    out : Path
        The output folder.
    run_id : str
    """
    lines = [f"run {run_id}: {type(error).__name__}"]
    cause: BaseException | None = error
    while cause is not None:
        lines.append(f"  {type(cause).__name__} at")
        lines += [f"    {_place(f.filename)}:{f.lineno} in {f.name}" for f in traceback.extract_tb(cause.__traceback__)]
        cause = cause.__cause__ or cause.__context__
    # a log that cannot be written must not hide the fault itself
    with contextlib.suppress(OSError), (out / FAULT_LOG).open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write("\n".join(lines) + "\n")
    return OutputError(
        "E_INTERNAL",
        path=path,
        found=f"a fault of medseg itself ({type(error).__name__})",
        expected="a result or a refusal in words",
        not_done="the case was not completed, the others go on",
        remedy=f"Please report it; {FAULT_LOG} in the output folder says where it happened.",
    )


def _place(filename: str) -> str:
    """Return a source file without the folders above its package, which may name a person."""
    parts = PurePath(filename).parts
    for mark in ("medseg", "site-packages"):
        if mark in parts:
            return PurePath(*parts[len(parts) - parts[::-1].index(mark) - (mark == "medseg") :]).as_posix()
    return PurePath(filename).name
