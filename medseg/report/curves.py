"""A picture of a training: loss and validation Dice by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isfinite
from pathlib import Path

from PIL import Image, ImageDraw

from medseg.io.atomic import write_atomically
from medseg.report.colours import FAINT, INK, PAPER, Colour, colour
from medseg.report.drawing import round_length
from medseg.report.lettering import write_text

_WIDTH, _HEIGHT = 1200, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 250, 48, 44
_DIAGRAMS = {
    "loss": "loss",
    "dice": "Dice on validation cases",
    "_ap": "average precision on validation cases",
}
_ALWAYS = 2
"""Diagrams on the page at least: without a line of validation, that of Dice stands empty."""
_FINE = 3
"""Lines are drawn this much finer and averaged: Pillow draws none without steps."""
_MOST_LETTERS = 22
_GRID: Colour = (44, 49, 56)

Line = list[tuple[float, float]]


def curves(rows: Sequence[dict[str, float]], *, title: str = "training") -> Image.Image:
    """Draw the columns whose name holds ``loss`` in one diagram, ``dice`` or ``_ap`` in another, over the epoch.

    Parameters
    ----------
    rows : sequence of dict
        One per report. ``epoch`` is the horizontal axis (the row's number where it is missing). A value that is
        missing, empty or not finite leaves a gap that the line crosses.
    title : str

    Returns
    -------
    PIL.Image.Image
        RGB.

    Examples
    --------
    >>> curves([{"epoch": 1, "loss": 0.9, "dice": 0.2}, {"epoch": 2, "loss": 0.5, "dice": 0.7}]).size
    (1200, 840)
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    named = {word: [c for c in columns if word in c.lower()] for word in _DIAGRAMS}
    words = ["loss", *(word for word in ("dice", "_ap") if named[word])]
    words = words if len(words) >= _ALWAYS else list(_DIAGRAMS)[:_ALWAYS]
    page = Image.new("RGB", (_WIDTH, _HEIGHT * len(words)), PAPER)
    for place, word in enumerate(words):
        lines = {name: _points(rows, name) for name in named[word]}
        top = None if word == "loss" else 1.0
        page.paste(_diagram(lines, f"{title}: {_DIAGRAMS[word]}", top), (0, place * _HEIGHT))
    return page


def write_curves(rows: Sequence[dict[str, float]], path: Path, *, title: str = "training") -> None:
    """Draw `curves` and write them to `path` as PNG, whatever the suffix; an unfinished picture never bears that name.

    Raises
    ------
    ResourceError
        If the disk is full (E_DISK_FULL).
    OutputError
        If the folder may not be written (E_PERMISSION).
    """
    page = curves(rows, title=title)
    write_atomically(path, partial(page.save, format="PNG"))


def _points(rows: Sequence[dict[str, float]], name: str) -> Line:
    points = []
    for number, row in enumerate(rows):
        value, epoch = row.get(name), row.get("epoch", number + 1)
        if isinstance(value, (int, float)) and isfinite(value):
            points.append((float(epoch), float(value)))
    return points


def _diagram(lines: dict[str, Line], title: str, top: float | None) -> Image.Image:
    every = [point for line in lines.values() for point in line]
    xs, ys = [x for x, _ in every] or [0.0], [y for _, y in every] or [0.0]
    bounds = _Bounds(min(xs), max(max(xs), min(xs) + 1), min(0.0, *ys), top or max(max(ys) * 1.05, 1e-6))
    fine = Image.new("RGB", (_WIDTH * _FINE, _HEIGHT * _FINE), PAPER)
    draw = ImageDraw.Draw(fine)
    for value in bounds.ticks_y():
        ends = [bounds.pixel(x, value) for x in (bounds.x0, bounds.x1)]
        draw.line(_finer(ends), fill=_GRID, width=_FINE)
    for number, line in enumerate(lines.values(), start=1):
        _draw_line(draw, [bounds.pixel(x, y) for x, y in line], colour(number))
    picture = fine.reduce(_FINE)
    _write_words(ImageDraw.Draw(picture), lines, bounds, title)
    return picture


class _Bounds:
    """Where a value lies in a diagram."""

    def __init__(self, x0: float, x1: float, y0: float, y1: float) -> None:
        self.x0, self.x1, self.y0, self.y1 = x0, x1, y0, y1

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x0) / (self.x1 - self.x0)
        up = (y - self.y0) / (self.y1 - self.y0)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def ticks_y(self) -> list[float]:
        return _ticks(self.y0, self.y1, 5)

    def ticks_x(self) -> list[float]:
        return [t for t in _ticks(self.x0, self.x1, 8) if t == int(t)]


def _ticks(low: float, high: float, n: int) -> list[float]:
    step = round_length((high - low) / n * 1.5)
    first = -int(-low // step) if low > 0 else int(low // step)
    count = int((high - low) / step) + 2
    values = [round((first + k) * step, 10) for k in range(count)]
    return [v for v in values if low - 1e-9 <= v <= high + 1e-9]


def _draw_line(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], ink: Colour) -> None:
    if len(points) > 1:
        draw.line(_finer(points), fill=ink, width=2 * _FINE, joint="curve")
    for x, y in points if len(points) < 60 else points[-1:]:
        r = 3.0
        draw.ellipse([(x - r) * _FINE, (y - r) * _FINE, (x + r) * _FINE, (y + r) * _FINE], fill=ink)


def _finer(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x * _FINE, y * _FINE) for x, y in points]


def _write_words(draw: ImageDraw.ImageDraw, lines: dict[str, Line], bounds: _Bounds, title: str) -> None:
    write_text(draw, (_LEFT, 14), title, size=20)
    for value in bounds.ticks_y():
        x, y = bounds.pixel(bounds.x0, value)
        write_text(draw, (x - 10, y), f"{value:g}", size=14, fill=FAINT, anchor="rm")
    for value in bounds.ticks_x():
        x, y = bounds.pixel(value, bounds.y0)
        write_text(draw, (x, y + 8), f"{value:g}", size=14, fill=FAINT, anchor="ma")
    write_text(draw, (_WIDTH - _RIGHT + 32, _HEIGHT - _BOTTOM + 8), "epoch", size=14, fill=FAINT)
    top = _TOP + 6
    for number, (name, line) in enumerate(lines.items(), start=1):
        left = _WIDTH - _RIGHT + 20
        draw.rounded_rectangle([left, top + 4, left + 15, top + 19], radius=3, fill=colour(number))
        last = f"{line[-1][1]:.4f}  " if line else ""
        write_text(draw, (left + 24, top + 12), f"{last}{_short(name)}", size=15, fill=INK, anchor="lm")
        top += 26


def _short(name: str) -> str:
    # the heading says already that it is Dice
    bare = name.removeprefix("dice_")
    return bare if len(bare) <= _MOST_LETTERS else f"{bare[: _MOST_LETTERS - 3]}..."
