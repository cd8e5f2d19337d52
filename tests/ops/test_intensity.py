import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseg.errors import InputError, UsageError
from medseg.grid import image_grid
from medseg.ops import intensity
from medseg.ops.intensity import inspect, normalised, sample
from medseg.volume import Source, Volume


@pytest.fixture
def scan(oblique_grid):
    def make(*channels):
        array = np.stack([np.asarray(c).reshape(oblique_grid.shape) for c in channels])
        return Volume(array, oblique_grid, source=Source("scan.nii.gz", "nifti"))

    return make


@pytest.fixture
def noise(oblique_grid):
    return np.random.default_rng(5).normal(100.0, 20.0, size=oblique_grid.shape).astype(np.float32)


def codes(notices):
    return [n.code for n in notices]


def test_nan_becomes_the_lowest_and_infinities_the_ends_of_the_plausible_values(scan, noise):
    noise[0, 0, 0], noise[1, 1, 1], noise[2, 2, 2] = np.nan, np.inf, -np.inf
    good = noise[np.isfinite(noise)]
    before = noise.copy()
    clean, notices = inspect(scan(noise))
    assert codes(notices) == ["W_NONFINITE_REPLACED"]
    assert "3 of 693 values" in notices[0].text
    assert clean.warnings == notices
    assert clean.array.dtype == np.float32
    assert clean.array[0, 0, 0, 0] == clean.array[0, 2, 2, 2] == good.min()
    assert clean.array[0, 1, 1, 1] == good.max()
    kept = np.isfinite(before)
    np.testing.assert_array_equal(clean.array[0][kept], before[kept])
    np.testing.assert_array_equal(noise, before)


@pytest.mark.parametrize("hot", [3e38, -3e38, 1e12])
def test_a_hot_voxel_is_clipped_to_the_plausible_values_and_said(scan, noise, hot):
    usual = noise[noise != noise[3, 3, 3]]
    noise[3, 3, 3] = hot
    clean, notices = inspect(scan(noise))
    assert codes(notices) == ["W_INTENSITY_OUT_OF_RANGE"]
    assert clean.array[0, 3, 3, 3] == (usual.max() if hot > 0 else usual.min())
    assert np.isfinite(normalised(clean.array, scheme="zscore")).all()


def test_a_hot_voxel_does_not_hide_behind_a_nan_or_an_empty_image(scan, noise):
    noise[3, 3, 3], noise[0, 0, 0] = 3e38, np.nan
    clean, notices = inspect(scan(noise))
    assert codes(notices) == ["W_NONFINITE_REPLACED", "W_INTENSITY_OUT_OF_RANGE"]
    assert clean.array.max() < 300
    empty = np.zeros_like(noise)
    empty[3, 3, 3] = 3e38
    clean, notices = inspect(scan(empty))
    assert codes(notices) == ["W_INTENSITY_OUT_OF_RANGE", "W_CONSTANT_IMAGE"]
    assert not clean.array.any()


def ordinary_images():
    rng = np.random.default_rng(7)
    shape = (11, 9, 7)
    ct = np.where(rng.random(shape) < 0.5, -1024.0, rng.normal(40, 30, shape))
    ct[4:6, 4:6, 3] = 30000.0
    mr = np.abs(rng.normal(0, 3, shape))
    mr[3:8, 3:7, 2:5] += rng.normal(800, 100, (5, 4, 3))
    stripped = np.zeros(shape)
    stripped[5, 5, 3] = 65535.0
    dots = rng.normal(0, 1e-6, shape)
    dots[2, 2, 2] = 1.0
    pet = rng.exponential(5.0, shape)
    pet[6, 4, 3] = 4e6
    tiny = rng.normal(1e-12, 1e-13, shape)
    vast = rng.normal(1e12, 1e11, shape)
    return {
        "CT with metal": ct, "MR": mr, "one bright voxel": stripped, "few bright dots on fine noise": dots,
        "PET in Bq/ml": pet, "tiny numbers": tiny, "vast numbers": vast,
    }  # fmt: skip


@pytest.mark.parametrize("name", ordinary_images())
def test_ordinary_images_pass_without_a_word_and_without_a_copy(scan, name):
    volume = scan(ordinary_images()[name].astype(np.float32))
    clean, notices = inspect(volume)
    assert notices == ()
    assert clean is volume


def test_integers_are_never_copied(scan):
    values = np.arange(693, dtype=np.int32)
    values[7] = 2**31 - 1
    volume = scan(values)
    assert inspect(volume) == (volume, ())


def test_more_than_half_of_the_values_missing_is_refused_with_the_file_name(scan, noise):
    noise.ravel()[: 693 // 2] = np.nan
    assert codes(inspect(scan(noise))[1]) == ["W_NONFINITE_REPLACED"]
    noise.ravel()[: 693 // 2 + 1] = np.nan
    with pytest.raises(InputError, match=r"scan\.nii\.gz: found 347 of 693 values") as caught:
        inspect(scan(noise))
    assert caught.value.code == "E_VALUES_NONFINITE"


def test_a_constant_scan_and_an_empty_sequence_are_named(scan, noise):
    assert codes(inspect(scan(np.full(693, 7, np.int16)))[1]) == ["W_CONSTANT_IMAGE"]
    notices = inspect(scan(noise, np.zeros_like(noise)))[1]
    assert codes(notices) == ["W_CONSTANT_IMAGE"]
    assert "channel 1" in notices[0].text


def test_a_picture_without_blue_is_ordinary_but_an_empty_one_is_named():
    grid = image_grid((4, 5), (1.0, 1.0), "px")
    array = np.zeros((3, 4, 5), np.uint8)
    array[0, 1, 1] = 9
    assert inspect(Volume(array, grid, ("r", "g", "b")))[1] == ()
    assert codes(inspect(Volume(array * 0, grid))[1]) == ["W_CONSTANT_IMAGE"]


def test_only_the_channel_with_faults_changes(scan, noise):
    other = noise + 1
    other[0, 0, 0] = np.nan
    clean, _ = inspect(scan(noise, other))
    np.testing.assert_array_equal(clean.array[0], noise)


def test_zscore_uses_the_values_between_the_percentiles_and_clips(noise):
    noise[0, 0, 0] = 1e6
    found = normalised(noise[None], scheme="zscore")
    low, high = np.percentile(noise, (0.5, 99.5))
    inner = noise[(noise >= low) & (noise <= high)].astype(np.float64)
    assert found.dtype == np.float32
    assert found[0, 0, 0, 0] == 10
    np.testing.assert_allclose(found[0, 1], (noise[1] - inner.mean()) / inner.std(), atol=1e-4)


def test_ct_clips_then_scales_by_fixed_numbers():
    values = np.array([[[-2000, -100, 0, 300, 3000]]], np.int16)
    found = normalised(values, scheme="ct", low=-100, high=300, mean=100, std=50)
    np.testing.assert_allclose(found, [[[-4, -4, -2, 4, 4]]])


def test_the_two_percentiles_become_zero_and_one(noise):
    found = normalised(noise[None], scheme="percentile", percentiles=(1, 99))
    np.testing.assert_allclose(np.percentile(found, (1, 99)), (0, 1), atol=1e-5)
    noise[0, 0, 0], noise[0, 0, 1] = 1e6, -1e6
    found = normalised(noise[None], scheme="percentile")
    assert (found.min(), found.max()) == (-0.5, 1.5)


@given(
    arrays(np.int16, (2, 5, 4)), st.floats(0.01, 100), st.floats(-1e4, 1e4), st.sampled_from(["zscore", "percentile"])
)
@settings(deadline=None)
def test_the_scale_and_offset_of_an_image_do_not_matter(values, scale, offset, scheme):
    a = normalised(values, scheme=scheme)
    b = normalised(values * scale + offset, scheme=scheme)
    assert np.isfinite(a).all()
    assert np.isfinite(b).all()
    for channel in range(2):
        spread = np.ptp(values[channel].astype(float))
        if spread:  # the percentiles of nearly equal values are compared up to rounding
            np.testing.assert_allclose(a[channel], b[channel], atol=2e-2)


def test_the_distance_of_two_short_integers_does_not_overflow():
    values = np.zeros((1, 4, 5), np.int16)
    values[0, 0, :2] = 1, -32768
    np.testing.assert_array_equal(
        normalised(values, scheme="zscore"), normalised(values.astype(np.float64), scheme="zscore")
    )


@pytest.mark.parametrize("scheme", ["zscore", "percentile"])
def test_a_constant_channel_becomes_zeros_and_a_sparse_one_keeps_its_object(scheme):
    array = np.full((2, 20, 20), 0.1)
    array[1, 3, 4] = 1.3
    found = normalised(array, scheme=scheme)
    assert not found[0].any()
    assert found[1, 3, 4] > found[1, 0, 0] + 0.9


def test_a_large_offset_does_not_eat_the_contrast():
    values = np.random.default_rng(0).normal(size=(1, 30, 30)) + 1e8
    found = normalised(values, scheme="zscore")
    assert np.corrcoef(found.ravel(), values.ravel())[0, 1] > 0.999


def test_a_sample_of_a_large_image_has_the_statistics_of_the_whole(monkeypatch):
    monkeypatch.setattr(intensity, "SAMPLE_VOXELS", 5_000)
    ramp = np.broadcast_to(np.arange(128.0), (64, 64, 128)).copy()  # columns: a stride of 64 would see two of them
    part = sample(ramp)
    assert 5_000 / 2 <= part.size <= 5_000
    np.testing.assert_allclose(np.percentile(part, (1, 50, 99)), np.percentile(ramp, (1, 50, 99)), atol=2)
    np.testing.assert_array_equal(part, sample(ramp))


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "ct"},
        {"scheme": "ct", "low": 0, "high": 1, "mean": 0, "std": 0},
        {"scheme": "ct", "low": 2, "high": 1, "mean": 0, "std": 1},
        {"scheme": "zscore", "percentiles": (99, 1)},
        {"scheme": "percentile", "percentiles": (-1, 99)},
        {"scheme": "histogram"},
    ],
)
def test_an_impossible_normalisation_is_refused_in_words(options):
    with pytest.raises(UsageError, match=r"not normalised.*\[E_USAGE\]"):
        normalised(np.zeros((1, 3, 3)), **options)
