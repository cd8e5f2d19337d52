"""Lines of text in the font that comes with Pillow: no font of the system is needed, so every sheet looks alike.

That font holds ASCII and little more. Accents are taken off, ``µ`` and raised digits are put together from what is
there, and whatever else it lacks becomes a question mark (see `is_readable`).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageDraw, ImageFont

from medseg.report.colours import INK, Colour

_EXTRA = frozenset("°±·«»…©")
_RAISED = {"²": "2", "³": "3"}
_SPELT = {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "ł": "l", "Ł": "L"}
_SPELT |= {"\u2013": "-", "\u2014": "-", "\u00d7": "x", "\u2019": "'"}
_MICRO = "µ"


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the built-in font in `size` pixels."""
    found = ImageFont.load_default(float(size))
    assert isinstance(found, ImageFont.FreeTypeFont)  # a size is only honoured by the scalable one
    return found


def readable(text: str) -> str:
    """Return `text` in the characters that can be drawn.

    Examples
    --------
    >>> readable("Läsion × 2 µm²"), readable("肝")
    ('Lasion x 2 µm²', '?')
    """
    letters = []
    for letter in text.replace("\u03bc", _MICRO):
        if letter in _RAISED or letter == _MICRO or _is_drawn(letter):
            letters.append(letter)
        elif letter in _SPELT:
            letters.append(_SPELT[letter])
        else:
            bare = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
            letters.append(bare if bare and all(map(_is_drawn, bare)) else "?" * bool(bare))
    return "".join(letters)


def is_readable(text: str) -> bool:
    """Tell whether a name survives being drawn: no letter of it becomes a question mark."""
    return readable(text).count("?") == text.count("?")


def text_width(text: str, size: int) -> float:
    """Return the width of a line in pixels."""
    return sum(font(s).getlength(part) for part, s, _ in _runs(readable(text), size))


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
    """Write one line; `halo` adds a dark edge, so that it reads on any image.

    `anchor` is Pillow's: l, m or r across, then a, m, s or d (ascender, middle, baseline, descender).
    """
    words = readable(text)
    ascent, descent = font(size).getmetrics()
    x = place[0] - text_width(words, size) * {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]]
    base = place[1] + {"a": ascent, "m": (ascent - descent) / 2, "s": 0.0, "d": -descent}[anchor[1]]
    stroke = 2 if halo else 0
    for part, run_size, lift in _runs(words, size):
        shown = "u" if part == _MICRO else part
        where = (round(x), round(base - lift))
        draw.text(where, shown, font=font(run_size), fill=fill, anchor="ls", stroke_width=stroke, stroke_fill=(0, 0, 0))
        if part == _MICRO:
            _write_stem(draw, where, size, fill, halo=halo)
        x += font(run_size).getlength(shown)


def fitted(text: str, size: int, width: float) -> str:
    """Return `text`, its middle replaced by dots where it is wider than `width` pixels.

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


def _runs(text: str, size: int) -> list[tuple[str, int, float]]:
    """Split a line into parts with their font size and lift above the baseline."""
    runs: list[tuple[str, int, float]] = []
    plain = ""
    for letter in text:
        if letter != _MICRO and letter not in _RAISED:
            plain += letter
            continue
        if plain:
            runs.append((plain, size, 0.0))
        plain = ""
        runs.append((_MICRO, size, 0.0) if letter == _MICRO else (_RAISED[letter], round(size * 0.65), size * 0.33))
    return [*runs, (plain, size, 0.0)] if plain else runs


def _write_stem(draw: ImageDraw.ImageDraw, base: tuple[int, int], size: int, fill: Colour, *, halo: bool) -> None:
    """Lengthen the left stem of a ``u`` below the line: the letter micro."""
    left, top, _, _ = font(size).getbbox("u", anchor="ls")
    x, y = base[0] + left, base[1]
    breadth, end = max(1, round(size / 11)) - 1, y + max(2, round(size * 0.19))
    if halo:
        draw.rectangle([x - 2, y + 1, x + breadth + 2, end + 2], fill=(0, 0, 0))
    draw.rectangle([x, y + top, x + breadth, end], fill=fill)


def _is_drawn(letter: str) -> bool:
    return " " <= letter <= "~" or letter in _EXTRA
