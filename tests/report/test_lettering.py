"""Every line can be read: units as people write them, nothing shown as an empty box."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from medseg.report.drawing import round_length
from medseg.report.lettering import fitted, font, is_readable, readable, text_width, write_text


def _drawn(text: str, **options) -> np.ndarray:
    page = Image.new("RGB", (400, 60))
    write_text(ImageDraw.Draw(page), (200, 30), text, **options)
    return np.asarray(page)


@pytest.mark.parametrize("letter", [*"µ²³°…", *map(chr, range(33, 127))])
def test_every_letter_that_stays_has_a_shape_of_its_own(letter):
    assert readable(letter) == letter
    box = Image.new("RGB", (400, 60))
    ImageDraw.Draw(box).text((200, 30), "\uffff", font=font(16), anchor="la")
    assert _drawn(letter).any()
    assert not np.array_equal(_drawn(letter), np.asarray(box))


def test_micro_is_not_drawn_as_the_letter_u():
    below = _drawn("µm", anchor="ls")[31:]
    assert below.any()
    assert not _drawn("um", anchor="ls")[31:].any()


def test_a_raised_digit_stands_above_the_line():
    rows = np.flatnonzero(_drawn("²", anchor="ls").any(axis=(1, 2)))
    assert rows.max() < 29


@pytest.mark.parametrize(
    ("name", "shown", "whole"),
    [
        ("liver", "liver", True),
        ("Tumeur kystique é", "Tumeur kystique e", True),
        ("Weißes", "Weisses", True),
        ("肝臓", "??", False),
        ("what?", "what?", True),
        ("a\u202eb\n", "a?b?", False),
    ],
)
def test_what_the_font_lacks_is_replaced_and_known_to_be(name, shown, whole):
    assert readable(name) == shown
    assert is_readable(name) is whole


def test_a_long_line_is_shortened_in_its_middle_to_the_room_there_is():
    short = fitted("hippocampus_of_a_very_long_name_001", 16, 150)
    assert short.startswith("hipp")
    assert short.endswith("001")
    assert text_width(short, 16) <= 150


@pytest.mark.parametrize("anchor", ["la", "ms", "rd", "mm"])
def test_anchors_place_a_line_as_pillow_does(anchor):
    page = Image.new("RGB", (400, 60))
    ImageDraw.Draw(page).text((200, 30), "Agp", font=font(16), anchor=anchor)
    theirs, ours = (np.argwhere(a.any(axis=2)) for a in (np.asarray(page), _drawn("Agp", anchor=anchor)))
    assert np.abs(theirs.min(axis=0) - ours.min(axis=0)).max() <= 2


@pytest.mark.parametrize("longest", [0.003, 0.99, 1.0, 4.99, 5.0, 73.0, 12345.0])
def test_a_scale_bar_is_round_and_at_least_two_fifths_of_its_room(longest):
    length = round_length(longest)
    assert 0.4 * longest <= length <= longest * (1 + 1e-9)
    assert f"{length:e}"[0] in "125"
