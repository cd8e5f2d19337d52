"""One object measured in its own box: the same numbers as measuring the whole image, at a cost of its own size."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.grid import image_grid
from medseg.labels import Instances, Segment
from medseg.measure import measure
from medseg.measure.neighbours import nearest_distances
from medseg.measure.one import measure_some, nearest_after_change
from medseg.volume import Volume


def _blocks(shape, seed):
    """Return ragged, touching objects with gaps in their numbers."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0, 0, 3, 4, 9, 17, 200], size=tuple(-(-n // 3) for n in shape))
    labels = np.kron(coarse, np.ones((3,) * len(shape), int))[tuple(slice(n) for n in shape)]
    labels[rng.random(shape) < 0.2] = 0
    return labels.astype(np.uint8)


def _boxes(whole, grid):
    axes = ("i", "j", "k") if grid.space == "patient" else grid.axis_codes
    return {
        int(row.object_id): tuple(slice(row[f"bbox_{a}_start"], row[f"bbox_{a}_stop"]) for a in axes)
        for _, row in whole.iterrows()
    }


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.sampled_from(["patient", "stack", "flat"]))
def test_an_object_in_its_box_has_the_row_that_the_whole_image_gives_it(oblique_grid, seed, space):
    grids = {"patient": oblique_grid, "stack": image_grid((7, 9, 8), (2.0, 0.5, 0.4), "um")}
    grid = grids.get(space, image_grid((13, 14), (0.7, 0.3), "px"))
    array = _blocks(grid.shape, seed)
    image = Volume(np.random.default_rng(seed).normal(size=(2, *grid.shape)).astype(np.float32), grid, ("a", "b"))
    segments = tuple(Segment(i, 1 + i % 2, 1 / i, flags=("likely_merged",)) for i in (3, 4, 9, 17, 200))
    instances = Instances(array, grid, segments, {1: "cell", 2: "other"})
    whole = measure(instances, image)
    some = measure_some(instances, _boxes(whole, grid), image)
    elsewhere = [name for name in whole.columns if name.startswith("nearest_neighbour_")]
    assert list(some.columns) == list(whole.columns)
    assert some[elsewhere].isna().all(axis=None)
    pd.testing.assert_frame_equal(some.drop(columns=elsewhere), whole.drop(columns=elsewhere), check_dtype=False)


def test_a_larger_box_changes_nothing_and_an_object_without_voxels_has_no_row(oblique_grid):
    instances = Instances(_blocks(oblique_grid.shape, 5), oblique_grid)
    whole = measure(instances)
    boxes = _boxes(whole, oblique_grid)
    everything = tuple(slice(0, n) for n in oblique_grid.shape)
    wide = measure_some(instances, {9: everything, 77: everything})
    assert wide["object_id"].tolist() == [9]
    pd.testing.assert_frame_equal(wide, measure_some(instances, {9: boxes[9]}))


def test_nothing_measured_still_has_the_columns(oblique_grid):
    nothing = measure_some(Instances(np.zeros(oblique_grid.shape, np.uint8), oblique_grid), {3: (slice(0, 2),) * 3})
    assert nothing.empty
    assert "volume_ml" in nothing.columns


def test_only_the_box_and_a_voxel_around_it_are_read(oblique_grid):
    class Watched(np.ndarray):
        asked: ClassVar[list] = []

        def __getitem__(self, key):
            Watched.asked.append(key)
            return np.asarray(super().__getitem__(key))

    array = np.zeros(oblique_grid.shape, np.uint8)
    array[4:6, 4:6, 3] = 5
    instances = Instances(array, oblique_grid)
    object.__setattr__(instances, "array", array.view(Watched))
    measure_some(instances, {5: (slice(4, 6), slice(4, 6), slice(3, 4))})
    assert Watched.asked == [(slice(3, 7), slice(3, 7), slice(2, 5))]


@pytest.mark.parametrize("seed", range(6))
def test_distances_after_a_change_are_those_of_a_search_from_anew(seed):
    rng = np.random.default_rng(seed)
    old = rng.integers(0, 12, (40, 3)).astype(float)  # a lattice: equal distances are frequent
    before = nearest_distances(old)
    new, changed = old.copy(), np.array([3, 17])
    new[changed] += rng.integers(-4, 5, (2, 3))
    left = old[[3, 17, 25]]
    new, before = np.delete(new, 25, axis=0), np.delete(before, 25)
    np.testing.assert_allclose(nearest_after_change(new, before, changed, left), nearest_distances(new))


def test_the_last_object_left_has_no_neighbour():
    found = nearest_after_change(np.zeros((1, 2)), np.array([2.0]), np.array([], int), np.array([[0.0, 2.0]]))
    assert np.isnan(found).all()
