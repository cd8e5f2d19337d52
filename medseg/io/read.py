"""The door for images and labels: path -> `Volume` or `LabelMap`, whatever the format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from medseg.io.formats import reader_of
from medseg.io.labels import as_labels
from medseg.io.options import ReadOptions
from medseg.io.refusals import foreign_errors
from medseg.io.sniff import sniff
from medseg.labels import LabelMap
from medseg.volume import Volume


def read(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    channel: str | int | None = None,
    frame: int | None = None,
    pixel_size: tuple[float, ...] | None = None,
    form: Literal["qform", "sform"] | None = None,
    assume_orientation: str | None = None,
) -> Volume:
    """Read an image with its place in the world.

    Parameters
    ----------
    path : path-like
        A file, a DICOM folder or an OME-Zarr folder.
    series, channel, frame, pixel_size, form, assume_orientation : optional
        What the file does not say clearly itself; see `ReadOptions`.

    Returns
    -------
    Volume
        Values as stored; float32 where the file scales them.

    Raises
    ------
    MedsegError
        If the file is damaged, ambiguous, too large, or no image.
    """
    options = ReadOptions(
        series=series,
        channel=channel,
        frame=frame,
        pixel_size=pixel_size,
        form=form,
        assume_orientation=assume_orientation,
    )
    return read_with(path, options)


def read_labels(
    path: str | os.PathLike[str],
    *,
    classes: dict[int, str] | None = None,
    series: str | None = None,
    channel: str | int | None = None,
    frame: int | None = None,
    pixel_size: tuple[float, ...] | None = None,
    form: Literal["qform", "sform"] | None = None,
    assume_orientation: str | None = None,
) -> LabelMap:
    """Read a label image; integers are kept exactly, fractions within 1e-3 of an integer are rounded.

    Parameters
    ----------
    path : path-like
    classes : dict of int to str, optional
        Names by id; a label that is not among them is refused. OME-Zarr carries names of its own.
    series, channel, frame, pixel_size, form, assume_orientation : optional
        See `ReadOptions`.

    Raises
    ------
    MedsegError
        As `read`, and E_LABELS_INVALID for values that are no labels.
    """
    options = ReadOptions(
        series=series,
        channel=channel,
        frame=frame,
        pixel_size=pixel_size,
        form=form,
        assume_orientation=assume_orientation,
    )
    return as_labels(read_with(path, options), classes=classes)


def read_with(path: str | os.PathLike[str], options: ReadOptions) -> Volume:
    """Read an image with the options as one value, as `read` does."""
    path = Path(path)
    with foreign_errors(path):
        return reader_of(sniff(path), path)(path, options)
