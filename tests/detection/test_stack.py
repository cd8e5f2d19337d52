"""A detector of flat images on stacks: sections that lie upon each other are one object, whatever the spacing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from detection.bright_parts import BrightParts, card

from medseg.detection import paste
from medseg.detection.found import Found, Part
from medseg.detection.paste import pasted_steps
from medseg.detection.segment import DetectOptions, segment_detections_steps
from medseg.detection.stack import linked
from medseg.errors import InputError
from medseg.grid import image_grid
from medseg.progress import FinishEarly, finish
from medseg.volume import Volume

CPU = torch.device("cpu")


def balls(shape, spacing, centres, radius):
    """Return labels of balls; lengths in the unit of the spacing."""
    labels = np.zeros(shape, np.int32)
    points = [(np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True)]
    for number, centre in enumerate(centres, 1):
        away = sum(
            np.expand_dims((p - c) ** 2, [k for k in range(3) if k != axis])
            for axis, (p, c) in enumerate(zip(points, centre, strict=True))
        )
        labels[away <= radius**2] = number
    return labels


def sections_of(labels, *, kind=1, score=0.9):
    """Return what a perfect detector sees in each slice."""
    slices = []
    for plane in labels:
        own = []
        for number in np.unique(plane[plane > 0]):
            places = np.argwhere(plane == number)
            low, high = places.min(axis=0), places.max(axis=0) + 1
            grid = (plane[low[0] : high[0], low[1] : high[1]] == number).astype(np.float32)
            own.append(Found((Part(low.astype(float), high.astype(float), grid),), kind, score))
        slices.append(own)
    return slices


def drawn(found, shape):
    return finish(pasted_steps(found, shape)).array


def same_objects(array, labels):
    pairs = np.unique(np.stack([array[labels > 0], labels[labels > 0]]), axis=1)
    return np.array_equal(array > 0, labels > 0) and pairs.shape[1] == labels.max() == array.max()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 1.0, 0.8), (4.0, 0.5, 0.5)])
def test_balls_beside_each_other_are_put_together_whatever_the_spacing(spacing):
    shape = tuple(int(34 / s) for s in spacing)
    labels = balls(shape, spacing, [(9, 9, 9), (11, 9, 23.5), (24, 24, 10), (22, 25, 25)], 7.0)
    found = linked(sections_of(labels), shape[1:], spacing)
    assert same_objects(drawn(found, shape), labels)
    assert [f.score for f in found] == pytest.approx([0.9] * 4)


def test_balls_upon_each_other_are_parted_at_the_waist():
    spacing, shape = (1.0, 1.0, 1.0), (34, 20, 20)
    labels = balls(shape, spacing, [(9, 10, 10), (24, 10, 10)], 7.6)
    merged = np.where(labels > 0, 1, 0)  # the sections alone do not tell
    found = linked(sections_of(merged), shape[1:], spacing)
    assert len(found) == 2
    array = drawn(found, shape)
    assert np.count_nonzero(array > 0) == np.count_nonzero(merged)
    assert (array[4:14][labels[4:14] > 0] == array[9, 10, 10]).mean() > 0.99


def test_a_missed_slice_is_filled():
    spacing, shape = (1.0, 1.0, 1.0), (20, 20, 20)
    labels = balls(shape, spacing, [(10, 10, 10)], 7.0)
    slices = sections_of(labels)
    slices[9] = []
    found = linked(slices, shape[1:], spacing)
    assert len(found) == 1
    array = drawn(found, shape)
    assert np.count_nonzero(array[9] != labels[9]) <= 12
    assert np.array_equal(np.delete(array, 9, axis=0), np.delete(labels, 9, axis=0))


def in_pieces(section):
    """Return a section as it is where every tile cut it: left and right half are parts of their own."""
    (part,) = section.parts
    half = part.grid.shape[1] // 2
    left = Part(part.start, part.stop - np.array([0, part.grid.shape[1] - half]), part.grid[:, :half])
    right = Part(part.start + np.array([0, half]), part.stop, part.grid[:, half:])
    return replace(section, parts=(left, right))


@pytest.mark.parametrize("missed", [None, 9])
def test_sections_that_no_tile_saw_whole_are_put_together_like_others(missed):
    labels = balls((20, 20, 20), (1.0, 1.0, 1.0), [(10, 10, 10)], 7.0)
    slices = [[in_pieces(f) for f in own] for own in sections_of(labels)]
    if missed is not None:
        slices[missed] = []
    found = linked(slices, (20, 20), (1.0, 1.0, 1.0))
    assert len(found) == 1
    array = drawn(found, labels.shape)
    kept = [k for k in range(20) if k != missed]
    assert np.array_equal(array[kept], labels[kept])
    assert np.count_nonzero(array[9] != labels[9]) <= 12


def test_a_slice_that_is_missed_is_not_bridged_where_slices_are_far_apart():
    slices = sections_of(balls((20, 20, 20), (1.0, 1.0, 1.0), [(10, 10, 10)], 7.0))
    slices[9] = []
    assert len(linked(slices, (20, 20), (5.0, 1.0, 1.0))) == 2


def test_what_is_flat_is_no_object_unless_the_stack_ends_there():
    speck = sections_of(balls((1, 12, 12), (1.0, 1.0, 1.0), [(0.5, 6, 6)], 4.0))[0]
    empty = [[] for _ in range(9)]
    within = [*empty[:4], speck, *empty[5:]]
    assert linked(within, (12, 12), (1.0, 1.0, 1.0)) == []
    assert len(linked(within, (12, 12), (3.0, 1.0, 1.0))) == 1
    assert len(linked([speck, *empty], (12, 12), (1.0, 1.0, 1.0))) == 1


def test_sections_of_different_classes_stay_apart():
    slices = sections_of(balls((12, 16, 16), (1.0, 1.0, 1.0), [(6, 8, 8)], 6.5))
    mixed = [[replace(f, class_id=1 if k < 6 else 2) for f in own] for k, own in enumerate(slices)]
    assert sorted(f.class_id for f in linked(mixed, (16, 16), (1.0, 1.0, 1.0))) == [1, 2]


def test_nothing_seen_is_no_object():
    assert linked([], (5, 5), (1.0, 1.0, 1.0)) == []
    assert linked([[], []], (5, 5), (1.0, 1.0, 1.0)) == []


def stack(shape=(24, 60, 70), spacing=(2.0, 1.0, 1.0)):
    labels = balls(shape, spacing, [(14, 18, 18), (26, 40, 48), (34, 17, 50)], 11.0)
    noise = np.random.default_rng(0).normal(0, 1, shape)
    image = (40 + 120 * (labels > 0) + noise).astype(np.float32)
    return Volume(image[None], image_grid(shape, spacing, "um"), ("cells",)), labels


def steps_for(volume, **options):
    return segment_detections_steps(volume, BrightParts(2), card(2), options=DetectOptions(**options), device=CPU)


@pytest.mark.parametrize("options", [{}, {"diameter": 20.0}])
def test_a_flat_detector_finds_the_objects_of_a_stack_on_its_own_grid(options):
    volume, labels = stack()
    found = finish(steps_for(volume, overlapping=True, **options))
    assert found.instances.grid.same_as(volume.grid)
    assert len(found.instances.segments) == labels.max()
    agree = np.count_nonzero((found.instances.array > 0) & (labels > 0))
    assert agree / np.count_nonzero((found.instances.array > 0) | (labels > 0)) > 0.85
    assert {m.mask.ndim for m in found.masks} == {3}
    assert [n.code for n in found.warnings] == ["W_OUT_OF_DISTRIBUTION"]


def test_a_look_at_a_stack_can_end_early():
    volume, _ = stack()
    steps = steps_for(volume, diameter=20.0)
    for step in steps:
        if step.phase == "looking at the slices" and step.done == 10:
            break
    steps.throw(FinishEarly())
    found = finish(steps)
    assert not found.instances.array[10:].any()
    assert found.instances.array[:10].any()
    assert "W_PARTIAL" in {n.code for n in found.warnings}


def ended_at(steps, phase):
    """Ask for what is finished at the first step of a phase."""
    asked = False
    try:
        while True:
            step = next(steps)
            if step.phase == phase and not asked:
                asked = True
                steps.throw(FinishEarly())
    except StopIteration as end:
        assert asked
        return end.value


@pytest.mark.parametrize("phase", ["joining the slices", "joining the tiles", "drawing the objects"])
def test_asked_to_end_early_when_all_is_seen_it_gives_the_whole(phase, monkeypatch):
    monkeypatch.setattr(paste, "_REPORTED", 1)
    volume, _ = stack()
    flat = Volume(volume.array[:, 12], image_grid(volume.grid.shape[1:], (1.0, 1.0), "um"), ("cells",))
    image = flat if phase == "joining the tiles" else volume
    found = ended_at(steps_for(image, diameter=20.0), phase)
    whole = finish(steps_for(image, diameter=20.0))
    assert np.array_equal(found.instances.array, whole.instances.array)
    assert found.warnings == whole.warnings


def test_a_flat_image_is_refused_by_a_detector_of_volumes():
    flat = Volume(np.zeros((1, 30, 30), np.float32), image_grid((30, 30), (1.0, 1.0), "um"), ("a",))
    with pytest.raises(InputError, match="2 axes"):
        finish(segment_detections_steps(flat, BrightParts(3), card(3), options=DetectOptions(), device=CPU))
