"""``medseg segment``: from scans to labels, tables, pictures and records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli import reading, running
from medseg.cli.results import show_results
from medseg.cli.show import progress
from medseg.cli.splitting import check_used, with_splitting
from medseg.errors import UsageError
from medseg.instance.choice import SplitChoice

if TYPE_CHECKING:
    from medseg.workflow.options import RunOptions

MODEL_HELP = f"{running.MODEL_HELP} The hippocampus when not given."
Box = tuple[tuple[int, int], ...]


@with_splitting
def segment(
    inputs: running.Inputs,
    out: running.Out,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", metavar="MODEL", help=MODEL_HELP)] = None,
    device: running.Device = "auto",
    backend: running.Backend = running.BackendWay.auto,
    tta: running.Tta = False,
    overlap: running.Overlap = None,
    roi: running.Roi = None,
    save_maps: running.SaveMaps = False,
    label_format: running.LabelFormat = None,
    resume: running.Resume = False,
    overwrite: running.Overwrite = False,
    strict: running.Strict = False,
    save_recipe: running.SaveRecipe = None,
    split: running.Split = None,
    diameter: running.Diameter = None,
    series: reading.Series = None,
    channel: reading.Channel = None,
    frame: reading.Frame = None,
    pixel_size: reading.PixelSize = None,
    form: reading.FormChoice = None,
    assume_orientation: reading.Orientation = None,
    *,
    splitting: SplitChoice | None = None,
) -> int:
    """Segment scans.

    Each scan gets labels on its own grid, a table, a picture and a record; with --split each lesion or cell a row too.
    Stop with Ctrl-C; run again with --resume and only the rest is done.
    """
    from medseg.workflow.options import RunOptions, one_or_several

    check_used(splitting, None if split is None else split.value)
    options = RunOptions(
        model=one_or_several(model or ["hippocampus"]),
        read=reading.reading(series, channel, frame, pixel_size, form, assume_orientation),
        device=device,
        backend=backend.value,
        tta=tta,
        overlap=overlap,
        roi=None if roi is None else parse_box(roi),
        save_maps=save_maps,
        format=None if label_format is None else label_format.value,
        resume=resume,
        overwrite=overwrite,
        strict=strict,
        split=None if split is None else split.value,
        splitting=splitting,
        diameter=diameter,
    )
    return run_and_show(inputs, out, options, save_recipe=save_recipe)


def run_and_show(inputs: list[str], out: Path, options: RunOptions, *, save_recipe: Path | None = None) -> int:
    """Run over images with progress, show what came of it, and return its exit code."""
    from medseg.progress import finish
    from medseg.workflow.run import CASES, run_steps

    if save_recipe is not None:
        from medseg.workflow.recipe import recipe_of_run
        from medseg.workflow.recipe import save_recipe as save

        save(recipe_of_run(inputs, out, options), save_recipe)
    with progress(overall=CASES) as show:
        summary = finish(run_steps(inputs, out, options=options), show)
    show_results(summary, out)
    return summary.exit_code


def parse_box(text: str) -> Box:
    """Return the (start, stop) pairs of a box.

    Raises
    ------
    UsageError
        If the text is no box.

    Examples
    --------
    >>> parse_box("10:60,20:80,0:40")
    ((10, 60), (20, 80), (0, 40))
    """
    parts = [part.split(":") for part in text.split(",")]
    if len(parts) in (2, 3) and all(len(ends) == 2 and all(end.strip().isdecimal() for end in ends) for ends in parts):
        box = tuple((int(start), int(stop)) for start, stop in parts)
        if all(start < stop for start, stop in box):
            return box
    raise UsageError(
        "E_USAGE",
        found=f"--roi {text!r}",
        expected="start:stop for every axis, in voxels of the stored image, such as 10:60,20:80,0:40",
        not_done="nothing was segmented",
        remedy="Correct --roi; `medseg info SCAN` shows how many voxels there are.",
    )
