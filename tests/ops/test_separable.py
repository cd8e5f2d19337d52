import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medseg.ops.separable import band, resized


@pytest.fixture(params=["compiled", "without the compiler"])
def each_way(request, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0" if request.param == "compiled" else "1")


def by_scipy(values, shape, order):
    zoom = [b / a for a, b in zip(values.shape, shape, strict=True)]
    found = ndimage.zoom(values.astype(np.float64), zoom, order=order, mode="nearest", grid_mode=True)
    return np.clip(found, values.min(), values.max())


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float32, np.float64, ">i2", np.int32, bool])
def test_every_type_agrees_with_scipy(order, kind):
    values = (np.random.default_rng(0).random((13, 30, 9)) * 200).astype(kind)
    for shape in [(20, 17, 9), (5, 44, 31), (1, 30, 2)]:
        found = resized(values, shape, order=order)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, by_scipy(values, shape, order), atol=1e-3)


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("order", [1, 3])
def test_planes_agree_with_scipy(order):
    values = np.random.default_rng(0).normal(size=(40, 31))
    for shape in [(17, 80), (100, 31), (3, 5)]:
        np.testing.assert_allclose(resized(values, shape, order=order), by_scipy(values, shape, order), atol=1e-5)


@given(
    st.tuples(*[st.integers(1, 12)] * 3), st.tuples(*[st.integers(1, 25)] * 3), st.sampled_from([0, 1, 3]),
    st.permutations(range(3)), st.tuples(*[st.booleans()] * 3),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_the_order_of_axes_in_memory_does_not_matter(old, new, order, axes, flips):
    values = np.random.default_rng(1).normal(size=old).astype(np.float32)
    steps = tuple(slice(None, None, -1 if f else 1) for f in flips)
    turned = np.ascontiguousarray(values[steps].transpose(axes)).transpose(np.argsort(axes))[steps]
    np.testing.assert_array_equal(turned, values)
    a, b = resized(values, new, order=order), resized(turned, new, order=order)
    assert a.shape == new
    if order:
        np.testing.assert_allclose(a, b, atol=1e-5)


@given(st.integers(1, 60), st.integers(1, 130), st.sampled_from([1, 3]))
def test_weights_sum_to_one_and_read_only_what_is_there(n_old, n_new, order):
    first, weights = band(n_old, n_new, order)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert first.min() >= 0
    assert (first + weights.shape[1]).max() <= n_old


@given(st.integers(1, 40), st.integers(1, 90))
def test_the_nearest_voxel_is_the_one_whose_box_holds_the_new_centre(n_old, n_new):
    found = resized(np.arange(n_old)[None], (1, n_new), order=0)[0]
    place = (np.arange(n_new) + 0.5) * n_old / n_new
    assert (found <= place + 1e-9).all()
    assert (place <= found + 1 + 1e-9).all()


def test_an_infinite_or_missing_value_stays_near_its_place():
    values = np.ones((5, 6, 80), np.float32)
    values[2, 3, 40] = np.nan
    found = resized(values, (5, 6, 160), order=3)
    assert np.isnan(found[2, 3, 80])
    assert np.isfinite(found[:, :, :50]).all()
