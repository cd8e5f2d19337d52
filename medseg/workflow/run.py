"""A run over many inputs: the model is loaded once, each case stands alone, and what is written is complete."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from medseg.errors import (
    GeometryError,
    InputError,
    MedsegError,
    ModelError,
    ResourceError,
    UsageError,
    printable,
)
from medseg.progress import Pace, Steps
from medseg.workflow.case import case_steps, complete_record
from medseg.workflow.count_page import write_count_page
from medseg.workflow.faults import log_fault
from medseg.workflow.folder import check, check_free, clear_leftovers, make_folder
from medseg.workflow.inputs import Case, Inputs, find_cases
from medseg.workflow.journal import begin_journal, end_journal, note
from medseg.workflow.lock import locked
from medseg.workflow.options import RunContext, RunOptions, Segmenter, load_segmenter
from medseg.workflow.partner import check_one_image
from medseg.workflow.record import Record, record_path
from medseg.workflow.refusals import refused_output
from medseg.workflow.segment_page import write_segment_page
from medseg.workflow.splitting import named_after_images
from medseg.workflow.summary import CaseRow, RunSummary, State, Stop, exit_code, write_summary

CASES = "cases"
"""Phase of the progress that counts whole cases; other phases begin with the name of their case."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Ledger:
    """What has happened so far; it outlives the generator when that is closed."""

    rows: list[CaseRow] = field(default_factory=list)
    stopped: Stop | None = None


def run_steps(
    inputs: Sequence[str | Path], out: Path, *, options: RunOptions, segmenter: Segmenter | None = None
) -> Steps[RunSummary]:
    """Segment every input and write results, records and a summary.

    Closing the generator drops the unfinished case, keeps the complete ones and writes the summary.

    Parameters
    ----------
    inputs : sequence of path-like
        Files, DICOM folders, folder trees, or patterns.
    out : Path
        The output folder; it is made where it is missing.
    options : RunOptions
    segmenter : Segmenter, optional
        A loaded model; by default the one that `options` name.

    Returns
    -------
    RunSummary
        With one row per case, and the exit code.

    Raises
    ------
    UsageError
        Before anything is written: options that contradict each other, an output folder that is an input's
        (E_USAGE), two inputs with one result name (E_OUTPUT_COLLISION), another run in the same folder
        (E_OUTPUT_BUSY), or results that are there already (E_OUTPUT_EXISTS).
    ModelError
        If the model folder is refused.
    """
    begin = monotonic()
    out = Path(out)
    check(out, options)
    segmenter = segmenter or load_segmenter(options)
    # micrographs hold their channels inside: cell_0001 and cell_0002 are two pictures, not channels of one
    n_channels = 1 if segmenter.card.task != "semantic" else len(segmenter.card.input.channels)
    found = find_cases(inputs, out, n_channels=n_channels, split_series=options.read.series is None)
    if options.only_objects:
        found = replace(found, cases=named_after_images(found.cases))
        check_one_image(found.cases, options)
    make_folder(out)
    run = RunContext(out, uuid.uuid4().hex, options, segmenter)
    with locked(out):
        check_free(found.cases, out, options)
        clear_leftovers(out)
        begin_journal(out, found.cases)
        ledger = _Ledger()
        try:
            yield from _cases(found.cases, run, ledger)
        except (GeneratorExit, KeyboardInterrupt):
            ledger.stopped = "interrupted"
            _conclude(found, run, ledger, monotonic() - begin)
            raise
        return _conclude(found, run, ledger, monotonic() - begin)


def _cases(cases: Sequence[Case], run: RunContext, ledger: _Ledger) -> Steps[None]:
    pace = Pace(CASES, len(cases))
    yield pace.at(0)
    for number, case in enumerate(cases, start=1):
        row = yield from _one(case, run)
        ledger.rows.append(row)
        note(run.out, row)
        _log.info("%s: %s %s", printable(case.name), row.state, ";".join(row.codes))
        if _must_stop(row, run.out):
            ledger.stopped = "resource"
            return
        yield pace.at(number)


def _one(case: Case, run: RunContext) -> Steps[CaseRow]:
    """Work on one case; whatever goes wrong with it becomes its row and touches no other."""
    begin = monotonic()
    try:
        earlier = complete_record(case, run) if run.options.resume else None
        if earlier is not None:
            return _row_of(case, earlier, 0.0, "; ".join(("complete from an earlier run", *_told(earlier))))
        record = yield from case_steps(case, run)
        seconds = monotonic() - begin
        return _row_of(case, record, seconds, "; ".join(_told(record)))
    except MedsegError as error:
        fault = error
    except MemoryError:
        fault = _no_memory(case)
    except OSError as error:
        fault = refused_output(case.files[0], error)
    except Exception as error:  # noqa: BLE001 - a fault of ours in one case must not take the others down
        fault = log_fault(case.files[0], error, run.out, run.run_id)
    return _row_of_error(case, fault, run.out, monotonic() - begin)


def _told(record: Record) -> tuple[str, ...]:
    return tuple(notice["text"] for notice in record.warnings if notice["code"] not in record.told_once)


def _row_of(case: Case, record: Record, seconds: float, message: str) -> CaseRow:
    outputs = tuple(output.path for output in record.outputs)
    return CaseRow(
        case.name,
        case.input,
        record.state,
        record.codes,
        printable(message),
        outputs,
        round(seconds, 3),
        record.objects,
        record.told_once,
        _least_expected(record),
    )


def _least_expected(record: Record) -> float | None:
    told = [structure.get("expected_dice") for structure in record.structures]
    return min((float(dice) for dice in told if isinstance(dice, float | int)), default=None)


def _row_of_error(case: Case, error: MedsegError, out: Path, seconds: float) -> CaseRow:
    is_refusal = isinstance(error, InputError | GeometryError | ModelError | UsageError)
    state: State = "refused" if is_refusal else "failed"
    told = str(type(error)(error.code, path=_relative(case, error.path), **_parts(error)))
    if record_path(out, case.name).exists():
        told += " An earlier result of this case is still in the output folder."
    return CaseRow(case.name, case.input, state, (error.code,), printable(told), (), round(seconds, 3))


def _parts(error: MedsegError) -> dict[str, str]:
    return {name: getattr(error, name) for name in ("found", "expected", "not_done", "remedy")}


def _relative(case: Case, path: str | None) -> str:
    """Return the path that an error is about as reports show it: no folder above the input root is told."""
    return case.input if path is None else case.relative(Path(path))


def _must_stop(row: CaseRow, out: Path) -> bool:
    """Tell whether no further case can be written: the disk is full, or the output folder gone or closed."""
    if "E_DISK_FULL" in row.codes:
        return True
    return row.state in ("failed", "refused") and not (out.is_dir() and os.access(out, os.W_OK))


def _conclude(found: Inputs, run: RunContext, ledger: _Ledger, seconds: float) -> RunSummary:
    """Complete the rows, count, and write the summary."""
    rows = [*ledger.rows, *_not_reached(found.cases[len(ledger.rows) :], ledger.stopped)]
    rows += [CaseRow("", item.path, "skipped", ("W_FILE_SKIPPED",), item.reason) for item in found.skipped]
    card = run.segmenter.card
    model = {"name": card.name, "version": card.version, "sha256": run.segmenter.folder_sha256}

    def summed(stopped: Stop | None) -> RunSummary:
        code = exit_code(rows, stopped=stopped, strict=run.options.strict)
        return RunSummary(
            str(run.out), run.run_id, tuple(rows), code, stopped, model, round(seconds, 3), _computed_by(run.segmenter)
        )

    summary = summed(ledger.stopped)
    try:
        write_summary(summary, run.out)
        if run.options.counts or card.task != "semantic":
            write_count_page(summary, run.out)
        elif not run.options.only_objects:
            write_segment_page(summary, run.out)
    except MedsegError as error:
        _log.warning("the summary could not be written: %s", printable(str(error)))
        return summed(ledger.stopped or "resource")
    finally:
        end_journal(run.out)
    return summary


def _computed_by(segmenter: Segmenter) -> str:
    return "" if segmenter.backend is None else f"{segmenter.backend} on {segmenter.device}"


def _not_reached(cases: Sequence[Case], stopped: Stop | None) -> list[CaseRow]:
    if stopped == "resource":
        reason = "the run stopped before this case because a resource ran out"
        return [CaseRow(case.name, case.input, "not_started", (), reason) for case in cases]
    reason = "the run was stopped before this case was complete"
    return [CaseRow(case.name, case.input, "not_started", ("E_INTERRUPTED",), reason) for case in cases]


def _no_memory(case: Case) -> ResourceError:
    return ResourceError(
        "E_OOM_CPU",
        path=case.files[0],
        found="not enough free memory",
        expected="room for the image and the maps of the network",
        not_done="the case was not segmented",
        remedy="Close other programs, restrict the region with --roi, or use a machine with more memory.",
    )
