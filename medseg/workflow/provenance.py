"""Fill the record of a case: what was read, with what it was worked on, what came out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from medseg.errors import Notice
from medseg.volume import Volume
from medseg.workflow.inputs import Case
from medseg.workflow.options import RunContext
from medseg.workflow.record import InputFile, InputPart, MemberPart, ModelPart, OutputFile, Record, software
from medseg.workflow.tables import Tables, rows_of, told_once

_VALUES_SAMPLED = 1_000_000
OF_THE_RUN = frozenset({"W_BACKEND_FALLBACK"})
"""Warnings that tell of the computer and not of an image."""


def record_of(
    case: Case,
    run: RunContext,
    read: tuple[Volume, tuple[InputFile, ...]],
    *,
    outputs: tuple[OutputFile, ...],
    notices: Sequence[Notice],
    tables: Tables,
    timings: dict[str, float],
) -> Record:
    """Return the record of a complete case.

    Parameters
    ----------
    case : Case
    run : RunContext
    read : (Volume, files)
        The image, and hash and size of each file it was made of.
    outputs : tuple of OutputFile
    notices : sequence of Notice
    tables : Tables
        What was measured.
    timings : dict
        Seconds of each stage.
    """
    card, backend = run.segmenter.card, run.segmenter.backend
    of_run = {notice.code for notice in notices} & OF_THE_RUN
    once = (*told_once(read[0], tables), *sorted(of_run))
    of_case = [notice for notice in notices if notice.code not in once]
    return Record(
        run_id=run.run_id,
        case_id=case.name,
        full_name=case.full_name,
        state="ok_with_warnings" if of_case else "ok",
        codes=tuple(dict.fromkeys(notice.code for notice in of_case)),
        warnings=tuple({"code": notice.code, "text": notice.text} for notice in notices),
        input=_input_part(case, *read),
        model=ModelPart(
            name=card.name,
            version=card.version,
            sha256=run.segmenter.folder_sha256,
            licence=card.licence,
            intended_use=card.intended_use,
            members=tuple(
                MemberPart(name=own.name, version=own.version, sha256=sha256) for own, sha256 in run.segmenter.members
            ),
        ),
        software=software(),
        device={"kind": run.segmenter.device, **({} if backend is None else backend.as_dict())},
        options=run.options.as_recorded(),
        options_sha256=run.options_sha256,
        outputs=outputs,
        structures=rows_of(tables.structures),
        objects=tables.summary,
        told_once=once,
        timings=timings,
    )


def _input_part(case: Case, volume: Volume, files: tuple[InputFile, ...]) -> InputPart:
    grid = volume.grid
    return InputPart(
        files=files,
        format="" if volume.source is None else volume.source.format,
        series=case.series,
        grid={
            "shape": list(grid.shape),
            "world_from_index": grid.world_from_index.tolist(),
            "spacing": list(grid.spacing),
            "unit": grid.unit,
            "space": grid.space,
            "orientation": "".join(grid.axis_codes),
        },
        values=values_of(volume.numpy()),
        details={} if volume.source is None else _plain(volume.source.details),
    )


def values_of(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Describe the range of the stored values; percentiles of every n-th voxel where there are very many."""
    flat = array.ravel(order="K")  # as it lies in memory: a scan from a NIfTI file would be copied otherwise
    finite = np.isfinite(flat) if flat.dtype.kind in "fc" else None
    n_bad = 0 if finite is None else int(flat.size - np.count_nonzero(finite))
    good = flat if n_bad == 0 or finite is None else flat[finite]
    if good.size == 0:
        return {"nonfinite": n_bad}
    sample = good[:: max(1, good.size // _VALUES_SAMPLED)]
    low, middle, high = (float(v) for v in np.percentile(sample, (1, 50, 99)))
    extremes = {"minimum": float(good.min()), "maximum": float(good.max())}
    return {**extremes, "percentile_1": low, "median": middle, "percentile_99": high, "nonfinite": n_bad}


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(details, default=_item))
    return plain


def _item(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
