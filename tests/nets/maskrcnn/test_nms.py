"""The boxes that stay are MONAI's, whichever way they are found."""

import pytest
import torch
from monai.data.box_utils import non_max_suppression

from medseg.nets.maskrcnn import nms as module
from medseg.nets.maskrcnn.nms import nms


def crowd(n_axes, *, seed, count=300, extent=60.0, snap=None):
    generator = torch.Generator().manual_seed(seed)
    middles = torch.rand(count, n_axes, generator=generator) * extent
    halves = 3 + torch.rand(count, n_axes, generator=generator) * 9
    boxes = torch.cat([middles - halves, middles + halves], dim=1)
    scores = torch.rand(count, generator=generator)
    if snap:  # many equal boxes, equal overlaps and equal scores
        boxes, scores = (boxes / snap).round() * snap, (scores * 10).round() / 10
    return boxes, scores


@pytest.fixture(params=["compiled", "torch"])
def way(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(module, "_compiled", lambda: None)
        monkeypatch.setattr(module, "BLOCK", 64)
    return request.param


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("snap", [None, 4.0])
@pytest.mark.parametrize("n_axes", [2, 3])
def test_the_boxes_that_stay_are_those_of_monai(way, n_axes, snap, overlap):
    for seed in range(3):
        boxes, scores = crowd(n_axes, seed=seed, snap=snap)
        expected = non_max_suppression(boxes, scores, overlap)
        assert torch.equal(nms(boxes, scores, overlap), expected)


def test_one_huge_box_among_small_ones_changes_nothing_but_what_it_overlaps(way):
    boxes, scores = crowd(2, seed=7)
    boxes = torch.cat([boxes, torch.tensor([[-5000.0, -5000.0, 5000.0, 5000.0]])])
    for score in (0.0, 2.0):
        own = torch.cat([scores, torch.tensor([score])])
        assert torch.equal(nms(boxes, own, 0.5), non_max_suppression(boxes, own, 0.5))


def test_classes_never_drop_each_other(way):
    boxes, scores = crowd(3, seed=3)
    classes = torch.arange(len(boxes)) % 3
    found = nms(boxes, scores, 0.3, classes)
    alone = [(classes == c).nonzero().flatten() for c in range(3)]
    expected = torch.cat([own[nms(boxes[own], scores[own], 0.3)] for own in alone])
    assert sorted(found.tolist()) == sorted(expected.tolist())
    assert (scores[found].diff() <= 0).all()
    assert len(found) > len(nms(boxes, scores, 0.3))


def test_no_boxes_stay_of_none(way):
    found = nms(torch.zeros(0, 6), torch.zeros(0), 0.5)
    assert found.shape == (0,)
    assert found.dtype == torch.long


def test_boxes_without_extent_and_not_numbers_do_not_break_it(way):
    boxes = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [float("nan")] * 4, [0.0, 0.0, 2.0, 2.0]])
    assert 3 in nms(boxes, torch.tensor([0.1, 0.2, 0.3, 0.4]), 0.5)


@pytest.mark.parametrize("most", [0, 1, 40, 64, 1000])
def test_asking_for_the_best_few_answers_with_the_first_of_all_that_stay(way, most):
    boxes, scores = crowd(3, seed=5)
    every = nms(boxes, scores, 0.3)
    assert len(every) > 64
    assert torch.equal(nms(boxes, scores, 0.3, most=most), every[:most])
