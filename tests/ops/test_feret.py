"""The longest lines of a crowd are those of its objects one by one."""

import numpy as np
import pytest

from medseg.measure.diameter import longest_diameter, longest_slice_diameter
from medseg.ops import feret
from medseg.ops.feret import crowd_diameters
from medseg.ops.moments import moments


def crowd(shape, seed=0):
    rng = np.random.default_rng(seed)
    blocks = tuple((n + 4) // 5 for n in shape)
    numbers = (np.arange(np.prod(blocks)) + 1).reshape(blocks)
    for axis in range(len(shape)):
        numbers = np.repeat(numbers, 5, axis=axis)
    array = numbers[tuple(slice(0, n) for n in shape)] * (rng.random(shape) < 0.4)
    return (array * 3).astype(np.uint32)


@pytest.mark.parametrize("shape", [(23, 31), (9, 17, 12)])
def test_a_crowd_is_measured_as_one_by_one(shape):
    array = crowd(shape)
    affine = np.eye(len(shape) + 1)
    affine[:-1, :-1] = np.random.default_rng(1).normal(size=(len(shape),) * 2)
    ids = moments(array).ids
    found = crowd_diameters(array, moments(array), affine)
    assert found == pytest.approx([longest_diameter(array, int(i), affine) for i in ids])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_within_a_slice_too(axis):
    array = crowd((9, 17, 12))
    affine = np.diag([0.8, 1.3, 3.0, 1.0])
    ids = moments(array).ids
    found = crowd_diameters(array, moments(array), affine, within_axis=axis)
    assert found == pytest.approx([longest_slice_diameter(array, int(i), affine, axis) for i in ids])


def test_objects_that_are_too_large_are_left_out(monkeypatch):
    monkeypatch.setattr(feret, "MOST_CORNERS", 4)
    array = np.zeros((8, 8), int)
    array[1:4, 0:3], array[0, 1], array[4, 1], array[0, 5] = 1, 1, 1, 2
    found = crowd_diameters(array, moments(array), np.eye(3))
    assert np.isnan(found[0])
    assert found[1] == 0
