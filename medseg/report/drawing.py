"""Scale bars of round lengths, and the words for units."""

from __future__ import annotations

from math import floor, log10

from PIL import ImageDraw

from medseg.report.colours import INK
from medseg.report.lettering import write_text


def write_scale_bar(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], *, pixels_per_unit: float, room: float, unit: str
) -> None:
    """Draw a bar of a round length that fills at most `room` pixels, its length above; `place` is its left end."""
    length = round_length(room / pixels_per_unit)
    x, y = place
    end = x + length * pixels_per_unit
    draw.rectangle([x - 1, y - 4, end + 1, y + 2], fill=(0, 0, 0))
    draw.rectangle([x, y - 3, end, y + 1], fill=INK)
    write_text(draw, ((x + end) / 2, y - 10), f"{length:g} {unit_sign(unit)}", size=15, anchor="ms", halo=True)


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
