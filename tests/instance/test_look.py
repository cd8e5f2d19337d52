"""A look at a part shows what the whole holds there, and the whole is what the commands give."""

import numpy as np
import pytest
from crowd_of_cells import crowd
from scipy import ndimage

from medseg.grid import Grid, image_grid
from medseg.instance.distance import distances
from medseg.instance.look import box_within, look_steps, read_box
from medseg.instance.options import SplitOptions
from medseg.instance.retune import SplitSource, separated_steps
from medseg.instance.segment import instances_on_steps
from medseg.labels import LabelMap
from medseg.pipeline import split_steps
from medseg.progress import finish
from medseg.volume import Volume

NAMES = ("background", "interior", "boundary", "distance", "offset_z", "offset_y", "offset_x")
SCENES = {
    "flat": ((260, 300), (0.5, 0.5), 5.0, 55),
    "stack": ((24, 90, 110), (1.5, 0.6, 0.6), 4.0, 60),
}


def maps_of(truth, grid):
    """Return maps as a good network would make them, a little noisy."""
    rng = np.random.default_rng(1)
    deep = distances(truth, grid.spacing)
    inside = truth > 0
    edge = inside & (deep <= 1.2 * min(grid.spacing))
    far = np.clip(deep / deep.max(), 0, 1)
    interior, boundary = 0.9 * (inside & ~edge), 0.85 * edge
    distance = np.clip(far + 0.02 * ndimage.gaussian_filter(rng.normal(size=truth.shape), 2), 0, 1)
    ids = np.unique(truth)[1:]
    places = np.stack(np.meshgrid(*[np.arange(n) for n in truth.shape], indexing="ij"))
    centres = np.zeros((truth.max() + 1, truth.ndim))
    centres[ids] = ndimage.center_of_mass(inside, truth, ids)
    ways = (centres[truth].transpose(-1, *range(truth.ndim)) - places) * inside
    ways *= (np.array(grid.spacing) / min(grid.spacing)).reshape(-1, *[1] * truth.ndim)
    stack = np.stack([1 - interior - boundary, interior, boundary, distance, *ways]).astype(np.float32)
    return Volume(stack, grid, NAMES[:4] + NAMES[-truth.ndim :])


def scene(kind, seed=0):
    shape, spacing, radius, n = SCENES[kind]
    truth = crowd(shape, n, radius, spacing=spacing, seed=seed)
    return truth, image_grid(shape, spacing, "um")


def model_source(kind, zoom):
    """Return maps on a working grid `zoom` times as fine as the image."""
    truth, grid = scene(kind)
    working = grid.reshaped(tuple(max(1, round(n * zoom)) for n in grid.shape))
    index = np.meshgrid(
        *[((2 * np.arange(m) + 1) * n) // (2 * m) for m, n in zip(working.shape, grid.shape, strict=True)],
        indexing="ij",
    )
    return SplitSource.of_model(maps_of(truth[tuple(index)], working), grid, {1: "nucleus"})


def sources(kind):
    truth, grid = scene(kind)
    yield "saved maps", SplitSource.of_maps(maps_of(truth, grid))
    yield "mask", SplitSource.of_labels(LabelMap((truth > 0).astype(np.uint8), grid))
    classes = np.where(truth > 0, 1 + truth % 2, 0)
    yield "classes", SplitSource.of_labels(LabelMap(classes, grid, {1: "a", 2: "b"}))
    for zoom in (0.6, 1.0, 1.3):
        yield f"model at {zoom}", model_source(kind, zoom)


def same_objects(a, b):
    """Tell whether two arrays hold the same objects under other numbers."""
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b)) and np.array_equal(a > 0, b > 0)


def middle(grid, share=0.6):
    return tuple(slice(int(n * (1 - share) / 2), int(n * (1 + share) / 2) + 1) for n in grid.shape)


def whole_parts(foreground, wide, reach):
    """Return the connected parts that stay `reach` voxels inside every cut face of a box, numbered."""
    parts, _ = ndimage.label(foreground, np.ones((3,) * foreground.ndim))
    inner = np.zeros(foreground.shape, bool)
    inner[
        tuple(
            slice(w.start + r * (w.start > 0), w.stop - r * (w.stop < n))
            for w, r, n in zip(wide, reach, foreground.shape, strict=True)
        )
    ] = True
    outside = np.unique(parts[~inner])
    return np.where(np.isin(parts, outside), 0, parts)


NUMBERS = [
    SplitOptions(),
    SplitOptions(decoder="distance", smoothing=0.8, min_depth=0.05, min_size=6.0),
    SplitOptions(decoder="boundary", seed_threshold=0.6, min_distance=3.0),
    SplitOptions(decoder="offsets", smoothing=0.9, min_depth=0.3),
]


@pytest.mark.parametrize("options", NUMBERS, ids=lambda o: o.decoder)
@pytest.mark.parametrize("method", ["watershed", "components"])
@pytest.mark.parametrize("kind", SCENES)
def test_parts_that_no_face_cuts_have_exactly_the_objects_of_the_whole(kind, method, options):
    tried = 0
    for name, source in sources(kind):
        box = middle(source.grid)
        whole = finish(separated_steps(source, method, options)).array
        seen = finish(look_steps(source, method, options, box))
        assert seen.array.shape == whole[box].shape
        spacing = source.grid.spacing
        reach = [int(np.ceil(3 * options.smoothing / s)) + 3 for s in spacing]  # 3: a working grid has other voxels
        # objects, and the gap that may lie between two of one part, belong together
        near = ndimage.binary_dilation(whole > 0, np.ones((3,) * whole.ndim), iterations=1)
        kept = whole_parts(near, read_box(source, options, box), reach)[box] > 0
        assert same_objects(np.where(kept, whole[box], 0), np.where(kept, seen.array, 0)), name
        tried += len(np.unique(whole[box][kept]))
        assert seen.count == len(np.unique(seen.array)) - 1
    assert tried > 30


@pytest.mark.parametrize("kind", SCENES)
def test_in_a_crowd_that_fills_the_view_nearly_all_objects_are_those_of_the_whole(kind):
    shape, spacing, radius, n = SCENES[kind]
    truth = crowd(shape, 5 * n, radius, spacing=spacing, seed=3)
    grid = image_grid(shape, spacing, "um")
    parts = ndimage.label(truth > 0)[0]
    assert np.bincount(parts[truth > 0]).max() > 0.7 * np.count_nonzero(truth), "most of it is one part, cut by the box"
    source = SplitSource.of_maps(maps_of(truth, grid))
    options = SplitOptions(min_depth=0.1)
    box = middle(grid, 0.5)
    whole = finish(separated_steps(source, "watershed", options)).array[box]
    seen = finish(look_steps(source, "watershed", options, box)).array
    ids = np.unique(whole)[1:]
    equal = sum(same_objects(whole == i, seen == np.bincount(seen[whole == i]).argmax()) for i in ids)
    assert len(ids) > 30
    assert equal >= 0.97 * len(ids)


def test_the_whole_is_what_the_pipeline_gives():
    options = SplitOptions(decoder="distance", min_depth=0.2, min_size=4.0)
    truth, grid = scene("flat")
    maps = maps_of(truth, grid)
    labels = LabelMap(np.where(truth > 0, 1 + truth % 2, 0), grid, {1: "a", 2: "b"})
    for method in ("watershed", "components"):
        for source, given in ((SplitSource.of_maps(maps), maps), (SplitSource.of_labels(labels), labels)):
            ours, theirs = (
                finish(separated_steps(source, method, options)),
                finish(split_steps(given, method, options=options)),
            )
            np.testing.assert_array_equal(ours.array, theirs.array)
            assert ours.segments == theirs.segments
            assert ours.classes == theirs.classes
    source = model_source("flat", 0.6)
    ours = finish(separated_steps(source, "watershed", options))
    np.testing.assert_array_equal(ours.array, finish(instances_on_steps(source.maps, source.grid, options)).array)
    assert ours.classes == {1: "nucleus"}


def test_a_box_is_cut_to_what_may_be_worked_on_about_its_middle():
    _, source = next(sources("flat"))
    box = tuple(slice(0, n) for n in source.grid.shape)
    assert box_within(source, SplitOptions(), box, most_voxels=10**9) == box
    cut = box_within(source, SplitOptions(), box, most_voxels=20_000)
    wide = read_box(source, SplitOptions(), cut)
    assert 15_000 < np.prod([w.stop - w.start for w in wide]) <= 20_000
    assert all(abs((c.start + c.stop) - (b.start + b.stop)) <= 1 for c, b in zip(cut, box, strict=True))
    slice_of_stack = (slice(10, 11), slice(0, 90), slice(0, 110))
    _, stack = next(sources("stack"))
    cut = box_within(stack, SplitOptions(), slice_of_stack, most_voxels=60_000)
    assert cut[0] == slice(10, 11)
    assert cut[1].stop - cut[1].start < 90


def test_patient_grids_that_are_oblique_and_flipped_are_looked_at_alike(oblique_grid):
    grid = Grid((60, 50, 30), oblique_grid.world_from_index)
    truth = crowd(grid.shape, 40, 7.0, spacing=grid.spacing)
    source = SplitSource.of_labels(LabelMap((truth > 0).astype(np.uint8).T.copy().T, grid))
    box = tuple(slice(0, n) for n in grid.shape)
    options = SplitOptions(min_size=20.0)
    whole = finish(separated_steps(source, "watershed", options)).array
    np.testing.assert_array_equal(finish(look_steps(source, "watershed", options, box)).array, whole)


def test_maps_of_a_part_of_an_image_give_objects_at_their_place_in_the_whole():
    truth, grid = scene("flat")
    part = grid.cropped((30, 40), (200, 180))
    maps = maps_of(truth[30:230:2, 40:220:2], part.reshaped((100, 90)))
    source = SplitSource.of_model(maps, grid, {1: "nucleus"})
    assert source.start == (30, 40)
    found = finish(separated_steps(source, "watershed", SplitOptions()))
    assert found.grid.same_as(grid)
    alone = finish(instances_on_steps(maps, part, SplitOptions()))
    np.testing.assert_array_equal(found.array[30:230, 40:220], alone.array)
    assert np.count_nonzero(found.array) == np.count_nonzero(alone.array)
    assert SplitSource.of_model(maps_of(truth, grid), grid, {}).home is None
