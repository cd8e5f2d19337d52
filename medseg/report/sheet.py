"""Panels, title, legend and footer on one page."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

import medseg
from medseg.report.colours import FAINT, INK, PAPER, Colour
from medseg.report.drawing import write_scale_bar
from medseg.report.lettering import fitted, text_width, write_text
from medseg.report.panel import Picture

FOOTER = "research use only - not for diagnosis"
_GAP = 10
_MARGIN = 24
_HEAD = 78
_FOOT = 44
_LINE = 26
_LEGEND = 320
_CAPTION = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a sheet.

    Parameters
    ----------
    picture : (height, width, 3) uint8 array
    caption : str
        Stands above the picture.
    letters : (left, right, top, bottom)
        What lies beyond each side of the picture; empty for none.
    """

    picture: Picture
    caption: str
    letters: tuple[str, str, str, str] = ("", "", "", "")


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures of one scale beside each other."""

    panels: tuple[Panel, ...]
    pixels_per_unit: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the legend; without a colour it is a remark."""

    name: str
    amount: str = ""
    colour: Colour | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page: rows of panels with words around them."""

    title: str
    subtitle: str
    rows: tuple[Row, ...]
    legend: tuple[Entry, ...]
    remarks: tuple[str, ...]
    unit: str

    def draw(self) -> Image.Image:
        """Return the page as an RGB picture."""
        heights = [max(p.picture.shape[0] for p in row.panels) + _CAPTION + _GAP for row in self.rows]
        body = max(sum(heights), _LINE * 6)
        breadth = max(sum(p.picture.shape[1] + _GAP for p in row.panels) for row in self.rows)
        columns = self._legend_columns(body)
        width = _MARGIN * 2 + breadth + len(columns) * _LEGEND
        page = Image.new("RGB", (width, _HEAD + body + _FOOT), PAPER)
        draw = ImageDraw.Draw(page)
        self._write_words(draw, page.size)
        top = _HEAD
        for row, height in zip(self.rows, heights, strict=True):
            self._place_row(page, draw, row, top)
            top += height
        for number, entries in enumerate(columns):
            _write_legend(draw, (_MARGIN + breadth + _GAP + number * _LEGEND, _HEAD + _CAPTION), entries)
        return page

    def _write_words(self, draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
        width, height = size
        room = width - 2 * _MARGIN
        write_text(draw, (_MARGIN, 16), fitted(self.title, 26, room), size=26)
        write_text(draw, (_MARGIN, 48), fitted(self.subtitle, 15, room), size=15, fill=FAINT)
        words = f"medseg {medseg.__version__} - {FOOTER}"
        write_text(draw, (_MARGIN, height - 16), words, size=15, fill=INK, anchor="ls")

    def _place_row(self, page: Image.Image, draw: ImageDraw.ImageDraw, row: Row, top: int) -> None:
        left = _MARGIN
        for number, panel in enumerate(row.panels):
            height, width = panel.picture.shape[:2]
            write_text(draw, (left, top + 3), fitted(panel.caption, 15, width), size=15)
            page.paste(Image.fromarray(panel.picture), (left, top + _CAPTION))
            box = (left, top + _CAPTION, left + width, top + _CAPTION + height)
            _write_letters(draw, box, panel.letters)
            if number == 0:
                place = (left + 12, box[3] - 10)
                write_scale_bar(draw, place, pixels_per_unit=row.pixels_per_unit, room=self._bar(row), unit=self.unit)
            left += width + _GAP

    def _bar(self, row: Row) -> float:
        """Return the room for a scale bar: of one length in all rows of one scale."""
        alike = [r for r in self.rows if r.pixels_per_unit == row.pixels_per_unit]
        return max(20.0, 0.4 * min(p.picture.shape[1] for r in alike for p in r.panels))

    def _legend_columns(self, body: int) -> list[list[Entry]]:
        fits = max(4, (body - _CAPTION) // _LINE)
        entries = [*self.legend, *(Entry(remark) for remark in self.remarks)]
        columns = [entries[start : start + fits] for start in range(0, len(entries), fits)]
        return columns or [[]]


def _write_letters(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], letters: tuple[str, str, str, str]
) -> None:
    x0, y0, x1, y1 = box
    middle, centre = (y0 + y1) / 2, (x0 + x1) / 2
    places = (((x0 + 6, middle), "lm"), ((x1 - 6, middle), "rm"), ((centre, y0 + 4), "ma"), ((centre, y1 - 5), "md"))
    for letter, (place, anchor) in zip(letters, places, strict=True):
        if letter:
            write_text(draw, place, letter, size=18, anchor=anchor, halo=True)


def _write_legend(draw: ImageDraw.ImageDraw, place: tuple[int, int], entries: list[Entry]) -> None:
    left, top = place
    right = left + _LEGEND - _GAP * 2
    for entry in entries:
        if entry.colour is None and not entry.amount:
            write_text(draw, (left, top + 4), fitted(entry.name, 14, right - left), size=14, fill=FAINT)
        else:
            ink = FAINT if entry.colour is None else INK
            if entry.colour is not None:
                draw.rounded_rectangle([left, top + 3, left + 17, top + 20], radius=3, fill=entry.colour)
            room = right - left - 28 - text_width(entry.amount, 16)
            write_text(draw, (left + 27, top + 12), fitted(entry.name, 16, room), size=16, fill=ink, anchor="lm")
            write_text(draw, (right, top + 12), entry.amount, size=16, fill=ink, anchor="rm")
        top += _LINE
