from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.errors import UsageError
from medseg.ops.tiles import LARGEST_OVERLAP, SMALLEST_WEIGHT, gaussian, starts, tiles

LENGTHS = st.integers(1, 300)
PATCHES = st.integers(1, 100)
OVERLAPS = st.floats(0, LARGEST_OVERLAP)


@given(LENGTHS, PATCHES, OVERLAPS)
def test_tiles_of_one_axis_ascend_cover_every_voxel_and_end_at_the_border(length, patch, overlap):
    found = starts(length, patch, overlap)
    assert found[0] == 0
    assert found[-1] == max(0, length - patch)
    assert all(0 < b - a <= patch for a, b in pairwise(found))


@given(LENGTHS, PATCHES, OVERLAPS)
def test_neighbours_share_at_least_the_overlap_and_lie_evenly(length, patch, overlap):
    gaps = np.diff(starts(length, patch, overlap))
    if gaps.size:
        assert gaps.max() - gaps.min() <= 1
        assert gaps.max() <= max(1, patch * (1 - overlap) + 1e-6)


@given(LENGTHS, PATCHES)
def test_without_overlap_there_are_as_few_tiles_as_possible(length, patch):
    assert len(starts(length, patch, 0.0)) == max(1, -(-length // patch))


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 12)), min_size=2, max_size=3), OVERLAPS)
def test_tiles_cover_every_voxel_of_an_image(axes, overlap):
    shape, patch = zip(*axes, strict=True)
    covered = np.zeros(shape, dtype=int)
    boxes = tiles(shape, patch, overlap)
    for box in boxes:
        assert covered[box].shape == tuple(min(n, p) for n, p in axes)
        covered[box] += 1
    assert covered.min() >= 1
    assert len(set(map(str, boxes))) == len(boxes)
    assert [b[0].start for b in boxes] == sorted(b[0].start for b in boxes)


@pytest.mark.parametrize(
    ("length", "patch", "overlap"), [(0, 4, 0.5), (4, 0, 0.5), (4, 4, -0.1), (4, 4, 0.91), (4, 4, float("nan"))]
)
def test_an_impossible_division_is_refused_in_words(length, patch, overlap):
    with pytest.raises(UsageError, match=r"not divided into tiles.*\[E_USAGE\]"):
        starts(length, patch, overlap)


@given(st.integers(1, 200), st.floats(0.05, 1.0))
def test_weights_are_symmetric_positive_and_highest_in_the_middle(n, scale):
    weights = gaussian(n, scale)
    assert weights.dtype == np.float32
    assert weights.min() >= np.float32(SMALLEST_WEIGHT)
    np.testing.assert_allclose(weights, weights[::-1], rtol=1e-5)
    assert (np.diff(weights[: (n + 1) // 2]) >= 0).all()
