import numpy as np
import pytest
from crowd_of_cells import crowd

from medseg.grid import image_grid
from medseg.instance.distance import distances
from medseg.instance.watershed import SplitOptions, components_steps, split_maps_steps, split_mask_steps
from medseg.labels import LabelMap
from medseg.progress import Progress, finish
from medseg.volume import Volume

CASES = [
    ((140, 150), (1.0, 1.0), 9, (32, 47)),
    ((140, 150), (0.7, 1.3), 9, (140, 20)),
    ((28, 60, 64), (2.0, 1.0, 1.1), 7, (9, 30, 17)),
]


def same(whole, tiled):
    assert np.array_equal(whole.array, tiled.array)
    assert whole.array.dtype == tiled.array.dtype
    assert whole.segments == tiled.segments
    return len(whole.segments)


@pytest.mark.parametrize(("shape", "spacing", "radius", "tile"), CASES)
def test_a_mask_split_in_tiles_gives_the_objects_of_the_whole(shape, spacing, radius, tile):
    truth = crowd(shape, 120, radius, spacing=spacing)
    labels = LabelMap((truth > 0) * (1 + truth % 2 * (np.indices(shape)[-1] > 30)), image_grid(shape, spacing, "um"))
    whole, tiled = (finish(split_mask_steps(labels, tile=t)) for t in (None, tile))
    assert same(whole, tiled) > 20
    whole, tiled = (finish(components_steps(labels, tile=t)) for t in (None, tile))
    same(whole, tiled)


@pytest.mark.parametrize(("shape", "spacing", "radius", "tile"), CASES)
@pytest.mark.parametrize(
    "options",
    [
        SplitOptions(seed_threshold=0.2, min_depth=0.05),
        SplitOptions(decoder="distance", seed_threshold=0.2, smoothing=1.3),
        SplitOptions(decoder="boundary", seed_threshold=0.6, min_distance=4.0, min_size=20.0),
    ],
)
def test_maps_split_in_tiles_give_the_objects_of_the_whole(shape, spacing, radius, tile, options):
    rng = np.random.default_rng(0)
    depth = distances(crowd(shape, 120, radius, spacing=spacing), spacing)
    clean = np.stack([depth > 2, (depth > 0) & (depth <= 2), np.clip(depth / radius, 0, 1)])
    maps = np.clip(clean + 0.1 * rng.standard_normal(clean.shape), 0, 1).astype(np.float32)
    volume = Volume(maps, image_grid(shape, spacing, "um"), ("interior", "boundary", "distance"))
    whole, tiled = (finish(split_maps_steps(volume, options=options, tile=t)) for t in (None, tile))
    assert same(whole, tiled) > 10


@pytest.mark.parametrize("voxels", [1, 700])
@pytest.mark.parametrize("shape", [(70, 80), (20, 40, 44)])
def test_pauses_while_the_maps_are_read_change_no_object(shape, voxels, monkeypatch):
    spacing = (2.0, 1.0, 1.1)[-len(shape) :]
    depth = distances(crowd(shape, 60, 7, spacing=spacing), spacing)
    clean = np.stack([depth > 2, (depth > 0) & (depth <= 2), np.clip(depth / 7, 0, 1)])
    maps = np.clip(clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape), 0, 1).astype(np.float32)
    volume = Volume(maps, image_grid(shape, spacing, "um"), ("interior", "boundary", "distance"))
    options = SplitOptions(decoder="distance", seed_threshold=0.2, smoothing=1.3)
    whole = finish(split_maps_steps(volume, options=options))
    monkeypatch.setattr("medseg.instance.stitch.AT_A_TIME", voxels)
    told: list[Progress] = []
    slabs = finish(split_maps_steps(volume, options=options), told.append)
    assert same(whole, slabs) > 5
    assert sum(step.phase == "reading the maps" for step in told) > 10


def test_a_part_that_winds_through_all_tiles_is_one_object():
    mask = np.zeros((41, 41), np.uint8)
    mask[::4] = 1
    mask[:, 0] = 1
    mask[2::4, 20] = 1  # bridges
    labels = LabelMap(mask, image_grid(mask.shape, (1.0, 1.0), "px"))
    assert len(finish(components_steps(labels, tile=(5, 7))).segments) == 1 + 10


def test_the_work_reports_its_tiles_and_can_be_stopped_between_them():
    labels = LabelMap(np.eye(40, dtype=np.uint8), image_grid((40, 40), (1.0, 1.0), "px"))
    steps = split_mask_steps(labels, tile=(10, 40))
    seen = [next(steps) for _ in range(3)]
    assert seen[2] == Progress(seen[2].phase, 3, 4, seen[2].seconds_left)
    steps.close()
