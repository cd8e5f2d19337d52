"""Two clicks make two objects: cut at the waist where there is one, halfway where there is none, in real units."""

import numpy as np
import pytest

from medseg.errors import UsageError
from medseg.grid import image_grid
from medseg.instance.seeds import split_by_seeds, split_object
from medseg.labels import Instances


def _balls(shape, spacing, *balls):
    """Return the union of balls; centres and radii in the unit of the spacing."""
    at = np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    inside = [sum((x - c) ** 2 for x, c in zip(at, centre, strict=True)) <= radius**2 for centre, radius in balls]
    return np.any(inside, axis=0).astype(np.int32) * 7, at


SPACING = (3.0, 1.0, 1.0)
SHAPE = (14, 44, 64)
BIG, SMALL = ((20.0, 22.0, 20.0), 15.0), ((20.0, 22.0, 40.0), 9.0)


@pytest.mark.parametrize("seeds", [((6, 22, 20), (6, 22, 41)), ((6, 22, 8), (8, 22, 45)), ((3, 20, 22), (6, 27, 41))])
def test_a_cut_runs_through_the_waist_wherever_the_two_clicks_lie(seeds):
    labels, at = _balls(SHAPE, SPACING, BIG, SMALL)
    second = split_by_seeds(Instances(labels, image_grid(SHAPE, SPACING, "um")), 7, seeds)
    # the balls meet in the plane x = 33.6
    wrong = (second != (at[2] > 33.6)) & (labels == 7)
    assert wrong.sum() < 0.02 * (labels == 7).sum()
    assert not second[labels == 0].any()


def test_without_a_waist_voxels_go_to_the_nearer_click_in_real_units():
    grid = image_grid((9, 9), (5.0, 1.0), "um")
    second = split_by_seeds(Instances(np.full((9, 9), 3), grid), 3, [(1, 1), (7, 1)])
    assert second.sum() == 36  # the middle row is as near to the first
    assert second[5:].all()
    along = split_by_seeds(Instances(np.full((9, 9), 3), grid), 3, [(4, 0), (4, 8)])
    assert along[:, 5:].all()
    assert not along[:, :5].any()


def test_the_order_of_the_clicks_only_swaps_the_parts_and_the_same_clicks_cut_the_same():
    labels, _ = _balls(SHAPE, SPACING, BIG, SMALL)
    piece = Instances(labels, image_grid(SHAPE, SPACING, "um"))
    one = split_by_seeds(piece, 7, [(6, 22, 20), (6, 22, 41)])
    np.testing.assert_array_equal(one, split_by_seeds(piece, 7, [(6, 22, 20), (6, 22, 41)]))
    other = split_by_seeds(piece, 7, [(6, 22, 41), (6, 22, 20)])
    assert ((one ^ other) == (labels == 7)).mean() > 0.999


def test_in_a_large_image_only_the_box_counts_and_the_cut_is_the_same():
    labels, _ = _balls(SHAPE, SPACING, BIG, SMALL)
    labels[:, :3] = 2
    box = tuple(slice(i.min(), i.max() + 1) for i in np.nonzero(labels == 7))
    instances = Instances(labels, image_grid(SHAPE, SPACING, "um"))
    seeds = [(6, 22, 20), (6, 22, 41)]
    np.testing.assert_array_equal(split_object(instances, 7, seeds, box), split_by_seeds(instances, 7, seeds)[box])


def test_two_parts_that_do_not_touch_come_apart_whole():
    labels = np.zeros((12, 30), int)
    labels[2:9, 2:9] = labels[2:9, 18:27] = 5
    second = split_by_seeds(Instances(labels, image_grid((12, 30), (1.0, 1.0), "px")), 5, [(4, 4), (6, 20)])
    np.testing.assert_array_equal(second, (labels == 5) & (np.arange(30) > 15))


@pytest.mark.parametrize(
    ("seeds", "words"),
    [([(0, 0), (4, 4)], "outside"), ([(4, 4), (4, 4)], "twice"), ([(4, 4), (4, 99)], "outside")],
)
def test_clicks_that_say_nothing_are_refused_in_words(seeds, words):
    labels = np.zeros((9, 9), int)
    labels[2:7, 2:7] = 5
    with pytest.raises(UsageError, match=words) as refusal:
        split_by_seeds(Instances(labels, image_grid((9, 9), (1.0, 1.0), "px")), 5, seeds)
    assert "nothing was split" in str(refusal.value)
