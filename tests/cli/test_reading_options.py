"""Reading options from the text of a command line."""

import pytest

from medseg.cli.reading import Form, reading
from medseg.errors import UsageError
from medseg.io.options import ReadOptions


def options(**changes):
    given = dict.fromkeys(("series", "channel", "frame", "pixel_size", "form", "assume_orientation"))
    return reading(**given | changes)


def test_nothing_said_is_the_default():
    assert options() == ReadOptions()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"channel": "1"}, ReadOptions(channel=1)),
        ({"channel": "DAPI"}, ReadOptions(channel="DAPI")),
        ({"pixel_size": "0.25"}, ReadOptions(pixel_size=(0.25,))),
        ({"pixel_size": "1,0.25,0.5"}, ReadOptions(pixel_size=(1.0, 0.25, 0.5))),
        ({"form": Form.sform}, ReadOptions(form="sform")),
        ({"assume_orientation": "lps"}, ReadOptions(assume_orientation="LPS")),
    ],
)
def test_text_becomes_values(given, expected):
    assert options(**given) == expected


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "a", "1,2,3,4", "1,,2"])
def test_a_pixel_size_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--pixel-size"):
        options(pixel_size=text)


@pytest.mark.parametrize("text", ["", "RA", "RAR", "RLS", "XYZ", "RASP"])
def test_an_orientation_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--assume-orientation"):
        options(assume_orientation=text)
