import numpy as np
import pytest
import tifffile
from PIL import Image

from medseg.errors import GeometryError, UsageError
from medseg.grid import image_grid
from medseg.labels import Instances, LabelMap, Segment
from medseg.metrics.instances import panoptic_scores
from medseg.panoptic import merge

GRID = image_grid((2, 6), (0.1, 0.2), "um")
TISSUE = LabelMap(np.array([[3, 3, 1, 1, 1, 0], [4, 4, 1, 1, 0, 0]]), GRID, {1: "axon", 3: "myelin", 4: "vessel"})
AXONS = Instances(
    np.array([[0, 900, 900, 7, 0, 0], [0, 0, 0, 7, 7, 0]]),
    GRID,
    (Segment(7, 1, 0.5, flags=("likely_merged",)), Segment(900, 1, 0.9)),
    {1: "axon"},
)


def test_things_lie_over_stuff_and_nothing_is_counted_twice():
    found = merge(TISSUE, AXONS)
    assert found.array.tolist() == [[3, 2, 2, 1, 0, 0], [4, 4, 0, 1, 1, 0]]
    assert [(s.id, s.class_id, s.is_thing) for s in found.segments] == [
        (1, 1, True),
        (2, 1, True),
        (3, 3, False),
        (4, 4, False),
    ]
    assert found.segments[0].flags == ("likely_merged",)
    assert found.segments[1].score == 0.9
    assert found.classes == {1: "axon", 3: "myelin", 4: "vessel"}
    assert found.array.dtype == np.uint8


def test_every_number_in_the_map_has_one_segment_and_every_segment_a_voxel():
    found = merge(TISSUE, AXONS)
    assert sorted(s.id for s in found.segments) == [i for i in np.unique(found.array).tolist() if i]


def test_only_the_named_classes_become_stuff():
    found = merge(TISSUE, AXONS, stuff=(4, 8))
    assert [(s.class_id, s.is_thing) for s in found.segments] == [(1, True), (1, True), (4, False)]


def test_stuff_that_things_cover_wholly_is_left_out():
    covered = Instances(np.array([[5, 5, 0, 0, 0, 0], [0] * 6]), GRID)
    assert [s.class_id for s in merge(TISSUE, covered).segments] == [1, 4]


def test_nothing_of_either_kind():
    empty = np.zeros((2, 6), np.uint8)
    assert merge(LabelMap(empty, GRID), Instances(empty, GRID)).segments == ()
    assert [s.class_id for s in merge(TISSUE, Instances(empty, GRID)).segments] == [1, 3, 4]


def test_numbers_too_large_for_a_table_survive():
    array = np.array([[0, 2**40, 0, 5, 0, 0], [0] * 6])
    found = merge(TISSUE, Instances(array, GRID))
    assert found.array[0, [1, 3]].tolist() == [2, 1]


def test_a_class_cannot_be_both():
    with pytest.raises(UsageError, match="class 1 both"):
        merge(TISSUE, AXONS, stuff=(1, 3))


def test_different_grids_are_refused():
    with pytest.raises(GeometryError, match="E_GEOMETRY_MISMATCH"):
        merge(TISSUE, Instances(AXONS.array, image_grid((2, 6), (0.1, 0.3), "um")))


@pytest.mark.data
def test_axons_over_myelin_agree_with_themselves_and_lose_by_what_is_taken_away(data_pack):
    folder = data_pack("axon_sem")
    name = "sub-rat1_sample-data1"
    tissue = np.asarray(Image.open(folder / "semantic" / f"{name}.png"))
    axons = tifffile.imread(folder / "axon_instances" / f"{name}.tif")
    grid = image_grid(tissue.shape, (0.1, 0.1), "um")
    semantic = LabelMap(tissue, grid, {1: "axon", 2: "myelin"})
    truth = merge(semantic, Instances(axons, grid))
    assert len(truth.segments) == len(np.unique(axons))  # one myelin in the place of background
    assert {c: s.pq for c, s in panoptic_scores(truth, truth).items()} == {1: 1.0, 2: 1.0}
    fewer = np.where(axons % 2 == 0, axons, 0)
    lost = panoptic_scores(merge(semantic, Instances(fewer, grid)), truth)
    n, k = len(np.unique(axons)) - 1, len(np.unique(fewer)) - 1
    assert lost[1].pq == pytest.approx(k / (k + (n - k) / 2))
    assert lost[2].pq == 1.0
