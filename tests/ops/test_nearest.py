"""Nearest distances: exact, with and without the compiler, on one thread and on several."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medseg.ops import nearest
from medseg.ops.nearest import nearest_distances

SPACING = (2.5, 0.7, 1.3)


def _masks(seed: int, shape: tuple[int, ...], share: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    asking, targets = (random.random(shape) < share for _ in range(2))
    targets.flat[seed % targets.size] = True
    return asking, targets


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 100_000),
    st.sampled_from([(9, 8, 7), (1, 6, 5), (6, 1, 1), (1, 1, 9), (2, 30, 3), (25, 20)]),
    st.sampled_from([0.002, 0.1, 0.6]),
)
def test_distances_are_those_of_a_full_distance_transform(seed, shape, share):
    asking, targets = _masks(seed, shape, share)
    spacing = SPACING[-len(shape) :]
    expected = ndimage.distance_transform_edt(~targets, sampling=spacing)[asking]
    np.testing.assert_allclose(nearest_distances(asking, targets, spacing), expected, rtol=1e-12)


def test_threads_and_memory_order_change_nothing(monkeypatch):
    asking, targets = _masks(7, (12, 11, 10), 0.1)
    alone = nearest_distances(asking, targets, SPACING)
    monkeypatch.setattr(nearest, "_WORTH_THREADS", 0)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    together = nearest_distances(np.asfortranarray(asking), np.asfortranarray(targets), SPACING)
    np.testing.assert_array_equal(alone, together)


def test_the_compiler_is_not_needed(monkeypatch):
    asking, targets = _masks(8, (12, 11, 10), 0.1)
    compiled = nearest_distances(asking, targets, SPACING)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    np.testing.assert_allclose(nearest_distances(asking, targets, SPACING), compiled, rtol=1e-12)


def test_targets_in_a_single_corner_are_found_from_everywhere():
    targets = np.zeros((5, 6, 7), bool)
    targets[4, 0, 6] = True
    distances = nearest_distances(np.ones_like(targets), targets, SPACING).reshape(targets.shape)
    assert distances[4, 0, 6] == 0
    assert distances[0, 5, 0] == pytest.approx(np.sqrt((4 * 2.5) ** 2 + (5 * 0.7) ** 2 + (6 * 1.3) ** 2))
