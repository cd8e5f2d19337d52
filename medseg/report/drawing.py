"""Text, swatches and scale bars on a dark sheet."""

from __future__ import annotations

from functools import lru_cache
from math import floor, log10

from PIL import ImageDraw, ImageFont

from medseg.report.colours import Colour

PAPER: Colour = (12, 14, 17)
INK: Colour = (236, 238, 240)
FAINT: Colour = (150, 156, 164)
FOOTER = "research use only - not for diagnosis"


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the built-in font in `size` pixels; no font of the system is needed."""
    return ImageFont.load_default(size)


def write_text(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    *,
    size: int = 16,
    fill: Colour = INK,
    anchor: str = "la",
    halo: bool = False,
) -> None:
    """Write one line; `halo` adds a dark edge, so that it reads on any image."""
    stroke = 2 if halo else 0
    draw.text(place, text, font=font(size), fill=fill, anchor=anchor, stroke_width=stroke, stroke_fill=(0, 0, 0))


def text_width(text: str, size: int) -> float:
    """Return the width of a line in pixels."""
    return float(font(size).getlength(text))


def fitted(text: str, size: int, width: float) -> str:
    """Return `text`, its middle replaced by an ellipsis where it is wider than `width` pixels.

    Examples
    --------
    >>> fitted("short", 16, 500)
    'short'
    """
    if text_width(text, size) <= width:
        return text
    for keep in range(len(text) - 1, 0, -1):
        short = f"{text[: (keep + 1) // 2]}...{text[len(text) - keep // 2 :]}"
        if text_width(short, size) <= width:
            return short
    return ""


def write_scale_bar(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], *, pixels_per_unit: float, room: float, unit: str
) -> None:
    """Draw a bar of a round length that fills at most `room` pixels, with its length above; `place` is its left end."""
    length = round_length(room / pixels_per_unit)
    x, y = place
    end = x + length * pixels_per_unit
    draw.rectangle([x - 1, y - 4, end + 1, y + 2], fill=(0, 0, 0))
    draw.rectangle([x, y - 3, end, y + 1], fill=INK)
    write_text(draw, ((x + end) / 2, y - 6), f"{length:g} {unit_sign(unit)}", size=15, anchor="ms", halo=True)


def round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20 ... that is not above `longest`.

    Examples
    --------
    >>> round_length(37.0), round_length(0.7)
    (20.0, 0.5)
    """
    power = 10.0 ** floor(log10(longest))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= longest * (1 + 1e-9))


def unit_sign(unit: str) -> str:
    """Return a unit as it is written for people."""
    return {"um": "µm"}.get(unit, unit)
