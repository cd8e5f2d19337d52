"""From an image to objects on its own grid: tiles, zoom, mirrored looks, overlaps, and refusals in words."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from detection.bright_parts import CELLS, BrightParts, card

from medseg.detection.look import Looker, look_steps, tile_boxes
from medseg.detection.segment import DetectOptions, segment_detections_steps
from medseg.errors import OutputError, UsageError
from medseg.grid import image_grid
from medseg.nets.maskrcnn.values import Detections
from medseg.pipeline import Model, SegmentOptions, segment_steps
from medseg.progress import FinishEarly, finish
from medseg.volume import Volume

CPU = torch.device("cpu")


def discs(shape, radius, gap):
    """Return an image of bright balls on a lattice, and their labels."""
    labels = np.zeros(shape, np.int32)
    places = [np.arange(radius + 3, n - radius - 2, gap) for n in shape]
    grid = np.indices(shape)
    for number, centre in enumerate(np.stack(np.meshgrid(*places, indexing="ij"), -1).reshape(-1, len(shape)), 1):
        away = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))
        labels[away <= radius**2] = number
    return labels


def picture(labels, spacing=None):
    rng = np.random.default_rng(0)
    image = 40 + 120 * (labels > 0) + rng.normal(0, 1, labels.shape)
    grid = image_grid(labels.shape, spacing or (1.0,) * labels.ndim, "um")
    return Volume(image[None].astype(np.float32), grid, ("cells",))


def overlap_of(found, truth):
    return np.count_nonzero((found > 0) & (truth > 0)) / np.count_nonzero((found > 0) | (truth > 0))


def found_in(volume, **options):
    network = BrightParts(volume.grid.ndim)
    settings = DetectOptions(**options)
    return finish(
        segment_detections_steps(volume, network, card(volume.grid.ndim), options=settings, device=CPU)
    ), network


def test_every_disc_of_a_large_image_is_one_object_on_the_images_own_grid():
    labels = discs((300, 260), 16, 40)
    prediction, network = found_in(picture(labels))
    assert len(network.asked) > 3
    objects = prediction.instances
    assert len(objects.segments) == labels.max()
    assert objects.array.dtype == np.uint8
    assert overlap_of(objects.array, labels) > 0.95
    assert {s.score for s in objects.segments} == {0.9}
    assert {s.class_id for s in objects.segments} == {1}
    assert prediction.labels.array.max() == 1
    assert objects.grid.same_as(picture(labels).grid)


@pytest.mark.parametrize("radius", [6, 30])
def test_the_size_of_objects_is_looked_for_first(radius):
    labels = discs((200, 220), radius, 2 * radius + 8)
    prediction, network = found_in(picture(labels))
    wanted = 200 * 32 / (2 * radius)
    assert any(abs(shape[0] - min(wanted, 192)) < 0.2 * wanted for shape in network.asked[1:])
    assert len(prediction.instances.segments) == labels.max()
    assert overlap_of(prediction.instances.array, labels) > 0.85


def test_a_given_diameter_is_obeyed_in_the_unit_of_the_image():
    labels = discs((120, 120), 16, 40)
    volume = picture(labels, (0.5, 0.5))
    _, network = found_in(volume, diameter=8.0)
    assert max(shape[0] for shape in network.asked) > 120
    _, network = found_in(volume, diameter=16.0)
    assert {shape[0] for shape in network.asked} == {120}


def test_volumes_keep_the_shape_of_their_voxels():
    labels = discs((40, 60, 60), 8, 20)
    prediction, _ = found_in(picture(labels))
    assert len(prediction.instances.segments) == labels.max()
    assert overlap_of(prediction.instances.array, labels) > 0.85


def test_mirrored_looks_find_the_same():
    labels = discs((100, 90), 16, 40)
    plain, _ = found_in(picture(labels))
    mirrored, network = found_in(picture(labels), tta=True, diameter=32.0)
    assert len(network.asked) == 4
    assert len(mirrored.instances.segments) == len(plain.instances.segments)
    assert overlap_of(mirrored.instances.array, plain.instances.array) > 0.97


def test_overlapping_objects_are_kept_one_by_one_when_asked():
    labels = discs((100, 90), 16, 40)
    prediction, _ = found_in(picture(labels), overlapping=True)
    assert [m.id for m in prediction.masks] == [s.id for s in prediction.instances.segments]
    for mask in prediction.masks:
        own = prediction.instances.array[mask.box] == mask.id
        assert own[mask.mask].mean() > 0.99


class TwoUponEachOther(BrightParts):
    def _parts(self, image):
        boxes = torch.tensor([[10.0, 10.0, 40.0, 40.0], [10.0, 28.0, 40.0, 58.0]])
        kinds = torch.ones(2, dtype=torch.long)
        return Detections(boxes, torch.tensor([0.9, 0.8]), kinds, torch.ones(2, CELLS, CELLS))


def test_masks_that_overlap_keep_what_they_share_while_a_voxel_has_one_owner():
    volume = picture(discs((64, 64), 12, 30))
    options = SegmentOptions(diameter=32.0, overlapping=True)
    found = finish(segment_steps(volume, Model(card(), "0" * 64, TwoUponEachOther(), "cpu"), options))
    one, two = found.masks
    assert [m.score for m in found.masks] == [0.9, 0.8]
    assert one.mask.sum() == two.mask.sum() == 30 * 30
    both = np.zeros((2, 64, 64), bool)
    for layer, mask in zip(both, found.masks, strict=True):
        layer[mask.box] = mask.mask
    assert np.count_nonzero(both.all(axis=0)) == 30 * 12
    assert np.count_nonzero(found.instances.array == two.id) == 30 * 18
    without = finish(segment_steps(volume, Model(card(), "0" * 64, TwoUponEachOther(), "cpu")))
    assert without.masks == ()


def test_an_empty_image_has_no_objects():
    prediction, _ = found_in(Volume(np.zeros((1, 70, 80), np.float32), image_grid((70, 80), (1.0, 1.0), "px"), ("a",)))
    assert prediction.instances.segments == ()
    assert not prediction.instances.array.any()
    assert prediction.labels.array.dtype == np.uint8


def test_flags_tell_which_objects_the_border_cuts():
    labels = discs((100, 90), 16, 40)
    prediction, _ = found_in(picture(labels[20:]), diameter=32.0)
    flags = [s.flags for s in prediction.instances.segments]
    assert ("touches_border",) in flags
    assert () in flags


def test_an_answer_that_is_no_number_is_refused():
    with pytest.raises(OutputError, match="not a number"):
        finish(
            segment_detections_steps(
                picture(discs((60, 60), 12, 30)), BrightParts(spoiled=True), card(), options=DetectOptions(), device=CPU
            )
        )


def test_a_run_that_is_asked_to_end_gives_the_tiles_that_were_done():
    image = np.repeat((discs((200, 600), 16, 40) > 0)[None].astype(np.float32), 3, axis=0)
    looker = Looker(BrightParts(), (64, 64), (32.0, 32.0), CPU)
    steps = look_steps(image, looker)
    for step in steps:
        if step.done == 2:
            break
    steps.throw(FinishEarly())
    found, notices = finish(steps)
    whole, _ = finish(look_steps(image, looker))
    assert 0 < len(found) < len(whole)
    assert [n.code for n in notices] == ["W_PARTIAL"]


def test_tiles_share_two_objects_and_reach_every_voxel():
    boxes = tile_boxes((500, 300), Looker(BrightParts(), (64, 64), (32.0, 32.0), CPU))
    seen = np.zeros((500, 300), int)
    for box in boxes:
        seen[box] += 1
    assert seen.min() >= 1
    starts = sorted({b[0].start for b in boxes})
    assert all(192 - (b - a) >= 64 for a, b in pairwise(starts))


def model():
    return Model(card(), "0" * 64, BrightParts(), "cpu")


def test_a_part_of_an_image_is_placed_back():
    labels = discs((120, 130), 16, 40)
    options = SegmentOptions(roi=((10, 100), (20, 130)), diameter=32.0, overlapping=True)
    found = finish(segment_steps(picture(labels), model(), options))
    assert found.instances.array.shape == labels.shape
    assert not found.instances.array[:10].any()
    assert overlap_of(found.instances.array[10:100, 20:], labels[10:100, 20:]) > 0.9
    first = found.masks[0]
    assert (found.instances.array[first.box] == 1)[first.mask].mean() > 0.99


def test_none_gives_the_classes_only():
    found = finish(segment_steps(picture(discs((60, 60), 12, 30)), model(), SegmentOptions(split="none")))
    assert found.instances is None
    assert found.labels.array.any()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"split": "watershed"}, "--split watershed with bright, a detector"),
        ({"split": "components"}, "--split components with bright"),
        ({"save_maps": True}, "--save-maps with bright"),
    ],
)
def test_a_detector_refuses_what_only_maps_allow(options, told):
    with pytest.raises(UsageError, match=told):
        finish(segment_steps(picture(discs((60, 60), 12, 30)), model(), SegmentOptions(**options)))


def test_maskrcnn_needs_a_detector():
    other = Model(card().model_copy(update={"task": "semantic", "name": "tissue"}), "0" * 64, BrightParts(), "cpu")
    with pytest.raises(UsageError, match="--split maskrcnn with tissue, a model for semantic segmentation"):
        finish(segment_steps(picture(discs((60, 60), 12, 30)), other, SegmentOptions(split="maskrcnn")))
