"""``medseg split``: separate objects from label images or saved maps that exist already."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli import reading, running
from medseg.cli.results import show_results
from medseg.cli.show import progress

if TYPE_CHECKING:
    from medseg.workflow.options import RunOptions

TUNING = "Tuning"


class Way(StrEnum):
    """Ways to separate the objects of labels."""

    watershed = "watershed"
    components = "components"


class Decoder(StrEnum):
    """Which maps tell objects apart."""

    combined = "combined"
    boundary = "boundary"
    distance = "distance"


Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="LABELS_OR_MAPS...",
        help="Label images (masks or classes), maps saved by --save-maps, folders of them, or patterns.",
        show_default=False,
    ),
]
Method = Annotated[
    Way, typer.Option(help="watershed also parts objects that touch; components only those that do not.")
]
MinSize = Annotated[
    float, typer.Option(min=0, help="Smallest area (µm²) or volume (mm³, µm³) of an object.", rich_help_panel=TUNING)
]
MinDepth = Annotated[float, typer.Option(min=0, max=1, help="Higher: fewer cuts at waists.", rich_help_panel=TUNING)]
MinDistance = Annotated[
    float, typer.Option(min=0, help="Centres nearer than this are one object (µm, mm).", rich_help_panel=TUNING)
]
MapDecoder = Annotated[
    Decoder, typer.Option("--decoder", help="Maps only: which of them tell objects apart.", rich_help_panel=TUNING)
]
Foreground = Annotated[
    float, typer.Option(min=0, max=1, help="Maps only: probability of an object's voxels.", rich_help_panel=TUNING)
]
Seed = Annotated[
    float, typer.Option(min=0, max=1, help="Maps only: height of an object's centre.", rich_help_panel=TUNING)
]
Smoothing = Annotated[
    float, typer.Option(min=0, help="Maps only: blur before looking for centres.", rich_help_panel=TUNING)
]


def split(
    inputs: Sources,
    out: running.Out,
    method: Method = Way.watershed,
    min_size: MinSize = 0.0,
    min_depth: MinDepth = 0.15,
    min_distance: MinDistance = 0.0,
    decoder: MapDecoder = Decoder.combined,
    foreground_threshold: Foreground = 0.5,
    seed_threshold: Seed = 0.5,
    smoothing: Smoothing = 0.0,
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
) -> int:
    """Separate the objects of masks that exist already.

    NAME_labels, NAME_maps or NAME gives NAME_instances, a table with a row per object and a picture. Every class is
    split by itself, as lesions of several types. Lengths are in mm in a scan, in µm in a micrograph, in pixels where
    no pixel size is known.
    """
    from medseg.instance.options import SplitOptions
    from medseg.workflow.options import RunOptions

    splitting = SplitOptions(
        decoder=decoder.value,
        foreground_threshold=foreground_threshold,
        seed_threshold=seed_threshold,
        min_depth=min_depth,
        min_distance=min_distance,
        smoothing=smoothing,
        min_size=min_size,
    )
    options = RunOptions(
        model=f"split-{method.value}",
        read=reading.reading(series, channel, frame, pixel_size, form, assume_orientation),
        device="cpu",
        format=None if label_format is None else label_format.value,
        resume=resume,
        overwrite=overwrite,
        strict=strict,
        split=method.value,
        splitting=splitting,
        only_objects=True,
    )
    return split_and_show(inputs, out, options, save_recipe=save_recipe)


def split_and_show(inputs: list[str], out: Path, options: RunOptions, *, save_recipe: Path | None = None) -> int:
    """Separate the objects of label images with progress, show what came of it, and return the exit code."""
    from medseg.instance.options import SplitOptions
    from medseg.progress import finish
    from medseg.workflow.run import CASES, run_steps
    from medseg.workflow.splitting import LabelSplitter

    if save_recipe is not None:
        from medseg.workflow.recipe import recipe_of_split
        from medseg.workflow.recipe import save_recipe as save

        save(recipe_of_split(inputs, out, options), save_recipe)
    splitter = LabelSplitter(options.split or "watershed", options.splitting or SplitOptions())
    with progress(overall=CASES) as show:
        summary = finish(run_steps(inputs, out, options=options, segmenter=splitter), show)
    show_results(summary, out)
    return summary.exit_code
