"""The reading options that every verb which reads a file shares, and how their text becomes values."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.errors import UsageError

if TYPE_CHECKING:
    from medseg.io.options import ReadOptions

PANEL = "Reading options"

_AXIS_OF = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}


class Form(StrEnum):
    """Which of two contradicting NIfTI positions to believe."""

    qform = "qform"
    sform = "sform"


Series = Annotated[
    str | None,
    typer.Option(help="Series of a DICOM folder, or image of a file, by its key in `info`.", rich_help_panel=PANEL),
]
Channel = Annotated[str | None, typer.Option(help="Name or number of the channel.", rich_help_panel=PANEL)]
Frame = Annotated[int | None, typer.Option(help="Time point or page, counted from 0.", min=0, rich_help_panel=PANEL)]
PixelSize = Annotated[
    str | None,
    typer.Option(help="Pixel size in µm: one number, or y,x or z,y,x (pictures only).", rich_help_panel=PANEL),
]
FormChoice = Annotated[
    Form | None, typer.Option(help="NIfTI position to believe where two contradict.", rich_help_panel=PANEL)
]
Orientation = Annotated[
    str | None,
    typer.Option(help='Orientation such as "RAS" for files that store none.', rich_help_panel=PANEL),
]


def reading(
    series: str | None,
    channel: str | None,
    frame: int | None,
    pixel_size: str | None,
    form: Form | None,
    assume_orientation: str | None,
) -> ReadOptions:
    """Return checked reading options from the text of the command line.

    Raises
    ------
    UsageError
        If the pixel size or the orientation cannot be understood.

    Examples
    --------
    >>> reading(None, "1", None, "0.5,0.25,0.25", None, "ras").pixel_size
    (0.5, 0.25, 0.25)
    """
    from medseg.io.options import ReadOptions

    return ReadOptions(
        series=series,
        channel=int(channel) if channel is not None and channel.isdecimal() else channel,
        frame=frame,
        pixel_size=None if pixel_size is None else _pixel_size(pixel_size),
        form=None if form is None else ("qform" if form is Form.qform else "sform"),
        assume_orientation=None if assume_orientation is None else _orientation(assume_orientation),
    )


def _pixel_size(text: str) -> tuple[float, ...]:
    try:
        sizes = tuple(float(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        sizes = ()
    if not 1 <= len(sizes) <= 3 or not all(0 < size < float("inf") for size in sizes):
        raise _misunderstood("--pixel-size", text, "one to three numbers above zero in µm, such as 0.25 or 1,0.25,0.25")
    return sizes


def _orientation(text: str) -> str:
    codes = text.upper()
    if len(codes) != 3 or {_AXIS_OF.get(c) for c in codes} != {0, 1, 2}:
        raise _misunderstood("--assume-orientation", text, "three letters of R/L, A/P and S/I, such as RAS or LPS")
    return codes


def _misunderstood(option: str, text: str, expected: str) -> UsageError:
    return UsageError(
        "E_USAGE",
        found=f"{option} {text!r}",
        expected=expected,
        not_done="nothing was read",
        remedy=f"Correct {option}.",
    )
