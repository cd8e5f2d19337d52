"""One colour per class number: the same in every sheet, apart for colour-blind eyes as far as the first classes go."""

from __future__ import annotations

import colorsys

Colour = tuple[int, int, int]

PAPER: Colour = (12, 14, 17)
INK: Colour = (236, 238, 240)
FAINT: Colour = (150, 156, 164)

# Okabe & Ito's colours without black, those that stand out from grey first
_FIRST: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)
_GOLDEN = 0.61803398875
_TONES = ((0.55, 0.95), (0.85, 0.80), (0.35, 1.00))


def colour(class_id: int) -> Colour:
    """Return the red, green and blue (0 to 255) of a class or object number.

    The first seven are safe for colour-blind readers; beyond them hues repeat at other strengths.

    Examples
    --------
    >>> colour(1)
    (230, 159, 0)
    """
    if 1 <= class_id <= len(_FIRST):
        return _FIRST[class_id - 1]
    strength, value = _TONES[class_id % len(_TONES)]
    red, green, blue = colorsys.hsv_to_rgb((class_id * _GOLDEN) % 1.0, strength, value)
    return round(red * 255), round(green * 255), round(blue * 255)
