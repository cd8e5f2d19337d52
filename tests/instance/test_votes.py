"""Objects by vote: each voxel points to the centre of its object."""

import numpy as np
import pytest
from crowd_of_cells import crowd
from scipy import ndimage

from medseg.errors import InputError
from medseg.grid import image_grid
from medseg.instance.options import SplitOptions
from medseg.instance.segment import instances_on_steps
from medseg.instance.targets import classes_of, object_maps
from medseg.instance.watershed import split_maps, split_maps_steps
from medseg.labels import Instances
from medseg.metrics.instances import instance_scores
from medseg.progress import finish
from medseg.volume import Volume

SPACED = [((90, 100), (1.0, 1.0)), ((90, 60), (0.5, 0.75)), ((20, 44, 40), (1.5, 0.6, 0.6))]


def maps_of(labels, spacing, noise=0.0):
    """Return the maps that a network would learn from labels, the ways with some noise (in voxels)."""
    found = object_maps(labels, spacing)
    classes = classes_of(labels, found.distance)
    shares = np.stack([(classes == k).astype(np.float32) for k in range(3)])
    ways = found.offsets + noise * np.random.default_rng(0).standard_normal(found.offsets.shape)
    names = ("background", "interior", "boundary", "distance", *(f"offset_{a}" for a in "zyx"[-labels.ndim :]))
    array = np.concatenate([shares, found.relative[None], ways]).astype(np.float32)
    return Volume(array, image_grid(labels.shape, spacing, "um"), names)


def options_for(spacing, **more):
    step = min(spacing)
    return SplitOptions(decoder="offsets", smoothing=1.2 * step, **{"min_depth": 0.2, **more})


@pytest.mark.parametrize(("shape", "spacing"), SPACED)
def test_touching_objects_come_apart_where_their_voxels_point_in_real_units(shape, spacing):
    truth = crowd(shape, 25, 5.0, spacing=spacing, seed=3)
    truth[np.isin(truth, np.flatnonzero(np.bincount(truth.ravel()) < 40))] = 0  # what hardly shows from under others
    maps = maps_of(truth, spacing, noise=1.0)
    found = split_maps(maps, options=options_for(spacing))
    assert np.array_equal(found.array > 0, truth > 0)
    assert instance_scores(found, Instances(truth, maps.grid)).at[4].f1 > 0.9


def test_a_voxel_belongs_where_its_vote_goes_and_not_to_the_nearer_centre():
    maps = maps_of(np.ones((3, 12), int), (1.0, 1.0))
    ways = np.where(np.arange(12) < 8, 2 - np.arange(12), 10 - np.arange(12))
    maps.numpy()[-1] = ways  # columns 0 to 7 point to column 2, though 7 is nearer to column 10
    found = split_maps(maps, options=options_for((1.0, 1.0)))
    assert found.array[1].tolist() == [1] * 8 + [2] * 4


@pytest.mark.parametrize(("shape", "spacing"), SPACED)
def test_every_object_is_one_piece_whatever_the_ways_say(shape, spacing):
    truth = crowd(shape, 25, 5.0, spacing=spacing, seed=3)
    maps = maps_of(truth, spacing, noise=6.0)
    found = split_maps(maps, options=options_for(spacing, min_depth=0.05, seed_threshold=0.3))
    assert len(found.segments) > 10
    for number in range(1, len(found.segments) + 1):
        assert ndimage.label(found.array == number)[1] == 1
    assert np.array_equal(
        found.array, split_maps(maps, options=options_for(spacing, min_depth=0.05, seed_threshold=0.3)).array
    )


@pytest.mark.parametrize(
    ("shape", "spacing", "tile"),
    [
        ((90, 100), (1.0, 1.0), (13, 100)),
        ((90, 100), (0.7, 1.1), (31, 17)),
        ((16, 44, 40), (1.5, 0.7, 0.7), (7, 44, 13)),
    ],
)
def test_tiles_give_the_objects_of_the_whole_also_where_votes_cross_their_faces(shape, spacing, tile):
    truth = crowd(shape, 40, 7.0, spacing=spacing, seed=5)
    maps = maps_of(truth, spacing, noise=3.0)
    options = options_for(spacing, min_distance=2.0, min_size=6.0)
    whole, tiled = (finish(split_maps_steps(maps, options=options, tile=t)) for t in (None, tile))
    assert np.array_equal(whole.array, tiled.array)
    assert whole.segments == tiled.segments
    assert len(whole.segments) > 10


def test_votes_of_another_part_do_not_count():
    labels = np.zeros((9, 20), int)
    labels[2:7, 2:7], labels[2:7, 9:14] = 1, 2
    alone = np.where(labels == 1, labels, 0)
    maps = maps_of(labels, (1.0, 1.0))
    maps.numpy()[-1, labels == 2] = -8.0  # the second part points into the first
    found = split_maps(maps, options=options_for((1.0, 1.0), min_depth=0.0))
    own = split_maps(maps_of(alone, (1.0, 1.0)), options=options_for((1.0, 1.0), min_depth=0.0))
    assert np.array_equal(found.array == 1, own.array == 1)
    assert (found.array[labels == 2] == 2).all()


def test_a_ring_whose_centre_lies_outside_of_it_stays_one_object():
    y, x = np.indices((25, 25))
    away = np.hypot(y - 12, x - 12)
    ring = ((away < 9) & (away > 5)).astype(int)
    maps = maps_of(ring, (1.0, 1.0))
    found = split_maps(maps, options=options_for((1.0, 1.0), min_depth=0.6))
    assert np.array_equal(found.array > 0, ring > 0)
    assert found.array.max() <= 2


def test_few_scattered_votes_are_no_object_and_an_agreement_is():
    spread = maps_of(np.ones((9, 9), int), (1.0, 1.0))
    spread.numpy()[-2:] = 0.0  # nobody moves: one vote for each voxel, half of the full height
    assert split_maps(spread, options=options_for((1.0, 1.0), seed_threshold=0.55)).segments == ()
    agreed = maps_of(np.ones((9, 9), int), (1.0, 1.0))
    assert len(split_maps(agreed, options=options_for((1.0, 1.0), seed_threshold=0.55)).segments) == 1


@pytest.mark.parametrize("factor", [(0.5, 0.5), (1.0, 1.0), (2.0, 2.0), (1.5, 0.75)])
def test_ways_keep_their_length_when_the_maps_go_to_another_grid(factor):
    truth = crowd((80, 90), 30, 9.0, spacing=(1.0, 1.0), seed=8)
    truth[np.isin(truth, np.flatnonzero(np.bincount(truth.ravel()) < 60))] = 0
    working = image_grid(truth.shape, (1.0, 1.0), "um")
    maps = maps_of(truth, (1.0, 1.0))
    grid = working.reshaped(tuple(round(n * f) for n, f in zip(truth.shape, factor, strict=True)))
    found = finish(instances_on_steps(maps, grid, options_for((1.0, 1.0), min_size=20.0)))
    rows, columns = (((np.arange(m) + 0.5) * n / m).astype(int) for n, m in zip(truth.shape, grid.shape, strict=True))
    scores = instance_scores(found, Instances(truth[np.ix_(rows, columns)], grid))
    assert found.grid is grid
    assert scores.at[0].f1 > 0.9


def test_ways_that_are_not_numbers_count_as_no_way():
    maps = maps_of(np.ones((7, 7), int), (1.0, 1.0))
    maps.numpy()[-2:, 2, 2], maps.numpy()[-1, 3, 4] = np.nan, np.inf
    found = split_maps(maps, options=options_for((1.0, 1.0)))
    assert (found.array == 1).all()


def test_maps_without_ways_are_refused_by_name():
    maps = maps_of(np.ones((7, 7), int), (1.0, 1.0))
    bare = Volume(maps.numpy()[:-1], maps.grid, maps.channels[:-1])
    with pytest.raises(InputError, match="'offset_y' and 'offset_x'"):
        split_maps(bare, options=options_for((1.0, 1.0)))
