import numpy as np
import pytest
from crowd_of_cells import crowd

from medseg.errors import GeometryError, InputError, UsageError
from medseg.grid import Grid, image_grid
from medseg.instance.distance import distances
from medseg.instance.watershed import SplitOptions, components, split_maps, split_mask
from medseg.labels import Instances, LabelMap
from medseg.metrics.instances import instance_scores
from medseg.volume import Volume

SPACED = [((150, 160), (1.0, 1.0)), ((150, 100), (0.5, 0.75)), ((24, 70, 64), (1.5, 0.6, 0.6))]


def grid_of(shape, spacing):
    return image_grid(shape, spacing, "um")


def apart(shape, spacing, seed=1):
    """Return discs on a lattice that just touch, so that the truth is beyond doubt."""
    radius = 6.0
    labels = np.zeros(shape, np.int32)
    steps = [
        np.arange(1.15 * radius / s, n - radius / s, 1.8 * radius / s) for n, s in zip(shape, spacing, strict=True)
    ]
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    for number, centre in enumerate(np.stack(np.meshgrid(*steps), -1).reshape(-1, len(shape)), start=1):
        away = sum(((x - c) * s) ** 2 for x, c, s in zip(axes, centre, spacing, strict=True))
        labels[(away <= radius**2) & (labels == 0)] = number
    return labels


@pytest.mark.parametrize(("shape", "spacing"), SPACED)
def test_touching_balls_come_apart_from_a_bare_mask(shape, spacing):
    truth = apart(shape, spacing)
    grid = grid_of(shape, spacing)
    found = split_mask(LabelMap((truth > 0).astype(np.uint8), grid))
    scores = instance_scores(found, Instances(truth, grid))
    assert found.array.max() == len(found.segments)
    assert scores.at[4].threshold == 0.7
    assert scores.at[4].f1 > 0.98


@pytest.mark.parametrize("decoder", ["boundary", "distance", "combined"])
def test_each_decoder_separates_by_its_maps(decoder):
    shape, spacing = (120, 130), (1.0, 1.0)
    truth = crowd(shape, 60, 10, spacing=spacing, seed=4)
    depth = distances(truth, spacing)
    maps = np.stack([depth > 2, (depth > 0) & (depth <= 2), np.clip(depth / 8, 0, 1)]).astype(np.float32)
    volume = Volume(maps, grid_of(shape, spacing), ("interior", "boundary", "distance"))
    found = split_maps(volume, options=SplitOptions(decoder=decoder, seed_threshold=0.3, min_depth=0.1))
    scores = instance_scores(found, Instances(truth, volume.grid))
    assert np.array_equal(found.array > 0, truth > 0)
    assert scores.at[0].recall > 0.85


def test_a_summit_below_the_threshold_is_no_object():
    row = np.array([[0.6, 0.6, 0.0, 0.9, 0.6]], np.float32)
    maps = Volume(row[None], grid_of((1, 5), (1.0, 1.0)), ("interior",))
    assert split_maps(maps, options=SplitOptions(seed_threshold=0.8)).array.tolist() == [[0, 0, 0, 1, 1]]


def test_summits_nearer_than_the_least_distance_are_one_object():
    row = np.array([[0.9, 0.5, 0.9, 0.5, 0.5, 0.5, 0.9]], np.float32)
    maps = Volume(row[None], grid_of((1, 7), (1.0, 0.5)), ("interior",))
    counts = [
        len(split_maps(maps, options=SplitOptions(min_distance=reach)).segments) for reach in (0.0, 0.9, 1.1, 2.5, 3.5)
    ]
    assert counts == [3, 3, 2, 2, 1]


def test_smoothing_joins_noise_and_is_measured_in_the_unit_of_the_grid():
    rng = np.random.default_rng(0)
    noise = np.clip(0.8 + 0.15 * rng.standard_normal((1, 40, 40)), 0.55, 1).astype(np.float32)
    fine = Volume(noise, grid_of((40, 40), (0.5, 0.5)), ("interior",))
    coarse = Volume(noise, grid_of((40, 40), (2.0, 2.0)), ("interior",))
    rough, smooth, less = (
        len(split_maps(maps, options=SplitOptions(smoothing=width)).segments)
        for maps, width in ((fine, 0.0), (fine, 1.0), (coarse, 1.0))
    )
    assert rough > less > smooth == 1


@pytest.mark.parametrize("turn", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_spacing_decides_what_is_a_waist(turn):
    mask = np.zeros((11, 29, 15), np.uint8)
    mask[1:10, 1:28, 1:14] = 1
    mask[[1, 2, 8, 9], 10:19] = 0  # two blocks and a bridge of half their height
    counts = []
    for height in (1.0, 5.0):
        spacing = np.array([height, 1.0, 2.0])
        grid = image_grid(tuple(np.array(mask.shape)[list(turn)]), tuple(spacing[list(turn)]), "um")
        counts.append(len(split_mask(LabelMap(mask.transpose(turn), grid)).segments))
    assert counts == [2, 1]


def test_classes_are_split_by_themselves_and_keep_their_names():
    array = np.zeros((8, 12), np.uint8)
    array[1:7, 1:6], array[1:7, 6:11] = 1, 2
    labels = LabelMap(array, grid_of(array.shape, (1.0, 1.0)), {1: "lesion", 2: "oedema"})
    for found in (split_mask(labels), components(labels)):
        assert [s.class_id for s in found.segments] == [1, 2]
        assert found.classes == labels.classes


def test_maps_take_the_class_of_most_voxels():
    fg = np.zeros((1, 5, 12), np.float32)
    fg[0, 1:4, 1:5] = fg[0, 1:4, 7:11] = 0.9
    maps = Volume(fg, grid_of((5, 12), (1.0, 1.0)), ("interior",))
    classes = np.zeros((5, 12), np.uint8)
    classes[:, 1:4], classes[:, 4:6], classes[1, 7] = 2, 1, 3
    labels = LabelMap(classes, maps.grid, {1: "a", 2: "b", 3: "c"})
    assert [s.class_id for s in split_maps(maps, labels=labels).segments] == [2, 3]


def test_components_join_corners_and_leave_out_small_parts():
    array = np.array([[1, 0, 0, 1], [0, 1, 0, 0]], np.uint8)
    labels = LabelMap(array, grid_of((2, 4), (2.0, 2.0)))
    assert components(labels).array.tolist() == [[1, 0, 0, 2], [0, 1, 0, 0]]
    assert components(labels, min_voxels=2).array.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert len(components(labels, min_volume=8.0).segments) == 1
    assert len(components(labels, min_volume=8.1).segments) == 0


def test_nothing_there_gives_no_objects():
    grid = grid_of((6, 7), (1.0, 1.0))
    for found in (
        split_mask(LabelMap(np.zeros((6, 7), np.uint8), grid)),
        components(LabelMap(np.zeros((6, 7), np.uint8), grid)),
        split_maps(Volume(np.full((1, 6, 7), np.nan, np.float32), grid, ("interior",))),
    ):
        assert found.segments == ()
        assert not found.array.any()


def test_one_giant_object_fills_the_image():
    grid = grid_of((6, 7), (1.0, 1.0))
    assert (split_mask(LabelMap(np.ones((6, 7), np.uint8), grid)).array == 1).all()


def test_a_hundred_thousand_objects_keep_their_numbers():
    array = np.zeros((700, 700), np.uint8)
    array[::2, ::2] = 1
    labels = LabelMap(array, grid_of((700, 700), (1.0, 1.0)))
    for found in (split_mask(labels), components(labels)):
        assert found.array.dtype == np.uint32
        assert len(found.segments) == found.array.max() == 122_500
        assert len(np.unique(found.array)) == 122_501


def test_objects_are_numbered_by_their_first_voxel_and_splitting_is_deterministic(oblique_grid):
    mask = crowd(oblique_grid.shape, 12, 3.5, spacing=oblique_grid.spacing, seed=2) > 0
    labels = LabelMap(mask.astype(np.uint8), oblique_grid)
    first, second = split_mask(labels), split_mask(labels)
    assert np.array_equal(first.array, second.array)
    assert first.grid is oblique_grid
    _, places = np.unique(first.array[first.array > 0], return_index=True)
    assert (np.diff(places) > 0).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"decoder": "votes"}, "decoder 'votes'"),
        ({"min_depth": 1.5}, "min_depth 1.5"),
        ({"smoothing": -1}, "smoothing -1"),
        ({"min_size": float("nan")}, "min_size nan"),
        ({"seed": 1}, "'seed'"),
        ({"min_depth": "deep"}, "min_depth 'deep'"),
    ],
)
def test_options_out_of_range_are_refused_in_words(values, words):
    with pytest.raises(UsageError, match="E_USAGE") as caught:
        SplitOptions.from_dict(values)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("channels", "decoder"), [(("tumour",), "combined"), (("foreground",), "distance"), (("distance",), "distance")]
)
def test_maps_that_do_not_suit_the_decoder_are_refused_by_name(channels, decoder):
    maps = Volume(np.zeros((1, 4, 5), np.float32), grid_of((4, 5), (1.0, 1.0)), channels)
    with pytest.raises(InputError, match=f"'{channels[0]}'"):
        split_maps(maps, options=SplitOptions(decoder=decoder))


def test_classes_on_another_grid_are_refused():
    maps = Volume(np.zeros((1, 4, 5), np.float32), grid_of((4, 5), (1.0, 1.0)), ("interior",))
    with pytest.raises(GeometryError, match="E_GEOMETRY_MISMATCH"):
        split_maps(
            maps, labels=LabelMap(np.zeros((4, 5), np.uint8), Grid((4, 5), np.diag([1.0, 2.0, 1.0]), "um", "image"))
        )
