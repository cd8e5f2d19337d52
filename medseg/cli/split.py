"""``medseg split``: separate objects from label images or saved maps that exist already."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli import reading, running
from medseg.cli.results import show_results
from medseg.cli.show import progress
from medseg.cli.splitting import check_used, with_splitting
from medseg.instance.choice import SplitChoice

if TYPE_CHECKING:
    from medseg.workflow.options import RunOptions


class Way(StrEnum):
    """Ways to separate the objects of labels."""

    watershed = "watershed"
    components = "components"


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
Image = Annotated[
    Path | None,
    typer.Option(
        metavar="IMAGE",
        help="The image of the labels or maps, or a folder of images of the same names: adds intensities to the table"
        " and the image to the picture.",
    ),
]


@with_splitting
def split(
    inputs: Sources,
    out: running.Out,
    method: Method = Way.watershed,
    image: Image = None,
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
    """Separate the objects of masks that exist already.

    NAME_labels, NAME_maps or NAME gives NAME_instances, a table with a row per object and a picture. Every class is
    split by itself, as lesions of several types. Lengths are in mm in a scan, in µm in a micrograph, in pixels where
    no pixel size is known.
    """
    from medseg.workflow.options import RunOptions

    check_used(splitting, method.value, option="--method")
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
        image=image,
    )
    return split_and_show(inputs, out, options, save_recipe=save_recipe)


def split_and_show(inputs: list[str], out: Path, options: RunOptions, *, save_recipe: Path | None = None) -> int:
    """Separate the objects of label images with progress, show what came of it, and return the exit code."""
    from medseg.progress import finish
    from medseg.workflow.run import CASES, run_steps
    from medseg.workflow.splitting import LabelSplitter

    if save_recipe is not None:
        from medseg.workflow.recipe import recipe_of_split
        from medseg.workflow.recipe import save_recipe as save

        save(recipe_of_split(inputs, out, options), save_recipe)
    splitter = LabelSplitter(options.split or "watershed", options.splitting)
    with progress(overall=CASES) as show:
        summary = finish(run_steps(inputs, out, options=options, segmenter=splitter), show)
    show_results(summary, out)
    return summary.exit_code
