import numpy as np
import pytest
from scipy import ndimage

from medseg.ops.spoil import LEVELS, WAYS, spoiled


def scan(shape=(2, 14, 17, 12), seed=0):
    noise = np.random.default_rng(seed).normal(size=shape)
    return (100 * ndimage.gaussian_filter(noise, (0, *(1.0,) * (len(shape) - 1)))).astype(np.float32)


def rng(seed=5):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(2, 14, 17, 12), (1, 20, 23), (1, 1, 5, 4)])
def test_a_spoiled_scan_has_numbers_everywhere_and_the_scan_itself_is_kept(way, shape):
    image = scan(shape)
    before = image.copy()
    for level in LEVELS:
        worse = spoiled(image, way, level, rng())
        assert worse.shape == shape
        assert worse.dtype == np.float32
        assert np.isfinite(worse).all()
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("way", WAYS)
def test_equal_seeds_spoil_alike(way):
    np.testing.assert_array_equal(spoiled(scan(), way, 2, rng()), spoiled(scan(), way, 2, rng()))


@pytest.mark.parametrize("way", WAYS)
def test_stronger_levels_are_further_from_the_scan(way):
    image = scan()
    away = [np.mean([np.abs(spoiled(image, way, level, rng(s)) - image).mean() for s in range(8)]) for level in LEVELS]
    assert away[0] > 0
    assert (np.diff(away) > 0).all()


@pytest.mark.parametrize("way", WAYS)
def test_gain_and_offset_of_the_scanner_do_not_matter(way):
    image = scan()
    other = spoiled(3 * image + 1000, way, 2, rng())
    np.testing.assert_allclose(other, 3 * spoiled(image, way, 2, rng()) + 1000, atol=0.5)


@pytest.mark.parametrize("way", WAYS)
def test_an_image_of_one_value_can_be_spoiled(way):
    assert np.isfinite(spoiled(np.full((1, 6, 5, 4), 7.0, np.float32), way, 3, rng())).all()
