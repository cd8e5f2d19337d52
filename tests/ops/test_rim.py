import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.special import softmax

from medseg.ops.rim import FAR, Rims


@pytest.fixture(params=["compiled", "without the compiler"])
def each_way(request, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0" if request.param == "compiled" else "1")


def logits(shape, seed=0):
    noise = np.random.default_rng(seed).normal(size=shape)
    return 30 * ndimage.gaussian_filter(noise, (0, *(1.5,) * (len(shape) - 1))).astype(np.float32)


def reference(maps):
    """Count and sum in double precision, with the whole softmax."""
    shares = softmax(maps.astype(float), axis=0)
    winners = maps.argmax(axis=0)
    n_axes = maps.ndim - 1
    counts = [(winners == c).sum() for c in range(len(maps))]
    sums = [(p * (1 - p)).sum() for p in shares]
    return counts, [s / n ** ((n_axes - 1) / n_axes) if n else 0.0 for s, n in zip(sums, counts, strict=True)]


def of(maps):
    rims = Rims(len(maps))
    rims.add(maps)
    return rims.result()


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("shape", [(2, 9, 7, 5), (5, 6, 11, 8), (3, 20, 16), (4, 1, 1, 1)])
def test_widths_equal_those_of_the_whole_softmax(shape):
    maps = logits(shape)
    counts, widths = reference(maps)
    found = of(maps)
    assert [rim.n_voxels for rim in found] == counts
    np.testing.assert_allclose([rim.width for rim in found], widths, rtol=1e-3, atol=1e-4)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 10), max_size=4), st.sampled_from([0, -1]))
@settings(max_examples=25, deadline=None)
def test_slabs_in_any_order_add_up_to_the_whole(seed, cuts, axis):
    maps = logits((3, 11, 6, 11), seed)
    slabs = np.split(maps, sorted(set(cuts)), axis=1 if axis == 0 else -1)
    rims = Rims(3)
    for k in np.random.default_rng(seed).permutation(len(slabs)):
        rims.add(slabs[k])
    whole = of(maps)
    assert [rim.n_voxels for rim in rims.result()] == [rim.n_voxels for rim in whole]
    np.testing.assert_allclose([rim.width for rim in rims.result()], [rim.width for rim in whole], rtol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_both_ways_to_compute_agree_even_where_maps_tie(seed):
    maps = np.random.default_rng(seed).integers(-2, 3, size=(4, 3, 5, 4)).astype(np.float32) * np.float32(FAR / 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "0")
        fast = of(maps)
        patch.setenv("NUMBA_DISABLE_JIT", "1")
        plain = of(maps)
    assert [rim.n_voxels for rim in fast] == [rim.n_voxels for rim in plain]
    np.testing.assert_allclose([rim.width for rim in fast], [rim.width for rim in plain], rtol=1e-9)


def test_a_blurred_outline_has_a_wider_rim_and_a_larger_structure_has_not():
    def ball(radius, blur):
        place = np.indices((40, 40, 40)) - 19.5
        ahead = (radius - np.sqrt((place**2).sum(axis=0))) / blur
        return np.stack([np.zeros_like(ahead), ahead]).astype(np.float32)

    sharp, blurred, large = (of(ball(*how))[1].width for how in ((8, 0.5), (8, 1.5), (16, 0.5)))
    assert blurred > 2 * sharp
    assert large == pytest.approx(sharp, rel=0.05)


def test_a_class_that_wins_nowhere_has_no_rim():
    maps = np.stack([np.zeros((4, 5, 6)), np.full((4, 5, 6), -1.0)]).astype(np.float32)
    assert of(maps)[1] == (0, 0.0)


def test_the_maps_are_not_changed():
    maps = logits((3, 4, 5, 6))
    before = maps.copy()
    of(maps)
    np.testing.assert_array_equal(maps, before)
