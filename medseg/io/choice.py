"""Which of several: one image of a file that holds many, one of its time points. Unchosen ones are refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.errors import FramesAmbiguousError, SeriesAmbiguousError
from medseg.io.image_space import refusal
from medseg.io.options import ReadOptions

_MOST_LISTED = 20


def chosen_image(path: Path, images: Sequence[tuple[str, str]], options: ReadOptions) -> int:
    """Return the number of the image to read.

    Parameters
    ----------
    path : Path
    images : sequence of (str, str)
        Key and description of each; `ReadOptions.series` names one by its key or its number.
    options : ReadOptions

    Raises
    ------
    SeriesAmbiguousError
        If there are several and none was chosen, or the one that was asked for is not there.
    """
    if len(images) == 1 and options.series is None:
        return 0
    for number, (key, _) in enumerate(images):
        if options.series == key:
            return number
    if options.series is not None and options.series.isdecimal() and int(options.series) < len(images):
        return int(options.series)
    asked = "" if options.series is None else f", and not {options.series!r}"
    listed = "; ".join(f"{key} ({about})" for key, about in images[:_MOST_LISTED])
    error = SeriesAmbiguousError(
        "E_SERIES_AMBIGUOUS",
        path=path,
        found=f"{len(images)} images in one file{asked}: {listed}",
        expected="one image, or a choice",
        not_done="none was read",
        remedy=f"Choose one with --series, for instance --series {images[0][0]}.",
    )
    error.choices = tuple(images)
    raise error


def chosen_frame(path: Path, n_frames: int, options: ReadOptions) -> int:
    """Return the number of the time point to read.

    Raises
    ------
    FramesAmbiguousError
        If there are several and none was chosen.
    InputError
        E_DIMENSIONS_UNSUPPORTED if the one that was asked for is not there.
    """
    if options.frame is None and n_frames == 1:
        return 0
    if options.frame is not None and 0 <= options.frame < n_frames:
        return options.frame
    if options.frame is None:
        raise several_frames(path, f"{n_frames} time points", n_frames, options)
    known = "one time point" if n_frames == 1 else f"{n_frames} time points"
    remedy = "Leave --frame out." if n_frames == 1 else f"Choose one with --frame 0 to --frame {n_frames - 1}."
    found = f"{known}, and frame {options.frame} was asked for"
    raise refusal(path, found, "one time point", code="E_DIMENSIONS_UNSUPPORTED", remedy=remedy)


def several_frames(path: Path, found: str, n_frames: int, options: ReadOptions) -> FramesAmbiguousError:
    """Return the refusal of a file with several time points, none of them chosen."""
    error = FramesAmbiguousError(
        "E_DIMENSIONS_UNSUPPORTED",
        path=path,
        found=found,
        expected="one time point",
        not_done="the image was not read",
        remedy=f"Choose one with --frame 0 to --frame {n_frames - 1}.",
    )
    error.n_frames, error.series = n_frames, options.series
    return error


def frame_details(n_frames: int, chosen: int) -> tuple[tuple[str, str], ...]:
    """Return what the record says of the chosen time point; nothing where there is only one."""
    return (("frame", f"{chosen} of {n_frames}"),) if n_frames > 1 else ()
