"""Masks are compared without drawing them, and decide where boxes would drop a slanting neighbour."""

import pytest
import torch

from medseg.nets.maskrcnn.boxes import overlaps
from medseg.nets.maskrcnn.masks import mask_nms, mask_overlaps


def ellipse(centre, radii, turn, cells=28):
    """A turned ellipse as box and mask."""
    turn = torch.tensor(turn)
    a, b = radii
    half = torch.stack(
        [((a * turn.cos()) ** 2 + (b * turn.sin()) ** 2).sqrt(), ((a * turn.sin()) ** 2 + (b * turn.cos()) ** 2).sqrt()]
    )
    centre = torch.tensor(centre)
    grid = (torch.arange(cells) + 0.5) / cells * 2 - 1
    y, x = torch.meshgrid(grid * half[0], grid * half[1], indexing="ij")
    u, v = y * turn.cos() + x * turn.sin(), -y * turn.sin() + x * turn.cos()
    return torch.cat([centre - half, centre + half]), ((u / a) ** 2 + (v / b) ** 2 <= 1).float()


def together(*objects):
    return torch.stack([box for box, _ in objects]), torch.stack([mask for _, mask in objects])


def drawn_overlap(one, other):
    """The same by drawing both on a fine raster, as written in the definition."""
    at = torch.arange(-40.0, 40.0, 0.1) + 0.05
    y, x = torch.meshgrid(at, at, indexing="ij")
    inside = []
    for box, mask in (one, other):
        i = ((y - box[0]) / (box[2] - box[0]) * mask.shape[0]).floor().long()
        j = ((x - box[1]) / (box[3] - box[1]) * mask.shape[1]).floor().long()
        within = (i >= 0) & (j >= 0) & (i < mask.shape[0]) & (j < mask.shape[1])
        value = mask[i.clamp(0, mask.shape[0] - 1), j.clamp(0, mask.shape[1] - 1)]
        inside.append(within & (value > 0.5))
    return float((inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum())


def test_the_overlap_is_that_of_drawn_masks():
    one = ellipse((0.0, 0.0), (12.0, 5.0), 0.8)
    for other in (
        ellipse((0.0, 0.0), (12.0, 5.0), 0.8),
        ellipse((2.0, 1.0), (12.0, 5.0), 0.8),
        ellipse((0.0, 0.0), (5.0, 12.0), 0.8),
        ellipse((4.0, 4.0), (6.0, 6.0), 0.0),
        ellipse((30.0, 30.0), (5.0, 5.0), 0.0),
    ):
        found = mask_overlaps(*together(one, other), torch.tensor([[0, 1]]))
        assert abs(float(found) - drawn_overlap(one, other)) < 0.02


def test_slanting_neighbours_stay_though_their_boxes_overlap_and_a_twin_goes():
    left = ellipse((0.0, 0.0), (16.0, 4.0), 0.7854)
    right = ellipse((5.8, -5.8), (16.0, 4.0), 0.7854)
    twin = ellipse((1.0, 0.5), (15.0, 4.2), 0.75)
    boxes, masks = together(left, right, twin)
    assert overlaps(boxes, boxes)[0, 1] > 0.35
    assert mask_nms(boxes, masks, torch.ones(3, dtype=torch.long), 0.3).tolist() == [True, True, False]
    assert mask_nms(boxes, masks, torch.tensor([1, 1, 2]), 0.3).all()


def test_who_was_dropped_drops_nobody():
    a, b, c = (ellipse((shift, 0.0), (6.0, 6.0), 0.0) for shift in (0.0, 4.0, 8.0))
    boxes, masks = together(a, b, c)
    assert mask_nms(boxes, masks, torch.ones(3, dtype=torch.long), 0.3).tolist() == [True, False, True]


def test_masks_in_three_axes_are_compared_along_the_right_ones():
    mask = torch.zeros(2, 4, 4, 4)
    mask[0, :2] = 1  # the first half along the first axis
    mask[1, :, :, 2:] = 1  # the second half along the last
    boxes = torch.tensor([[0.0, 0.0, 0.0, 8.0, 4.0, 2.0]]).repeat(2, 1)
    found = mask_overlaps(boxes, mask, torch.tensor([[0, 1]]))
    assert abs(float(found) - 1 / 3) < 0.02


def test_nothing_is_compared_where_there_is_nothing():
    empty = torch.zeros(0, 4)
    assert mask_nms(empty, torch.zeros(0, 8, 8), torch.zeros(0, dtype=torch.long), 0.5).shape == (0,)


@pytest.mark.parametrize("n_axes", [2, 3])
def test_the_compiled_loops_find_what_plain_torch_finds(n_axes, monkeypatch):
    pytest.importorskip("numba")
    boxes, masks = crowd(n_axes, 60)
    pairs = torch.combinations(torch.arange(len(boxes)))
    found = mask_overlaps(boxes, masks, pairs)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    expected = mask_overlaps(boxes, masks, pairs)
    # a value within rounding of one half may fall on either side: a point or two of a thousand
    assert (found - expected).abs().max() < 3e-3
    assert (expected > 0.1).sum() > 100


@pytest.mark.parametrize("n_axes", [2, 3])
def test_leaving_out_pairs_that_cannot_overlap_enough_changes_nothing(n_axes, monkeypatch):
    boxes, masks = crowd(n_axes, 60)
    classes = torch.ones(len(boxes), dtype=torch.long)
    stays = mask_nms(boxes, masks, classes, 0.3)
    monkeypatch.setattr("medseg.nets.maskrcnn.masks._possible", lambda boxes, masks, pairs, overlap: pairs)
    assert torch.equal(mask_nms(boxes, masks, classes, 0.3), stays)
    assert 0 < stays.sum() < len(boxes)


def crowd(n_axes, count):
    """Boxes that crowd, each with a ball as its mask, with soft and uneven edges."""
    generator = torch.Generator().manual_seed(n_axes)
    middles = torch.rand(count, n_axes, generator=generator) * 25
    halves = 4 + torch.rand(count, n_axes, generator=generator) * 6
    at = (torch.arange(8) + 0.5) / 4 - 1
    away = torch.stack(torch.meshgrid(*(at for _ in range(n_axes)), indexing="ij")).square().sum(0).sqrt()
    noise = torch.rand(count, *away.shape, generator=generator)
    return torch.cat([middles - halves, middles + halves], 1), (1.1 - 0.6 * away[None] + 0.2 * (noise - 0.5)).clamp(
        0, 1
    )
