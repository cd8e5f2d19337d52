"""From what happened to an exit code and to words on stderr; never a traceback unless it was asked for."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import ParamSpec

import typer

from medseg.cli.streams import Terminated, debugging
from medseg.errors import ERROR_CODES, MedsegError, ModelError, ResourceError, SeriesAmbiguousError, printable

DONE, BUG, USAGE, SOME_FAILED, NOTHING, MODEL_REFUSED, NO_RESOURCE = range(7)
INTERRUPTED, TERMINATED = 130, 143

_USAGE_CODES = {"E_USAGE", "E_OUTPUT_EXISTS", "E_OUTPUT_COLLISION", "E_OUTPUT_BUSY"}
_RESOURCE_CODES = {"E_DISK_FULL", "E_OOM_GPU", "E_OOM_CPU", "E_WORKER_LOST", "E_TIMEOUT"}

P = ParamSpec("P")


def exit_code(error: MedsegError) -> int:
    """Return the exit code of a run that ended with `error`.

    Examples
    --------
    >>> exit_code(MedsegError("E_DISK_FULL", found="0 bytes", expected="9", not_done="nothing written", remedy="Tidy."))
    6
    """
    if error.code in _USAGE_CODES:
        return USAGE
    if error.code in _RESOURCE_CODES:
        return NO_RESOURCE
    if isinstance(error, ModelError) or error.code.startswith(("E_BUNDLE_", "E_NETWORK_")):
        return MODEL_REFUSED
    return {"E_INTERRUPTED": INTERRUPTED, "E_INTERNAL": BUG}.get(error.code, NOTHING)


def laid_out(error: MedsegError) -> str:
    """Return an error as a headline and four labelled lines.

    Examples
    --------
    >>> print(laid_out(MedsegError("E_INPUT_EMPTY", path="a.nii", found="0 bytes", expected="a NIfTI image",
    ...                            not_done="it was not read", remedy="Copy the file again.")))
    medseg: a.nii: the file or folder holds nothing to work on [E_INPUT_EMPTY]
      found     0 bytes
      expected  a NIfTI image
      not done  it was not read
      remedy    Copy the file again.
    """
    place = "" if error.path is None else f"{printable(error.path)}: "
    series = error.choices if isinstance(error, SeriesAmbiguousError) else ()
    found = f"{len(series)} series, listed below" if series else error.found
    parts = {"found": found, "expected": error.expected, "not done": error.not_done, "remedy": error.remedy}
    lines = [f"medseg: {place}{ERROR_CODES[error.code]} [{error.code}]"]
    lines += [f"  {label:<8}  {printable(text)}" for label, text in parts.items()]
    lines += [f"  series    {printable(key)}  ({printable(about)})" for key, about in series]
    return "\n".join(lines)


class Outcome:
    """Context that turns whatever leaves its body into an exit code and a message on stderr.

    Attributes
    ----------
    code : int
        The exit code so far; the body may set it.
    """

    def __init__(self) -> None:
        self.code = DONE

    def __enter__(self) -> Outcome:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        if isinstance(error, OSError) and not isinstance(error, MedsegError):
            error = _from_system(error) or error
        if isinstance(error, MedsegError):
            self.code = exit_code(error)
            _complain(laid_out(error), error)
        elif isinstance(error, KeyboardInterrupt):
            self.code = TERMINATED if isinstance(error, Terminated) else INTERRUPTED
            _complain("medseg: stopped; what is complete is kept, nothing is half-written. Go on with --resume.", error)
        elif isinstance(error, MemoryError):
            self.code = NO_RESOURCE
            _complain(f"medseg: {ERROR_CODES['E_OOM_CPU']}; the work was stopped. [E_OOM_CPU]", error)
        elif isinstance(error, Exception) and not isinstance(error, typer.Exit | typer.BadParameter):
            self.code = BUG
            _complain(_own_fault(error), error)
        else:
            return False
        return True


def guarded(verb: Callable[P, int]) -> Callable[P, None]:
    """Wrap a verb that returns its exit code, so that nothing else leaves it."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with Outcome() as outcome:
            outcome.code = verb(*args, **kwargs)
            sys.stdout.flush()
        raise typer.Exit(outcome.code)

    return run


def _complain(message: str, error: BaseException) -> None:
    if debugging():
        typer.echo("".join(traceback.format_exception(error)), err=True)
    typer.echo(message, err=True)


def _from_system(error: OSError) -> MedsegError | None:
    """Say in our words what the operating system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError(
            "E_DISK_FULL",
            path=error.filename,
            found="no space left",
            expected="space for the output",
            not_done="the rest was not written",
            remedy="Make room on the disk, then run again with --resume.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MedsegError(
            "E_PERMISSION",
            path=error.filename,
            found=os.strerror(error.errno).lower(),
            expected="permission to read the inputs and to write to the output folder",
            not_done="the work was stopped",
            remedy="Check the permissions, or choose another output folder.",
        )
    return None


def _own_fault(error: Exception) -> str:
    kind = type(error).__name__
    log = _write_log("".join(traceback.format_exception(error)))
    where = "No log could be written; run again with MEDSEG_DEBUG=1." if log is None else f"The details are in {log}."
    return f"medseg: a fault of medseg itself ({kind}); nothing incomplete was kept. {where} [E_INTERNAL]"


def _write_log(text: str) -> Path | None:
    """Keep a traceback where only the user can read it; None where no folder can be written."""
    from platformdirs import user_log_dir

    for folder in (Path(user_log_dir("medseg")), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix="medseg-", suffix=".log", dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return Path(name)
    return None
