"""Patches: replayable, inside the rules, and seeing rare classes."""

import numpy as np
import pytest

from medseg.learn.cases import load, make_case, store
from medseg.learn.sampling import cut, sample


@pytest.fixture
def case():
    labels = np.zeros((20, 24, 28), np.uint8)
    labels[2:4, 20:23, 25:27] = 2  # rare: 12 of 13440 voxels
    image = np.arange(labels.size, dtype=np.float32).reshape(1, *labels.shape)
    return make_case("a", image, labels)


def test_a_share_of_patches_sees_even_the_rarest_class(case):
    seen = [(sample([case], patch=(8, 8, 8), foreground=1.0, seed=(0, i))[1] == 2).any() for i in range(40)]
    assert all(seen)
    by_chance = [(sample([case], patch=(8, 8, 8), foreground=0.0, seed=(0, i))[1] == 2).any() for i in range(40)]
    assert not all(by_chance)


def test_equal_seeds_cut_equal_patches_and_others_do_not(case):
    first, again, other = (sample([case], patch=(8, 8, 8), foreground=0.0, seed=s)[0] for s in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("start", [(0, 0, 0), (-3, -2, 5), (15, 20, 22)])
def test_a_patch_over_the_border_is_the_image_inside_and_zero_outside(case, start):
    image, labels = cut(case, start=start, patch=(8, 9, 10))
    padded = np.pad(case.image[0], 12)
    box = tuple(slice(s + 12, s + 12 + p) for s, p in zip(start, (8, 9, 10), strict=True))
    np.testing.assert_array_equal(image[0], padded[box])
    np.testing.assert_array_equal(labels, np.pad(case.labels, 12)[box])


def test_an_image_smaller_than_the_patch_is_wholly_inside(case):
    image, _ = sample([case], patch=(32, 32, 32), foreground=0.0, seed=(0,))
    assert (image > 0).sum() == (case.image > 0).sum()


def test_a_case_on_disk_is_the_same_case(case, tmp_path):
    store(case, tmp_path)
    again = load("a", tmp_path)
    np.testing.assert_array_equal(again.image, case.image)
    np.testing.assert_array_equal(again.labels, case.labels)
    np.testing.assert_array_equal(again.points[2], case.points[2])
