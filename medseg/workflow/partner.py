"""The image that label images or maps belong to: found by name, read, and brought to one grid with them."""

from __future__ import annotations

from dataclasses import replace

from medseg.errors import UsageError, printable
from medseg.grid import Grid, image_grid
from medseg.io.options import ReadOptions
from medseg.io.read import read_with
from medseg.volume import Volume
from medseg.workflow.inputs import Case, find_cases
from medseg.workflow.options import RunOptions
from medseg.workflow.reading import input_files
from medseg.workflow.record import InputFile

_NAMED = 3


def check_one_image(cases: tuple[Case, ...], options: RunOptions) -> None:
    """Refuse one image for several label images.

    Raises
    ------
    UsageError
        E_USAGE.
    """
    if options.image is None or options.image.is_dir() or len(cases) <= 1:
        return
    raise UsageError(
        "E_USAGE",
        path=options.image,
        found=f"one image for {len(cases)} label images",
        expected="a folder with an image for each",
        not_done="nothing was written",
        remedy="Give --image the folder of the images, or split one label image at a time.",
    )


def partner_files(case: Case, options: RunOptions) -> tuple[InputFile, ...]:
    """Return hash and size of the files of the image of a case; none where no image was named."""
    image = _partner(case, options)
    return () if image is None else input_files(image)


def read_partner(case: Case, options: RunOptions) -> Volume | None:
    """Read the image of a case; None where no image was named.

    Raises
    ------
    MedsegError
        If it cannot be found or read.
    """
    image = _partner(case, options)
    return None if image is None else read_with(image.files[0], options.read)


def labels_reading(options: RunOptions) -> ReadOptions:
    """Return how labels are read: series, channel and frame choose within the image that goes with them."""
    if options.image is None:
        return options.read
    return replace(options.read, series=None, channel=None, frame=None)


def on_one_grid(labels: Volume, image: Volume) -> tuple[Volume, Volume]:
    """Let the one that does not know its pixel size take it from the other, where both have the same pixels."""
    if _lacks(labels.grid, image.grid):
        return replace(labels, grid=image.grid, warnings=image.warnings), image
    if _lacks(image.grid, labels.grid):
        return labels, replace(image, grid=labels.grid, warnings=labels.warnings)
    return labels, image


def at_origin(maps: Volume) -> Volume:
    """Return maps of a micrograph with their first pixel at 0: label pictures have no place for an offset."""
    grid = maps.grid
    if grid.space != "image" or not any(grid.origin):
        return maps
    return replace(maps, grid=image_grid(grid.shape, grid.spacing, grid.unit))


def _partner(case: Case, options: RunOptions) -> Case | None:
    """Return where the image of a case lies; a folder is searched for the image of the case's own name."""
    if options.image is None:
        return None
    if not options.image.is_dir() or options.image.name.lower().endswith(".zarr"):
        return Case(case.name, case.full_name, (options.image,), options.image.parent)
    cases = find_cases([options.image], options.image / ".none").cases
    found = [held for held in cases if held.full_name == case.full_name]
    if len(found) == 1:
        return found[0]
    names = ", ".join(printable(held.full_name) for held in cases[:_NAMED])
    raise UsageError(
        "E_USAGE",
        path=options.image,
        found=f"{len(found)} images named {printable(case.full_name)}; there are {names or 'none'}",
        expected="one image with the name of the label image",
        not_done="no objects were separated",
        remedy="Correct --image, or give it the one image.",
    )


def _lacks(one: Grid, other: Grid) -> bool:
    known = other.unit != "px" and other.space == "image"
    return one.unit == "px" and known and one.shape == other.shape
