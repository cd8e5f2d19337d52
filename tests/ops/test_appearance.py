"""A few numbers say what an image looks like, whatever its units, its size and the way it is stored."""

import numpy as np
import pytest

from medseg.grid import image_grid
from medseg.ops.appearance import BINS, LEVELS, appearance
from medseg.ops.reorient import reoriented
from medseg.volume import Volume


@pytest.fixture
def scan(oblique_grid):
    rng = np.random.default_rng(3)
    slopes = np.indices(oblique_grid.shape).astype(np.float32)
    array = slopes[0] + 2 * slopes[1] ** 1.5 - slopes[2] + rng.normal(0, 2, oblique_grid.shape)
    return Volume(array[None].astype(np.float32), oblique_grid)


def test_gain_and_offset_of_the_scanner_change_nothing_but_the_lowest_and_middle_value(scan):
    one = appearance(scan)[0]
    other = appearance(Volume(scan.array * 37.0 + 500.0, scan.grid))[0]
    assert other.spread == pytest.approx(one.spread, abs=1e-4)
    assert other.layout == pytest.approx(one.layout, abs=1e-4)
    assert other.middle == pytest.approx(one.middle * 37.0 + 500.0, rel=1e-4)


def test_the_way_a_scan_is_stored_changes_nothing(scan):
    wanted = appearance(scan, "RAS")[0]
    for codes in ("LPS", "PIR", "ASL"):
        assert appearance(reoriented(scan, codes), "RAS")[0].layout == pytest.approx(wanted.layout, abs=1e-5)
    assert appearance(reoriented(scan, "PIR"))[0].layout != pytest.approx(wanted.layout, abs=1e-2)


def test_the_layout_is_the_mean_of_blocks_in_the_order_of_the_axes():
    blocks = np.arange(16.0).reshape(4, 4)
    picture = Volume(np.kron(blocks, np.ones((5, 3)))[None], image_grid((20, 12), (1.0, 1.0), "px"))
    layout = np.array(appearance(picture)[0].layout).reshape(4, 4)
    np.testing.assert_allclose(layout, (blocks - 7.5) / blocks.std(), atol=0.02)


@pytest.mark.parametrize("shape", [(1, 9, 7), (2, 3, 40), (33, 5, 1)])
def test_thin_images_have_a_layout_too(shape):
    values = np.random.default_rng(0).normal(size=shape)
    look = appearance(Volume(values[None], image_grid(shape, (1.0, 1.0, 1.0), "um")))[0]
    assert len(look.layout) == BINS**3
    assert np.isfinite(look.layout).all()


def test_a_few_values_that_are_no_numbers_or_absurd_do_not_matter(scan):
    array = scan.array.copy()
    array[0, 0, 0, :3] = [np.nan, np.inf, -1e20]
    spoilt, own = appearance(Volume(array, scan.grid))[0], appearance(scan)[0]
    assert spoilt.layout[2:] == pytest.approx(own.layout[2:], abs=0.05)  # the first two blocks hold the three
    assert np.isfinite([spoilt.lowest, spoilt.middle, *spoilt.spread]).all()


def test_an_even_image_has_no_layout_and_an_empty_one_of_nan_none_either():
    grid = image_grid((6, 6), (1.0, 1.0), "px")
    for value in (7.25, np.nan):
        look = appearance(Volume(np.full((1, 6, 6), value), grid))[0]
        assert set(look.layout) == {0.0}
        assert look.spread == (0.0,) * len(LEVELS)


def test_a_blank_end_is_measured_along_the_axis_where_it_is_longest(scan):
    array = scan.array.copy()
    n = array.shape[2]
    array[0, :, n // 2 :] = 0
    assert appearance(Volume(array, scan.grid))[0].blank == pytest.approx((n - n // 2) / n)
    assert appearance(scan)[0].blank == 0


def test_channels_are_described_one_by_one():
    array = np.stack([np.full((4, 4), 3), np.arange(16).reshape(4, 4)])
    even, ramp = appearance(Volume(array, image_grid((4, 4), (1.0, 1.0), "px")))
    assert even.blank == 1.0
    assert ramp.blank == 0.0
    assert even.whole == ramp.whole == 1.0
