import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medseg.errors import OutputError, UsageError
from medseg.ops.argmax import LabelSlabs, labels_from_maps
from medseg.ops.argmax_planes import cells
from medseg.ops.slab import Slab


def reference(maps, shape):
    """Interpolate every map everywhere in double precision; also tell how far the best is ahead of the second."""
    zoom = [b / a for a, b in zip(maps.shape[1:], shape, strict=True)]
    full = np.stack([ndimage.zoom(m.astype(float), zoom, order=1, mode="nearest", grid_mode=True) for m in maps])
    ordered = np.sort(full, axis=0)
    return full.argmax(axis=0), ordered[-1] - ordered[-2]


def smooth_maps(shape, seed=0):
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, (0, *(1.5,) * (len(shape) - 1))).astype(np.float32)


@pytest.fixture(params=["compiled", "without the compiler"])
def each_way(request, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0" if request.param == "compiled" else "1")


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("shape", [(23, 30, 17), (12, 10, 8), (5, 40, 8), (1, 1, 1), (6, 5, 4)])
def test_labels_equal_the_argmax_of_fully_interpolated_maps_in_3d(shape):
    maps = smooth_maps((4, 12, 10, 8))
    wanted, lead = reference(maps, shape)
    found = labels_from_maps(maps, shape)
    assert found.dtype == np.uint8
    clear = lead > 1e-6
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(found[clear], wanted[clear])


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("shape", [(50, 31), (20, 16), (7, 40)])
def test_labels_equal_the_argmax_of_fully_interpolated_maps_in_2d(shape):
    maps = smooth_maps((3, 20, 16), seed=3)
    wanted, lead = reference(maps, shape)
    clear = lead > 1e-6
    np.testing.assert_array_equal(labels_from_maps(maps, shape)[clear], wanted[clear])


@given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(1, 15)] * 3))
@settings(max_examples=25, deadline=None)
def test_both_ways_give_identical_labels_even_where_maps_tie(seed, old, new):
    maps = np.random.default_rng(seed).integers(0, 3, size=(4, *old)).astype(np.float32)  # few values: many ties
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "0")
        fast = labels_from_maps(maps, new)
        patch.setenv("NUMBA_DISABLE_JIT", "1")
        np.testing.assert_array_equal(fast, labels_from_maps(maps, new))


@pytest.mark.usefixtures("each_way")
def test_of_equal_maps_the_lowest_class_wins():
    maps = np.ones((3, 4, 4, 4), np.float32)
    assert not labels_from_maps(maps, (9, 4, 7)).any()
    maps[0] = 0
    assert (labels_from_maps(maps, (9, 4, 7)) == 1).all()


@pytest.mark.usefixtures("each_way")
def test_a_class_that_wins_nowhere_on_the_working_grid_can_win_between_its_voxels():
    maps = np.array([[[9.0, 0.0]], [[0.0, 9.0]], [[8.0, 8.0]]], np.float32)
    np.testing.assert_array_equal(labels_from_maps(maps, (1, 8)), [[0, 0, 2, 2, 2, 2, 1, 1]])


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channel", [0, 2])
def test_maps_with_values_that_are_not_numbers_are_refused(bad, channel):
    maps = smooth_maps((3, 6, 5, 4))
    maps[channel, 5, 2, 1] = bad
    with pytest.raises(OutputError, match="full precision") as caught:
        labels_from_maps(maps, (7, 7, 7))
    assert caught.value.code == "E_OUTPUT_NONFINITE"


@pytest.mark.usefixtures("each_way")
def test_more_than_256_classes_need_two_bytes():
    maps = np.zeros((300, 2, 3), np.float16)
    maps[299] = 1
    found = labels_from_maps(maps, (4, 4))
    assert found.dtype == np.uint16
    assert (found == 299).all()


def test_any_memory_layout_and_float_type_is_taken():
    maps = smooth_maps((3, 6, 5, 4))
    wanted = labels_from_maps(maps, (9, 9, 9))
    np.testing.assert_array_equal(labels_from_maps(np.asfortranarray(maps).astype(np.float64), (9, 9, 9)), wanted)


@pytest.mark.parametrize(
    ("maps", "new"), [((2, 3), (4,)), ((2, 3, 4), (4, 4, 4)), ((0, 3, 4), (4, 4)), ((2, 3, 4), (0, 4))]
)
def test_maps_that_do_not_fit_the_grid_are_refused(maps, new):
    with pytest.raises(UsageError, match="one map per class"):
        labels_from_maps(np.zeros(maps, np.float32), new)


@given(st.integers(1, 40), st.integers(1, 90))
def test_neighbours_lie_inside_and_a_weight_of_zero_names_one_neighbour_twice(n_old, n_new):
    axis = cells(n_old, n_new)
    assert axis.lower.min() >= 0
    assert axis.upper.max() < n_old
    assert ((axis.weight >= 0) & (axis.weight < 1)).all()
    np.testing.assert_array_equal(axis.upper - axis.lower, (axis.weight > 0).astype(int))


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("edges", [(12,), (1, 2, 3, 12), (5, 6, 11, 12), tuple(range(1, 13))])
@pytest.mark.parametrize("new", [5, 12, 31])
def test_labels_made_slab_by_slab_are_those_of_the_whole_maps(axis, edges, new):
    maps = smooth_maps((4, 12, 7, 12), seed=7)
    shape = (new, 9, 8) if axis == 0 else (8, 9, new)
    slabs = LabelSlabs((12, 7, 12), shape)
    for _ in range(2):  # a second pass begins anew
        for start, stop in zip((0, *edges[:-1]), edges, strict=True):
            wider = np.full((4, 15, 7, 12) if axis == 0 else (4, 12, 7, 15), np.nan, np.float32)
            part = (slice(None), slice(start, stop)) if axis == 0 else (..., slice(start, stop))
            place = (slice(None), slice(0, stop - start)) if axis == 0 else (..., slice(0, stop - start))
            wider[place] = maps[part]  # what is not finished is not looked at
            slabs.take(Slab(wider, axis, start, stop - start))
    np.testing.assert_array_equal(slabs.labels, labels_from_maps(maps, shape))


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 25), st.data())
@settings(max_examples=25, deadline=None)
def test_pictures_in_slabs_of_any_thickness_give_the_labels_of_the_whole(seed, old, new, data):
    maps = np.random.default_rng(seed).integers(0, 3, size=(3, old, 6)).astype(np.float32)
    edges = sorted(data.draw(st.sets(st.integers(1, old), max_size=4)) | {old})
    slabs = LabelSlabs((old, 6), (new, 10))
    for start, stop in zip([0, *edges[:-1]], edges, strict=True):
        slabs.take(Slab(maps[:, start:stop], 0, start, stop - start))
    np.testing.assert_array_equal(slabs.labels, labels_from_maps(maps, (new, 10)))
