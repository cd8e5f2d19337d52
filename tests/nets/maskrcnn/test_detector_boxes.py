"""Geometry of boxes against MONAI's, and the way there and back."""

import pytest
import torch
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.apps.detection.utils.box_coder import BoxCoder
from monai.data.box_utils import box_giou, box_iou, box_pair_giou

from medseg.nets.maskrcnn.anchors import anchors
from medseg.nets.maskrcnn.boxes import clipped, generalised_overlap, overlaps, stepped, steps_between


def some_boxes(n_axes, count, seed):
    generator = torch.Generator().manual_seed(seed)
    starts = torch.rand(count, n_axes, generator=generator) * 20
    return torch.cat([starts, starts + 0.5 + torch.rand(count, n_axes, generator=generator) * 20], dim=1)


@pytest.mark.parametrize("n_axes", [2, 3])
def test_overlaps_are_those_of_monai(n_axes):
    a, b = some_boxes(n_axes, 30, 0), some_boxes(n_axes, 40, 1)
    torch.testing.assert_close(overlaps(a, b), box_iou(a, b))
    torch.testing.assert_close(generalised_overlap(a, b[:30]), box_pair_giou(a, b[:30]))
    torch.testing.assert_close(generalised_overlap(a, a), torch.ones(30))
    assert box_giou(a, b).min() < 0  # the cases hold boxes that lie apart


@pytest.mark.parametrize("n_axes", [2, 3])
def test_steps_lead_to_the_target_and_are_those_of_monai(n_axes):
    anchor, target = some_boxes(n_axes, 30, 2), some_boxes(n_axes, 30, 3)
    steps = steps_between(anchor, target, (10.0, 5.0))
    torch.testing.assert_close(stepped(anchor, steps, (10.0, 5.0)), target, atol=1e-4, rtol=1e-4)
    coder = BoxCoder(weights=(10.0,) * n_axes + (5.0,) * n_axes)
    torch.testing.assert_close(steps, coder.encode_single(target, anchor), atol=1e-4, rtol=1e-4)


def test_wild_steps_lead_to_finite_boxes():
    anchor = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 8.0, 8.0]])
    assert torch.isfinite(stepped(anchor, torch.full((2, 4), 1e6), (1.0, 1.0))).all()


def test_a_box_outside_the_image_is_cut_to_nothing():
    box = torch.tensor([[-9.0, 2.0, -3.0, 90.0]])
    assert clipped(box, (10, 12)).tolist() == [[0.0, 2.0, 0.0, 12.0]]


def test_anchors_are_centred_on_their_cells_in_reading_order():
    found = anchors(torch.tensor([[2.0, 4.0], [4.0, 8.0]]), (2, 3), (4, 8))
    assert found.shape == (12, 4)
    assert found[0].tolist() == [1.0, 2.0, 3.0, 6.0]
    assert found[1].tolist() == [0.0, 0.0, 4.0, 8.0]  # covers its cell exactly
    assert found[3].tolist() == [0.0, 8.0, 4.0, 16.0]
    assert found[-1].tolist() == [4.0, 16.0, 8.0, 24.0]


def test_anchors_are_those_of_monai():
    shapes = torch.tensor([[2.0, 4.0, 8.0], [4.0, 6.0, 6.0]])
    theirs = AnchorGeneratorWithAnchorShape(
        feature_map_scales=(1,), base_anchor_shapes=tuple(map(tuple, shapes.tolist()))
    )
    (expected,) = theirs(torch.zeros(1, 1, 8, 16, 12), [torch.zeros(1, 1, 4, 4, 6)])
    torch.testing.assert_close(anchors(shapes, (4, 4, 6), (2, 4, 2)), expected)
