"""OME-TIFF: planes are where the XML says, or refused; nothing outside the file is read."""

from pathlib import Path

import numpy as np
import pytest
from tiff_phantom import PLAIN, STACK, described, refusal_of

from medseg.errors import SeriesAmbiguousError
from medseg.io.options import ReadOptions
from medseg.io.tiff import probe_tiff, read_tiff


def ome(path: Path, inner: str, *, size: str = 'SizeZ="6" SizeC="1" SizeT="1"', root: str = "", head: str = "") -> Path:
    text = (
        f'<?xml version="1.0"?>{head}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" {root}>'
        '<Image ID="Image:0">'
        f'<Pixels DimensionOrder="XYZCT" Type="uint16" SizeX="17" SizeY="13" {size}>{inner}</Pixels></Image></OME>'
    )
    return described(path, text)


def test_planes_are_found_where_the_xml_says_they_are(tmp_path):
    backwards = "".join(f'<TiffData FirstZ="{z}" IFD="{5 - z}" PlaneCount="1"/>' for z in range(6))
    np.testing.assert_array_equal(read_tiff(ome(tmp_path / "a.tif", backwards), PLAIN).array[0], STACK[::-1])


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ('<TiffData FirstZ="0" IFD="0" PlaneCount="5"/>', "E_INPUT_UNREADABLE"),
        ('<TiffData FirstZ="0" IFD="2" PlaneCount="6"/>', "E_INPUT_UNREADABLE"),
        ('<TiffData FirstZ="9" IFD="0"/>', "E_INPUT_UNREADABLE"),
        ('<TiffData FirstZ="x" IFD="0"/>', "E_INPUT_UNREADABLE"),
        ('<TiffData IFD="0"><UUID FileName="../b.ome.tif">u</UUID></TiffData>', "E_PATH_UNSAFE"),
        ('<TiffData IFD="0"><UUID FileName="/tmp/b.ome.tif">u</UUID></TiffData>', "E_PATH_UNSAFE"),
        ('<TiffData IFD="0"><UUID FileName="C:\\b.tif">u</UUID></TiffData>', "E_PATH_UNSAFE"),
        ('<TiffData><UUID FileName="b.tif">u</UUID></TiffData><TiffData><UUID FileName="c.tif">v</UUID></TiffData>',
         "E_INPUT_FORMAT"),
        ("<broken", "E_INPUT_UNREADABLE"),
    ],
)  # fmt: skip
def test_planes_that_are_elsewhere_or_nowhere_are_refused(tmp_path, inner, code):
    assert refusal_of(ome(tmp_path / "a.tif", inner)).code == code


def test_an_ome_file_that_was_renamed_is_still_its_own(tmp_path):
    named = '<TiffData><UUID FileName="old name.ome.tif">urn:uuid:1</UUID></TiffData>'
    path = ome(tmp_path / "new.tif", named, root='UUID="urn:uuid:1"')
    np.testing.assert_array_equal(read_tiff(path, PLAIN).array[0], STACK)


def test_more_planes_than_pages_and_entities_are_refused(tmp_path):
    path = ome(tmp_path / "a.tif", "", size='SizeZ="7" SizeC="1" SizeT="1"')
    assert refusal_of(path).code == "E_INPUT_UNREADABLE"
    path = ome(tmp_path / "b.tif", "", head='<!DOCTYPE x [<!ENTITY a "aaaa">]>')
    assert refusal_of(path).code == "E_UNSAFE_CONTENT"


def test_several_images_in_one_file_are_listed_to_choose_from(tmp_path):
    pixels = '<Pixels DimensionOrder="XYZCT" Type="uint16" SizeX="17" SizeY="13" SizeZ="3" SizeC="1" SizeT="1">'
    images = "".join(
        f'<Image ID="Image:{i}">{pixels}<TiffData IFD="{3 * i}" PlaneCount="3"/></Pixels></Image>' for i in range(2)
    )
    path = described(tmp_path / "a.tif", f'<?xml version="1.0"?><OME xmlns="x">{images}</OME>')
    with pytest.raises(SeriesAmbiguousError) as caught:
        read_tiff(path, PLAIN)
    assert [key for key, _ in caught.value.choices] == ["Image:0", "Image:1"]
    np.testing.assert_array_equal(read_tiff(path, ReadOptions(series="Image:1")).array[0], STACK[3:])
    found = probe_tiff(path, ReadOptions(series="1"))
    assert [(s.key, s.n_images, s.shape) for s in found.series] == [(f"Image:{i}", 3, (3, 13, 17)) for i in range(2)]
