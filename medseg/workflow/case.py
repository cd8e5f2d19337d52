"""One case from its files to its results: read, segment, write aside, measure, record, appear."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import monotonic

from medseg.errors import InputError, OutputError, UsageError, printable
from medseg.io.options import ReadOptions
from medseg.prediction import Prediction
from medseg.progress import Progress, Steps
from medseg.volume import Volume
from medseg.workflow.inputs import Case
from medseg.workflow.options import RunContext
from medseg.workflow.partner import at_origin, labels_reading, on_one_grid, partner_files, read_partner
from medseg.workflow.provenance import record_of
from medseg.workflow.reading import input_files, read_case, reading_for, seen_by_model
from medseg.workflow.record import Record, load_record, outputs_that_differ, record_path
from medseg.workflow.results import notices_of, write_outputs
from medseg.workflow.splitting import LabelSplitter
from medseg.workflow.staging import promote, staging, write_bytes


def case_steps(case: Case, run: RunContext) -> Steps[Record]:
    """Work on one case and return its record; nothing of it is visible before it is complete.

    Raises
    ------
    MedsegError
        If the case is refused or fails.
    """
    name = printable(case.name)
    begin = monotonic()
    yield Progress(f"{name}: reading", 0, 1)
    volume, files = read_case(case, _reading(run), run.segmenter.card.input.channels)
    image = read_partner(case, run.options)
    if image is None and run.options.only_objects:
        volume = at_origin(volume)
    volume, shown = (volume, volume) if image is None else on_one_grid(volume, image)
    files += partner_files(case, run.options)
    read_at = monotonic()
    segmenter = run.segmenter.onto(shown.grid) if isinstance(run.segmenter, LabelSplitter) else run.segmenter
    prediction = yield from _named(name, segmenter.segment_steps(seen_by_model(volume, run.options)))
    _check_same_grid(case, shown, prediction)
    segmented_at = monotonic()
    yield Progress(f"{name}: measuring and writing", 0, 1)
    with staging(run.out) as folder:
        outputs, tables = write_outputs(case, run, shown, prediction, folder)
        timings = {
            "read": round(read_at - begin, 3),
            "segment": round(segmented_at - read_at, 3),
            "write": round(monotonic() - segmented_at, 3),
        }
        record = record_of(
            case,
            run,
            (shown, files),
            outputs=outputs,
            notices=notices_of(shown, prediction, tables),
            tables=tables,
            timings=timings,
        )
        staged_record = record_path(folder, case.name)
        write_bytes(staged_record, record.as_bytes())
        names = [output.path for output in outputs]
        promote(
            [folder / name for name in names],
            staged_record,
            run.out,
            superseded=_superseded(case, run.out, set(names)),
        )
    return record


def _reading(run: RunContext) -> ReadOptions:
    return labels_reading(run.options) if run.options.only_objects else reading_for(run.options)


def complete_record(case: Case, run: RunContext) -> Record | None:
    """Return the record of a result that is complete and was made of the same input, model and options."""
    path = record_path(run.out, case.name)
    if case.problem is not None or not path.exists():
        return None
    try:
        record = load_record(path)
        same = (
            record.full_name == case.full_name
            and record.model.sha256 == run.segmenter.folder_sha256
            and record.options_sha256 == run.options_sha256
            and record.input.series == case.series
            and record.input.files == (*input_files(case), *partner_files(case, run.options))
        )
    except (InputError, UsageError):
        return None
    return record if same and not outputs_that_differ(record, run.out) else None


def _named(name: str, steps: Steps[Prediction]) -> Steps[Prediction]:
    """Pass the steps of a case on under its name."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                prediction: Prediction = stop.value
                return prediction
            yield replace(step, phase=f"{name}: {step.phase}")
    finally:
        steps.close()


def _check_same_grid(case: Case, volume: Volume, prediction: Prediction) -> None:
    made = [value for value in (prediction.labels, prediction.instances) if value is not None]
    if all(value.grid.same_as(volume.grid) for value in made):
        return
    raise OutputError(
        "E_INTERNAL",
        path=case.files[0],
        found=f"labels on {prediction.labels.grid!r}",
        expected=f"labels on the image's own {volume.grid!r}",
        not_done="the labels were not written",
        remedy="Please report this with the model's name and version.",
    )


def _superseded(case: Case, out: Path, kept: set[str]) -> list[Path]:
    """Return the files of an earlier result of this case that the new one does not replace."""
    path = record_path(out, case.name)
    if not path.exists():
        return []
    try:
        names = {output.path for output in load_record(path).outputs}
    except InputError:
        return []
    # only plain names of this very case: a record must not have other files deleted
    return [out / name for name in sorted(names - kept) if Path(name).name == name and name.startswith(case.name)]
