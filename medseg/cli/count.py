"""``medseg count``: from micrographs to the number of cells, a row for each, and pictures to check them by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli import reading, running
from medseg.cli.segment import parse_box, run_and_show
from medseg.cli.splitting import check_used, with_splitting
from medseg.errors import UsageError
from medseg.instance.choice import SplitChoice

if TYPE_CHECKING:
    from medseg.measure.positive import Positive


MODEL_HELP = f"{running.MODEL_HELP} The nuclei when not given, or nuclei_maskrcnn with --split maskrcnn."


@with_splitting
def count(
    inputs: running.Inputs,
    out: running.Out,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", metavar="MODEL", help=MODEL_HELP)] = None,
    split: running.Split = None,
    diameter: running.Diameter = None,
    positive_stain: running.PositiveStain = None,
    positive_threshold: running.PositiveThreshold = None,
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
    series: reading.Series = None,
    channel: reading.Channel = None,
    frame: reading.Frame = None,
    pixel_size: reading.PixelSize = None,
    form: reading.FormChoice = None,
    assume_orientation: reading.Orientation = None,
    *,
    splitting: SplitChoice | None = None,
) -> int:
    """Count cells or other objects, touching ones apart.

    Each image gets its count and density (summary.csv), a table with a row per object (area, position, intensity), an
    image of numbered objects and a picture of their outlines. Open report.html first: it shows the images that most
    need a look at the top. Sizes are in µm where the pixel size is known; give it with --pixel-size where it is not.
    """
    from medseg.workflow.options import RunOptions, counting_model, one_or_several

    _check(split, positive_stain, positive_threshold)
    check_used(splitting, None if split is None else split.value)
    options = RunOptions(
        model=one_or_several(model or [counting_model(None if split is None else split.value)]),
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
        positive=None if positive_stain is None else _positive(positive_stain, positive_threshold),
        counts=True,
    )
    return run_and_show(inputs, out, options, save_recipe=save_recipe)


def _check(split: running.SplitWay | None, stain: str | None, threshold: float | None) -> None:
    if split is running.SplitWay.none:
        raise _wrong("--split none", "components, watershed or maskrcnn", "Leave out --split, or use `medseg segment`.")
    if threshold is not None and stain is None:
        remedy = "Name the stain or channel with --positive-stain."
        raise _wrong("--positive-threshold without a stain", "both", remedy)


def _positive(stain: str, threshold: float | None) -> Positive:
    from medseg.measure.positive import Positive

    return Positive(stain, threshold)


def _wrong(found: str, expected: str, remedy: str) -> UsageError:
    return UsageError("E_USAGE", found=found, expected=expected, not_done="nothing was counted", remedy=remedy)
