"""TIFF: pages become channels, slices, time points or images of their own; none is taken for another."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from tiff_phantom import FLAT, PLAIN, RNG, STACK, refusal_of

from medseg.errors import SeriesAmbiguousError
from medseg.io.options import ReadOptions
from medseg.io.tiff import probe_tiff, read_tiff


def hyperstack(path: Path, order: str = "TZCYX", *, ome: bool) -> np.ndarray:
    array = RNG.integers(0, 60_000, (2, 3, 4, 13, 17), dtype=np.uint16)
    kind = {"ome": True} if ome else {"imagej": True}
    stored = array if order == "TZCYX" else array.transpose(0, 2, 1, 3, 4)
    tifffile.imwrite(path, stored, photometric="minisblack", metadata={"axes": order}, **kind)
    return array


@pytest.mark.parametrize(("order", "ome"), [("TZCYX", False), ("TZCYX", True), ("TCZYX", True)])
def test_time_slices_and_channels_are_told_apart(tmp_path, order, ome):
    array = hyperstack(tmp_path / "a.tif", order, ome=ome)
    refusal = refusal_of(tmp_path / "a.tif")
    assert (refusal.code, refusal.found) == ("E_DIMENSIONS_UNSUPPORTED", "2 time points")
    assert "--frame 0 to --frame 1" in refusal.remedy
    assert probe_tiff(tmp_path / "a.tif", ReadOptions(frame=1)).n_frames == 2
    for t in range(2):
        read = read_tiff(tmp_path / "a.tif", ReadOptions(frame=t))
        np.testing.assert_array_equal(read.array, array[t].transpose(1, 0, 2, 3))
    assert refusal_of(tmp_path / "a.tif", ReadOptions(frame=2)).code == "E_DIMENSIONS_UNSUPPORTED"


def test_one_channel_is_picked_by_number_or_name(tmp_path):
    array = hyperstack(tmp_path / "a.tif", ome=True)
    for channel in (2, "2"):
        read = read_tiff(tmp_path / "a.tif", ReadOptions(frame=0, channel=channel))
        np.testing.assert_array_equal(read.array[0], array[0, :, 2])
        assert read.channels == ("2",)
    for channel in (4, -1, "DAPI"):
        assert refusal_of(tmp_path / "a.tif", ReadOptions(frame=0, channel=channel)).code == "E_USAGE"


def test_axes_in_a_plain_note_are_obeyed(tmp_path):
    two = np.stack([STACK, STACK + 1])
    tifffile.imwrite(tmp_path / "a.tif", two, photometric="minisblack", metadata={"axes": "CZYX"})
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", PLAIN).array, two)
    tifffile.imwrite(tmp_path / "b.tif", two, photometric="minisblack", metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(read_tiff(tmp_path / "b.tif", PLAIN).array, two.transpose(1, 0, 2, 3))
    tifffile.imwrite(tmp_path / "c.tif", two, photometric="minisblack", metadata={"axes": "HZYX"})
    assert refusal_of(tmp_path / "c.tif").code == "E_DIMENSIONS_UNSUPPORTED"


def test_many_unnamed_pages_are_slices_and_few_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "six.tif", STACK, photometric="minisblack")
    read = read_tiff(tmp_path / "six.tif", PLAIN)
    np.testing.assert_array_equal(read.array[0], STACK)
    assert read.source.details["axes_assumed"]
    tifffile.imwrite(tmp_path / "three.tif", STACK[:3], photometric="minisblack")
    refusal = refusal_of(tmp_path / "three.tif")
    assert refusal.code == "E_DIMENSIONS_UNSUPPORTED"
    assert "--frame" in refusal.remedy
    one = read_tiff(tmp_path / "three.tif", ReadOptions(frame=1))
    np.testing.assert_array_equal(one.array[0], STACK[1])
    slices = read_tiff(tmp_path / "three.tif", ReadOptions(pixel_size=(2.0, 0.5, 0.5)))
    np.testing.assert_array_equal(slices.array[0], STACK[:3])
    tifffile.imwrite(tmp_path / "four_d.tif", np.stack([STACK, STACK]), photometric="minisblack")
    assert refusal_of(tmp_path / "four_d.tif").code == "E_DIMENSIONS_UNSUPPORTED"


def test_unlike_pages_are_images_to_choose_from(tmp_path):
    small = FLAT[::2]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(FLAT, metadata=None)
        for page in np.stack([small, small + 1]):
            writer.write(page, metadata=None, contiguous=False)
    with pytest.raises(SeriesAmbiguousError, match="--series") as caught:
        read_tiff(tmp_path / "a.tif", PLAIN)
    assert [key for key, _ in caught.value.choices] == ["0", "1"]
    assert caught.value.choices[1][1] == "17 x 7, 2 pages, 1 value per pixel"
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", ReadOptions(series="0")).array[0], FLAT)
    assert refusal_of(tmp_path / "a.tif", ReadOptions(series="1")).code == "E_DIMENSIONS_UNSUPPORTED"
    second = read_tiff(tmp_path / "a.tif", ReadOptions(series="1", frame=1))
    np.testing.assert_array_equal(second.array[0], small + 1)
    assert second.source.details["series"] == "1"
    # a page is chosen among all pages where no image is
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", ReadOptions(frame=2)).array[0], small + 1)
    found = probe_tiff(tmp_path / "a.tif", ReadOptions(series="1", frame=0))
    assert ([s.n_images for s in found.series], found.n_frames) == ([1, 2], 2)


def test_two_stacks_of_one_size_are_two_images(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK, photometric="minisblack", metadata={"axes": "ZYX"})
        writer.write(STACK + 1, photometric="minisblack", metadata={"axes": "ZYX"})
    assert refusal_of(tmp_path / "a.tif").code == "E_SERIES_AMBIGUOUS"
    assert refusal_of(tmp_path / "a.tif", ReadOptions(series="2")).code == "E_SERIES_AMBIGUOUS"
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", ReadOptions(series="1")).array[0], STACK + 1)


def test_a_stack_that_was_written_page_by_page_is_one_image(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in STACK:
            writer.write(page, contiguous=False)  # each page says of itself that it is one
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", PLAIN).array[0], STACK)


def test_a_series_that_is_not_there_is_no_reason_to_read_another(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack")
    assert refusal_of(tmp_path / "a.tif", ReadOptions(series="1")).code == "E_SERIES_AMBIGUOUS"


def test_a_preview_is_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(FLAT, metadata=None)
        writer.write(FLAT[::2], metadata=None, subfiletype=1)
    read = read_tiff(tmp_path / "b.tif", PLAIN)
    np.testing.assert_array_equal(read.array[0], FLAT)
    assert read.source.details["previews_left_out"] == "1"
