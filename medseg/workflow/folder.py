"""The output folder of a run: it exists, it is ours alone, and nothing in it is overwritten unasked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from medseg.errors import UsageError, printable
from medseg.io.atomic import TEMPORARY_PREFIX
from medseg.workflow.inputs import Case
from medseg.workflow.names import result_owner
from medseg.workflow.options import LABEL_SUFFIXES, RunOptions
from medseg.workflow.pages import PAGE_NAME
from medseg.workflow.refusals import refused_output
from medseg.workflow.staging import clear_staging
from medseg.workflow.summary import SUMMARY_FILES


def check(out: Path, options: RunOptions) -> None:
    """Refuse options that contradict each other, and an output that is a file."""
    if options.resume and options.overwrite:
        raise _usage("resume and overwrite together", "one of them", "Choose --resume or --overwrite.")
    if options.format is not None and options.format.lstrip(".") not in LABEL_SUFFIXES:
        raise _usage(f"the output format {options.format!r}", ", ".join(LABEL_SUFFIXES), "Choose one of these.")
    if os.path.lexists(out) and not out.is_dir():
        raise _usage(f"the file {str(out)!r} as output folder", "a folder", "Give the path of a folder with -o.")


def make_folder(out: Path) -> None:
    """Make the output folder where it is missing."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused_output(out, error) from error


def check_free(cases: Sequence[Case], out: Path, options: RunOptions) -> None:
    """Refuse to touch results that are there, unless the user said what to do with them."""
    if options.resume or options.overwrite:
        return
    owners = {result_owner(name) for name in os.listdir(out)}
    taken = [printable(case.name) for case in cases if case.name in owners]
    if taken:
        more = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
        raise UsageError(
            "E_OUTPUT_EXISTS",
            path=out,
            found=f"results of {', '.join(taken[:3])}{more}",
            expected="an output folder without results of these cases",
            not_done="nothing was written",
            remedy="Use --resume to keep complete results, --overwrite to replace them, or another output folder.",
        )


def clear_leftovers(out: Path) -> None:
    """Remove what a killed run left behind; the lock is ours, so nobody else is at work here."""
    clear_staging(out)
    for entry in os.scandir(out):
        # an older summary goes too: if this run is killed, none must speak for it
        is_leftover = entry.name.startswith(TEMPORARY_PREFIX) or entry.name in (*SUMMARY_FILES, PAGE_NAME)
        if is_leftover and entry.is_file(follow_symlinks=False):
            os.unlink(entry.path)


def _usage(found: str, expected: str, remedy: str) -> UsageError:
    return UsageError("E_USAGE", found=found, expected=expected, not_done="nothing was written", remedy=remedy)
