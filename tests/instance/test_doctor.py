import numpy as np
import pytest

from medseg.grid import image_grid
from medseg.instance.doctor import examine, gather_evidence
from medseg.labels import Instances, Segment
from medseg.volume import Volume

PLAIN = (1.0, 1.0)


def disc(labels, centre, radius, number):
    y, x = np.ogrid[: labels.shape[0], : labels.shape[1]]
    labels[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2] = number


def flags_of(instances):
    return {s.id: s.flags for s in instances.segments}


def test_two_discs_under_one_number_are_likely_merged_and_one_disc_is_not():
    labels = np.zeros((40, 90), np.uint16)
    disc(labels, (20, 15), 9, 300)
    disc(labels, (20, 45), 9, 7)
    disc(labels, (20, 61), 9, 7)
    found = flags_of(examine(Instances(labels, image_grid(labels.shape, PLAIN, "um"))))
    assert found == {300: (), 7: ("likely_merged",)}


def test_an_object_cut_by_the_edge_is_marked_but_not_for_an_axis_of_one_voxel():
    labels = np.zeros((1, 9, 12), np.uint8)
    labels[0, 2:5, 0:3], labels[0, 2:5, 6:9] = 1, 2
    found = flags_of(examine(Instances(labels, image_grid(labels.shape, (1.0, 1.0, 1.0), "um"))))
    assert found == {1: ("touches_border",), 2: ()}


def test_unusual_sizes_are_marked_where_there_are_enough_to_compare():
    labels = np.zeros((150, 150), np.uint16)
    for n in range(12):
        disc(labels, (20 + 35 * (n // 4), 20 + 35 * (n % 4)), 6 + n % 3, n + 1)
    disc(labels, (130, 30), 16, 13)
    disc(labels, (130, 80), 2, 14)
    grid = image_grid(labels.shape, PLAIN, "px")
    found = flags_of(examine(Instances(labels, grid)))
    assert found.pop(13) == ("likely_merged",)
    assert found.pop(14) == ("likely_fragment",)
    assert set(found.values()) == {()}
    few = np.where(np.isin(labels, (1, 2, 13, 14)), labels, 0)
    assert set(flags_of(examine(Instances(few, grid))).values()) == {()}


def test_the_score_falls_with_an_unsure_inside_and_with_a_cut_that_no_map_supports():
    labels = np.zeros((12, 24), np.uint8)
    labels[2:10, 2:10], labels[2:10, 10:18] = 1, 2
    labels[2:10, 20:23] = 3
    foreground = (labels > 0) * np.where(labels == 3, 0.6, 0.95)
    boundary = np.zeros(labels.shape)
    grid = image_grid(labels.shape, PLAIN, "um")

    def scores(edge):
        boundary[2:10, 9:11] = edge
        maps = Volume(np.stack([foreground, boundary]).astype(np.float32), grid, ("foreground", "boundary"))
        return [s.score for s in examine(Instances(labels, grid), maps=maps).segments]

    clear, unclear = scores(0.9), scores(0.1)
    assert unclear[0] < clear[0] < 0.95
    assert clear[2] == unclear[2] == pytest.approx(0.6, abs=1e-4)
    assert all(0 <= s <= 1 for s in clear + unclear)


def test_evidence_counts_voxels_and_faces():
    labels = np.zeros((4, 6), np.int64)
    labels[1:3, 1:3], labels[1:3, 3:5] = 5, 10**12
    evidence = gather_evidence(Instances(labels, image_grid(labels.shape, PLAIN, "um")))
    assert evidence.ids.tolist() == [5, 10**12]
    assert evidence.voxels.tolist() == [4, 4]
    assert evidence.contact.tolist() == [2 / 8, 2 / 8]
    assert not evidence.at_border.any()


def test_classes_survive_the_examination():
    labels = np.array([[0, 3, 0], [0, 3, 0], [0, 0, 0]], np.uint8)
    found = examine(Instances(labels, image_grid((3, 3), PLAIN, "um"), (Segment(3, 2),), {2: "glia"}))
    assert (found.segments[0].id, found.segments[0].class_id, found.classes) == (3, 2, {2: "glia"})


def ring_of_discs():
    """Return twelve discs and a thirteenth object of two discs, and maps whose ways lead to each disc's own centre."""
    labels, centres = np.zeros((170, 200), np.uint16), np.zeros((2, 170, 200))
    y, x = np.indices(labels.shape)

    def add(centre, radius, number):
        own = ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2) & (labels == 0)
        labels[own] = number
        centres[0][own], centres[1][own] = centre

    for n in range(12):
        add((70 + 40 * (n // 5), 20 + 38 * (n % 5)), 10, n + 1)
    add((20, 45), 10, 13)
    add((20, 66), 12, 13)
    ways = np.where(labels > 0, centres - np.stack([y, x]), 0)
    foreground = np.where(labels > 0, 0.97, 0.0)
    array = np.stack([foreground, np.zeros(labels.shape), *ways]).astype(np.float32)
    return labels, Volume(
        array, image_grid(labels.shape, PLAIN, "px"), ("foreground", "boundary", "offset_y", "offset_x")
    )


def test_a_large_object_whose_voxels_point_to_two_centres_is_likely_merged_and_one_that_agrees_is_not():
    labels, maps = ring_of_discs()
    found = flags_of(examine(Instances(labels, maps.grid), maps=maps))
    assert found.pop(13) == ("likely_merged",)
    assert set(found.values()) == {()}
    y, x = np.indices(labels.shape)
    own = labels == 13
    maps.numpy()[2:, own] = np.stack([20 - y, 56 - x])[:, own]
    assert flags_of(examine(Instances(labels, maps.grid), maps=maps))[13] == ()


def test_a_small_object_is_a_fragment_only_where_the_network_doubts_it():
    labels, maps = ring_of_discs()
    labels[labels == 13] = 0
    disc(labels, (20, 100), 4, 14)
    disc(labels, (20, 140), 4, 15)
    maps.numpy()[2:, labels > 13] = 0.0
    maps.numpy()[0] = np.where(labels > 0, 0.97, 0.0)
    maps.numpy()[0, labels == 15] = 0.6
    found = flags_of(examine(Instances(labels, maps.grid), maps=maps))
    assert found[15] == ("likely_fragment",)
    assert set(found.values()) == {(), ("likely_fragment",)}
    scores = {s.id: s.score for s in examine(Instances(labels, maps.grid), maps=maps).segments}
    assert 0 <= scores[15] < scores[14] < scores[1] <= 1


def test_the_scatter_of_the_ways_is_counted_in_radii_whatever_the_spacing():
    labels = np.zeros((40, 60), np.uint8)
    y, x = np.indices(labels.shape)
    found = []
    for spacing in ((1.0, 1.0), (0.5, 0.5), (1.0, 0.5)):
        reach = ((y - 20) * spacing[0]) ** 2 + ((x - 30) * spacing[1]) ** 2
        labels[:] = reach <= (9 * max(spacing)) ** 2
        grid = image_grid(labels.shape, spacing, "um")
        ways = np.zeros((2, *labels.shape))  # no voxel moves: the ends are the disc itself
        maps = Volume(np.stack([labels, *ways]).astype(np.float32), grid, ("foreground", "offset_y", "offset_x"))
        found.append(gather_evidence(Instances(labels, grid), maps=maps).scatter[0])
    assert found == pytest.approx([np.sqrt(0.5)] * 3, rel=0.03)
    assert np.isnan(gather_evidence(Instances(labels, grid)).scatter).all()
