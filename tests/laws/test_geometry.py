"""What every operation on a grid must keep, on random anisotropic, oblique, off-origin grids."""

import pickle
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import Notice, SeriesAmbiguousError
from medseg.grid import AxisMap, Grid, image_grid
from medseg.labels import Instances, LabelMap, Segment
from medseg.ops.reorient import cropped, reoriented
from medseg.ops.resample import resampled, resampled_labels
from medseg.prediction import Prediction
from medseg.progress import Progress
from medseg.volume import Source, Volume

ALL_CODES = ["".join(c) for p in permutations(("LR", "PA", "IS")) for c in product(*p)]
SIZES = st.integers(1, 12)
STEPS = st.floats(0.05, 8.0)
ANGLES = st.floats(-np.pi, np.pi) | st.sampled_from([k * np.pi / 4 for k in range(-4, 5)])  # ties of axes too


def rotation(angles):
    found = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        found = turn @ found
    return found


@st.composite
def patient_grids(draw):
    shape = draw(st.tuples(SIZES, SIZES, SIZES))
    steps = draw(st.tuples(STEPS, STEPS, STEPS))
    signs = draw(st.tuples(*[st.sampled_from([-1, 1])] * 3))
    affine = np.eye(4)
    affine[:3, :3] = rotation(draw(st.tuples(ANGLES, ANGLES, ANGLES))) @ np.diag(np.multiply(steps, signs))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-300, 300)] * 3))
    return Grid(shape, affine)


@st.composite
def flat_grids(draw):
    return image_grid(draw(st.tuples(SIZES, SIZES)), draw(st.tuples(STEPS, STEPS)), "um")


GRIDS = patient_grids() | flat_grids()


def indices(grid):
    return np.moveaxis(np.indices(grid.shape), 0, -1)


def outer_corners(grid):
    """World positions of the outer corners of the extent, not of voxel centres."""
    return grid.world(np.array(list(product(*[(-0.5, n - 0.5) for n in grid.shape]))))


@given(GRIDS)
def test_index_undoes_world(grid):
    np.testing.assert_allclose(grid.index(grid.world(indices(grid))), indices(grid), atol=1e-8)


@given(GRIDS)
def test_volume_is_the_number_of_voxels_times_the_determinant(grid):
    columns = grid.world_from_index[:-1, :-1]
    assert grid.voxel_size == pytest.approx(abs(np.linalg.det(columns)))
    assert grid.voxel_size == pytest.approx(np.prod(grid.spacing))
    assert grid.n_voxels == len(indices(grid).reshape(-1, grid.ndim))
    if grid.ndim == 3:
        assert grid.voxel_volume_ml * grid.n_voxels == pytest.approx(grid.n_voxels * np.prod(grid.spacing) / 1000)


@given(patient_grids(), st.sampled_from(ALL_CODES))
def test_any_axis_order_points_where_it_says_and_moves_no_voxel(grid, codes):
    labels = LabelMap(np.arange(grid.n_voxels).reshape(grid.shape), grid)
    turned = reoriented(labels, codes)
    assert "".join(turned.grid.axis_codes) == codes
    assert sorted(turned.grid.spacing) == pytest.approx(sorted(grid.spacing))
    place = {}
    for value in (labels, turned):
        order = value.array.ravel().argsort()
        place[value.grid] = value.grid.world(indices(value.grid)).reshape(-1, 3)[order]
    np.testing.assert_allclose(place[turned.grid], place[grid], atol=1e-9 * 1e3)
    back = reoriented(turned, "".join(grid.axis_codes))
    assert back.grid.same_as(grid)
    np.testing.assert_array_equal(back.array, labels.array)


def test_48_axis_orders_are_48_different_maps_and_each_has_an_inverse(oblique_grid):
    maps = {oblique_grid.axes_to(codes) for codes in ALL_CODES}
    assert len(maps) == 48
    array = np.arange(oblique_grid.n_voxels).reshape(oblique_grid.shape)
    for axes in maps:
        np.testing.assert_array_equal(axes.inverse().apply(axes.apply(array)), array)
        assert oblique_grid.mapped(axes).mapped(axes.inverse()).same_as(oblique_grid)
        assert axes.inverse().inverse() == axes


@given(GRIDS, st.data())
def test_cutting_and_padding_move_no_voxel(grid, data):
    start = tuple(data.draw(st.integers(-4, n + 2)) for n in grid.shape)
    shape = tuple(data.draw(SIZES) for _ in grid.shape)
    labels = LabelMap(1 + np.arange(grid.n_voxels).reshape(grid.shape), grid)
    box = cropped(labels, start, shape)
    assert box.array.shape == shape
    assert box.grid.spacing == grid.spacing
    for index in np.argwhere(box.array > 0):
        old = np.argwhere(labels.array == box.array[tuple(index)])[0]
        np.testing.assert_allclose(box.grid.world(index), grid.world(old), atol=1e-9 * 1e3)
    kept = np.prod([max(0, min(s + m, n) - max(s, 0)) for s, m, n in zip(start, shape, grid.shape, strict=True)])
    assert (box.array > 0).sum() == kept


@given(GRIDS, st.data())
def test_another_shape_covers_the_same_extent(grid, data):
    new = grid.reshaped(tuple(data.draw(SIZES) for _ in grid.shape))
    np.testing.assert_allclose(outer_corners(new), outer_corners(grid), atol=1e-9 * 1e3)
    assert new.voxel_size * new.n_voxels == pytest.approx(grid.voxel_size * grid.n_voxels)
    assert new.reshaped(grid.shape).same_as(grid)


@given(GRIDS, st.data())
def test_another_spacing_is_met_within_the_rounding_of_one_voxel(grid, data):
    wanted = tuple(data.draw(st.floats(0.3, 3.0)) * s for s in grid.spacing)
    new = grid.resampled(wanted)
    for n, m, asked, got in zip(grid.shape, new.shape, wanted, new.spacing, strict=True):
        assert m == 1 or abs(m * asked - m * got) <= 0.5001 * asked
        assert m >= 1
        assert n >= 1


@given(GRIDS, st.data(), st.sampled_from([0, 1, 3]))
@settings(max_examples=40, deadline=None)
def test_a_landmark_stays_within_half_a_voxel_when_the_image_is_resampled(grid, data, order):
    """The image holds its own voxel indices: what is read at a place in the world must be that place."""
    shape = tuple(data.draw(st.integers(1, 20)) for _ in grid.shape)
    image = np.indices(grid.shape).astype(np.float32)
    found = resampled(Volume(image, grid), grid.reshaped(shape), order=order)
    true = np.moveaxis(grid.index(found.grid.world(indices(found.grid))), -1, 0)
    assert np.abs(found.array - true).max() <= 0.5 + 1e-4


@given(GRIDS, st.data())
@settings(max_examples=40, deadline=None)
def test_labels_enlarged_by_whole_factors_and_back_are_the_same(grid, data):
    factors = [data.draw(st.integers(1, 4)) for _ in grid.shape]
    labels = LabelMap(np.arange(grid.n_voxels).reshape(grid.shape), grid, {1: "a"})
    larger = resampled_labels(labels, grid.reshaped(tuple(n * f for n, f in zip(grid.shape, factors, strict=True))))
    assert (np.bincount(larger.array.ravel()) == np.prod(factors)).all()
    back = resampled_labels(larger, grid)
    np.testing.assert_array_equal(back.array, labels.array)
    assert back.grid.same_as(grid)


@given(GRIDS, st.data())
def test_a_grid_that_differs_in_anything_is_not_the_same(grid, data):
    assert grid.same_as(Grid(grid.shape, grid.world_from_index, grid.unit, grid.space))
    axis = data.draw(st.integers(0, grid.ndim - 1))
    longer = tuple(n + (a == axis) for a, n in enumerate(grid.shape))
    moved = grid.world_from_index.copy()
    moved[axis, -1] += 1e-3 * min(grid.spacing)
    assert not grid.same_as(replace(grid, shape=longer))
    assert not grid.same_as(replace(grid, world_from_index=moved))


@given(GRIDS)
def test_a_grid_survives_pickling_and_stays_read_only(grid):
    copy = pickle.loads(pickle.dumps(grid))
    assert copy.same_as(grid, tolerance=0)
    assert not copy.world_from_index.flags.writeable


def values():
    affine = np.diag([-0.8, 1.5, 3.0, 1.0])
    affine[:3, 3] = (3, -4, 5)
    grid = Grid((2, 3, 4), affine)
    array = np.arange(24, dtype=np.uint8).reshape(grid.shape)
    notice = Notice("W_UNITS_ASSUMED_MM", "none stored")
    labels = LabelMap(array, grid, {1: "liver"}, Source("a.nii", "nifti", "00", 5, {"form": 1}), (notice,))
    volume = Volume(array[None] / 7, grid, ("t1",), warnings=(notice,))
    return [
        grid, volume, labels, Instances(array, grid, (Segment(1, 2, 0.5, flags=("touches_border",)),)),
        Prediction(labels, volume, (notice,)), notice, Segment(3), Source("a", "b"), AxisMap((1, 0), (True, False)),
        Progress("reading", 1, 2, 0.5),
    ]  # fmt: skip


@pytest.mark.parametrize("value", values(), ids=lambda v: type(v).__name__)
def test_every_value_survives_pickling(value):
    copy = pickle.loads(pickle.dumps(value))
    assert type(copy) is type(value)
    assert repr(copy) == repr(value)
    if hasattr(value, "array"):
        np.testing.assert_array_equal(copy.array, value.array)
        assert copy.grid.same_as(value.grid)
        assert copy.warnings == value.warnings


def test_an_error_survives_pickling_with_its_choices():
    error = SeriesAmbiguousError("E_SERIES_AMBIGUOUS", path="scan", found="2 series", expected="one",
                                 not_done="it was not read", remedy="Choose one")  # fmt: skip
    error.choices = (("1", "axial"),)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.as_dict(), copy.choices) == (str(error), error.as_dict(), error.choices)
