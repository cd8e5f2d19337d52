"""The law: the same objects, seen whole or tile by tile, come out the same; none twice, none cut."""

import numpy as np
import pytest

from medseg.detection.found import Found, Part, flipped, masked, moved, probabilities
from medseg.detection.merge import MergeRule, Tile, merged_steps
from medseg.detection.near import earlier, sharing_pairs
from medseg.detection.paste import pasted_steps
from medseg.ops.tiles import tiles
from medseg.progress import Progress, finish


def ellipsoids(seed, shape, n, radius):
    """Return soft-edged objects at random places; some overlap, some are cut by the image."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        centre = rng.uniform(0, shape)
        reach = radius * rng.uniform(0.6, 1.4, len(shape))
        low = np.maximum(np.floor(centre - reach), 0).astype(int)
        high = np.minimum(np.ceil(centre + reach), shape).astype(int)
        way = [(np.arange(a, b) + 0.5 - c) / r for a, b, c, r in zip(low, high, centre, reach, strict=True)]
        away = sum(np.expand_dims(w**2, [k for k in range(len(way)) if k != axis]) for axis, w in enumerate(way))
        grid = np.clip(1.3 - 0.8 * away, 0, 1).astype(np.float32)
        if (grid >= 0.5).sum() > 3:
            kind = int(rng.integers(1, 3))
            found.append(Found((Part(low.astype(float), high.astype(float), grid),), kind, float(rng.uniform(0.2, 1))))
    return found


def cut(found, box):
    """Return what a tile sees of an object: the same mask within it, or None."""
    (part,) = found.parts
    low = np.maximum(part.start, [b.start for b in box]).astype(int)
    high = np.minimum(part.stop, [b.stop for b in box]).astype(int)
    if (high <= low).any():
        return None
    start = part.start.astype(int)
    grid = part.grid[tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))]
    if not (grid >= 0.5).any():
        return None
    return Found((Part(low.astype(float), high.astype(float), grid),), found.class_id, found.score)


def seen(found, boxes):
    return [Tile(box, tuple(c for f in found if (c := cut(f, box)) is not None)) for box in boxes]


def drawn(found, boxes, shape):
    return finish(pasted_steps(finish(merged_steps(seen(found, boxes), shape)), shape))


def whole_box(shape):
    return [tuple(slice(0, n) for n in shape)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_objects_seen_tile_by_tile_are_those_seen_whole(seed, overlap):
    shape = (97, 120)
    found = ellipsoids(seed, shape, 60, 7.0)
    whole = drawn(found, whole_box(shape), shape)
    tiled = drawn(found, tiles(shape, (40, 48), overlap), shape)
    assert whole.array.max() > 25
    np.testing.assert_array_equal(tiled.array, whole.array)
    assert [(f.class_id, f.score) for f in tiled.found] == [(f.class_id, f.score) for f in whole.found]


@pytest.mark.parametrize("seed", range(3))
def test_the_law_holds_in_volumes(seed):
    shape = (24, 50, 44)
    found = ellipsoids(seed, shape, 45, 6.0)
    whole = drawn(found, whole_box(shape), shape)
    tiled = drawn(found, tiles(shape, (12, 24, 24), 0.4), shape)
    assert whole.array.max() > 15
    np.testing.assert_array_equal(tiled.array, whole.array)


@pytest.mark.parametrize("patch", [(24, 24), (40, 30), (90, 20)])
def test_an_object_larger_than_every_tile_is_put_together(patch):
    shape = (96, 90)
    found = [*ellipsoids(1, shape, 1, 45.0)]
    whole = drawn(found, whole_box(shape), shape)
    tiled = drawn(found, tiles(shape, patch, 0.25), shape)
    assert whole.array.max() == 1
    np.testing.assert_array_equal(tiled.array, whole.array)


def test_a_disc_that_two_tiles_see_a_little_differently_is_one_object():
    one = Part(np.array([10.0, 10.0]), np.array([20.0, 20.0]), np.ones((5, 5), np.float32))
    two = Part(np.array([10.4, 9.1]), np.array([20.6, 19.7]), np.ones((5, 5), np.float32))
    left = Tile((slice(0, 40), slice(0, 30)), (Found((one,), 1, 0.8),))
    right = Tile((slice(0, 40), slice(5, 40)), (Found((two,), 1, 0.9),))
    merged = finish(merged_steps([left, right], (40, 40)))
    assert [f.score for f in merged] == [0.9]


def test_a_sliver_that_one_tile_saw_wrongly_gives_way_to_the_whole_object():
    disc = Part(np.array([10.0, 10.0]), np.array([20.0, 20.0]), np.ones((5, 5), np.float32))
    sliver = Part(np.array([10.0, 15.0]), np.array([13.0, 18.0]), np.ones((2, 2), np.float32))
    left = Tile((slice(0, 40), slice(0, 18)), (Found((sliver,), 1, 0.95),))
    right = Tile((slice(0, 40), slice(8, 40)), (Found((disc,), 1, 0.7),))
    merged = finish(merged_steps([left, right], (40, 40)))
    assert [f.score for f in merged] == [0.7]


def test_neighbours_that_touch_stay_two():
    parts = [Part(np.array([5.0, a]), np.array([15.0, a + 8.0]), np.ones((4, 4), np.float32)) for a in (10.0, 18.0)]
    found = [Found((p,), 1, 0.9) for p in parts]
    boxes = tiles((30, 40), (30, 22), 0.4)
    assert len(finish(merged_steps(seen(found, boxes), (30, 40)))) == 2


def test_merging_nothing_gives_nothing():
    assert finish(merged_steps([], (10, 10))) == []
    assert finish(merged_steps([Tile((slice(0, 10), slice(0, 10)), ())], (10, 10))) == []


def test_many_objects_report_progress_and_can_be_left():
    found = ellipsoids(0, (400, 400), 600, 4.0)
    steps = merged_steps(seen(found, tiles((400, 400), (200, 200), 0.25)), (400, 400), MergeRule())
    assert isinstance(next(steps), Progress)
    steps.close()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("giants", [0, 2])
def test_sharing_boxes_are_those_of_the_comparison_of_all_with_all(seed, giants):
    rng = np.random.default_rng(seed)
    starts = np.round(rng.uniform(-20, 60, (70, 2 + seed % 2)), seed % 3)  # edges that meet share nothing
    sizes = np.round(rng.uniform(0.5, 9, starts.shape) * np.array([1, 3, 1])[: starts.shape[1]], seed % 3)
    sizes[:giants] = 4000.0
    stops = starts + sizes
    near = (starts[:, None] < stops[None]).all(2) & (starts[None] < stops[:, None]).all(2)
    pairs = sharing_pairs(starts, stops)
    assert pairs.tolist() == np.argwhere(np.triu(near, 1)).tolist()
    assert [own.tolist() for own in earlier(pairs, 70)] == [np.flatnonzero(near[:j, j]).tolist() for j in range(70)]


def test_a_small_object_of_another_class_upon_a_large_one_stays():
    large = Found((Part(np.zeros(2), np.array([20.0, 20.0]), np.ones((4, 4), np.float32)),), 1, 0.9)
    small = Found((Part(np.full(2, 6.0), np.full(2, 12.0), np.ones((4, 4), np.float32)),), 2, 0.8)
    again = Found((Part(np.full(2, 6.0), np.full(2, 14.0), np.ones((4, 4), np.float32)),), 1, 0.7)
    merged = finish(merged_steps([Tile((slice(0, 30), slice(0, 30)), (large, small, again))], (30, 30)))
    assert merged == [large, small]


def test_a_mask_on_a_grid_is_drawn_where_its_box_lies():
    grid = np.zeros((2, 3), np.float32)
    grid[1, 2] = 1.0
    corner, values = probabilities(Found((Part(np.array([2.0, 1.0]), np.array([6.0, 7.0]), grid),), 1, 1.0), (9, 9))
    assert corner == (2, 1)
    assert values.shape == (4, 6)
    assert values.argmax() == values.size - 1
    assert values[0, 0] == 0.0


def test_what_lies_outside_the_image_is_cut_off():
    part = Part(np.array([-3.0, 4.0]), np.array([3.0, 12.0]), np.ones((3, 3), np.float32))
    corner, mask = masked(Found((part,), 1, 1.0), (8, 8))
    assert corner == (0, 4)
    assert mask.shape == (3, 4)
    assert mask.all()


def test_turning_twice_and_moving_back_changes_nothing():
    (found,) = ellipsoids(2, (30, 40), 1, 8.0)
    twice = flipped(flipped(found, (0, 1), (30, 40)), (0, 1), (30, 40))
    np.testing.assert_array_equal(twice.parts[0].grid, found.parts[0].grid)
    np.testing.assert_allclose(twice.start, found.start)
    back = moved(moved(found, offset=[3, 4], factor=2.0), offset=[-6, -8], factor=0.5)
    np.testing.assert_allclose(back.stop, found.stop)


def test_a_voxel_goes_to_the_object_with_the_largest_claim():
    sure = Found((Part(np.zeros(2), np.array([4.0, 4.0]), np.full((2, 2), 0.9, np.float32)),), 1, 0.5)
    weak = Found((Part(np.array([0.0, 2.0]), np.array([4.0, 6.0]), np.full((2, 2), 0.6, np.float32)),), 2, 0.6)
    pasted = finish(pasted_steps([weak, sure], (4, 8)))
    assert pasted.array.dtype == np.uint8
    assert pasted.array[0].tolist() == [1, 1, 1, 1, 2, 2, 0, 0]
    assert [f.class_id for f in pasted.found] == [1, 2]


def test_an_object_beneath_others_is_left_out():
    below = Found((Part(np.zeros(2), np.array([4.0, 4.0]), np.ones((2, 2), np.float32)),), 1, 0.4)
    above = Found((Part(np.zeros(2), np.array([5.0, 5.0]), np.ones((2, 2), np.float32)),), 1, 0.9)
    assert finish(pasted_steps([above, below], (9, 9))).found == (above,)


def test_numbers_of_three_hundred_objects_need_sixteen_bits():
    found = [
        Found((Part(np.array([0.0, 3.0 * k]), np.array([3.0, 3.0 * k + 3]), np.ones((1, 1), np.float32)),), 1, 0.9)
        for k in range(300)
    ]
    pasted = finish(pasted_steps(found, (3, 900)))
    assert pasted.array.dtype == np.uint16
    assert pasted.array.max() == 300
