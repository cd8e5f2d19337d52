"""``medseg segment``: from scans to labels, tables, pictures and records."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli import reading
from medseg.cli.results import show_results
from medseg.cli.show import progress
from medseg.errors import UsageError

if TYPE_CHECKING:
    from medseg.workflow.options import RunOptions

Box = tuple[tuple[int, int], ...]


class Format(StrEnum):
    """Formats in which labels can be written."""

    nii_gz = "nii.gz"
    nii = "nii"
    nrrd = "nrrd"
    mha = "mha"
    tif = "tif"
    png = "png"


def segment(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Scans, DICOM folders, folders of scans, or patterns.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder of the results.", show_default=False)],
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a model, or a model folder.")] = "hippocampus",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    tta: Annotated[bool, typer.Option("--tta", help="Average mirrored copies: slower, a little better.")] = False,
    roi: Annotated[
        str | None, typer.Option(metavar="BOX", help="Work only in this box of voxels, such as 10:60,20:80,0:40.")
    ] = None,
    save_maps: Annotated[bool, typer.Option("--save-maps", help="Keep the probability maps too.")] = False,
    label_format: Annotated[
        Format | None, typer.Option("--format", help="Format of the labels; that of the input when not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep valid results, do the rest.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings give exit code 3.")] = False,
    save_recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save this command for `medseg run`.")
    ] = None,
    series: reading.Series = None,
    channel: reading.Channel = None,
    frame: reading.Frame = None,
    pixel_size: reading.PixelSize = None,
    form: reading.FormChoice = None,
    assume_orientation: reading.Orientation = None,
) -> int:
    """Segment scans.

    Each scan gets labels on its own grid, a table, a picture and a record.
    Stop with Ctrl-C; run again with --resume and only the rest is done.
    """
    from medseg.workflow.options import RunOptions

    options = RunOptions(
        model=model,
        read=reading.reading(series, channel, frame, pixel_size, form, assume_orientation),
        device=device,
        tta=tta,
        roi=None if roi is None else parse_box(roi),
        save_maps=save_maps,
        format=None if label_format is None else label_format.value,
        resume=resume,
        overwrite=overwrite,
        strict=strict,
    )
    if save_recipe is not None:
        from medseg.workflow.recipe import recipe_of_run
        from medseg.workflow.recipe import save_recipe as save

        save(recipe_of_run(inputs, out, options), save_recipe)
    return run_and_show(inputs, out, options)


def run_and_show(inputs: list[str], out: Path, options: RunOptions) -> int:
    """Run a segmentation with progress, show what came of it, and return its exit code."""
    from medseg.progress import finish
    from medseg.workflow.run import CASES, run_steps

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
