"""A number by two methods: what both found, and the range that their difference leaves."""

import numpy as np
import pytest

from medseg.errors import GeometryError
from medseg.grid import image_grid
from medseg.labels import Instances, Segment
from medseg.metrics.consensus import Consensus, consensus

GRID = image_grid((6, 40), (2.0, 1.0), "um")


def objects(*spans, stuff=()):
    """Return objects of four rows each, from a column up to another, numbered 3, 6, 9 ..."""
    array = np.zeros(GRID.shape, np.int32)
    for number, (start, stop) in enumerate(spans, start=1):
        array[1:5, start:stop] = 3 * number
    segments = tuple(Segment(int(i), is_thing=int(i) not in stuff) for i in np.unique(array) if i)
    return Instances(array, GRID, segments)


def test_the_range_goes_from_what_both_found_to_what_either_found():
    a = objects((0, 6), (8, 16), (20, 26))
    b = objects((1, 6), (8, 11), (12, 15), (30, 34))  # the second in two halves below IoU .5, the third missed
    found = consensus(a, b)
    assert found == Consensus(n_a=3, n_b=4, n_both=1, low=1, high=6)
    assert found.high == found.n_both + (found.n_a - found.n_both) + (found.n_b - found.n_both)


def test_the_order_of_the_methods_does_not_matter():
    a, b = objects((0, 6), (8, 16)), objects((0, 5), (8, 12), (12, 16))
    one, other = consensus(a, b), consensus(b, a)
    assert (one.n_a, one.n_b) == (other.n_b, other.n_a)
    assert (one.n_both, one.low, one.high) == (other.n_both, other.low, other.high)


def test_an_object_that_two_halves_share_is_agreed_on_once():
    assert consensus(objects((0, 8)), objects((0, 4), (4, 8))) == Consensus(1, 2, 1, 1, 2)


def test_a_method_agrees_with_itself_whatever_the_overlap_that_is_asked():
    a = objects((0, 6), (6, 9), (20, 40))
    assert consensus(a, a, iou=1.0) == Consensus(3, 3, 3, 3, 3)


def test_a_higher_overlap_leaves_a_wider_range():
    a, b = objects((0, 10)), objects((0, 7))
    assert consensus(a, b, iou=0.7).n_both == 1
    assert consensus(a, b, iou=0.75) == Consensus(1, 1, 0, 0, 2)


def test_nothing_found_by_either_is_no_object():
    assert consensus(objects(), objects()) == Consensus(0, 0, 0, 0, 0)
    assert consensus(objects(), objects((3, 9))) == Consensus(0, 1, 0, 0, 1)


def test_stuff_is_not_counted():
    assert consensus(objects((0, 6), (10, 20), stuff={6}), objects((0, 6), (10, 20), stuff={6})).high == 1


def test_objects_on_another_grid_are_refused():
    b = Instances(np.zeros((6, 40), np.int32), image_grid((6, 40), (1.0, 1.0), "um"))
    with pytest.raises(GeometryError):
        consensus(objects((0, 6)), b)


def test_the_sentence_says_one_number_where_the_methods_agree():
    assert Consensus(2, 2, 2, 2, 2).sentence("a", "b") == "2 by a, 2 by b; 2 found by both; 2 objects"
    assert Consensus(1, 1, 1, 1, 1).sentence("a", "b").endswith("; 1 object")
    assert Consensus(0, 1, 0, 0, 1).sentence("a", "b").endswith("; between 0 and 1 objects")
