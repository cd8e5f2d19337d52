"""What the losses compare, and that they stay finite where there is nothing to compare."""

from itertools import product

import numpy as np
import pytest
import torch

from medseg.nets.maskrcnn.losses import class_loss, giou, mask_loss, mask_targets, semantic_loss, smooth_l1
from medseg.nets.maskrcnn.values import NO_CLASS, Truth


def labels(n_axes):
    generator = torch.Generator().manual_seed(n_axes)
    return torch.randint(0, 3, (9, 7, 5)[:n_axes], generator=generator) * 7


def by_loops(image, box, number, size):
    n = image.ndim
    out = np.zeros(size)
    for at in product(*(range(m) for m in size)):
        point = [box[a] + (at[a] + 0.5) * (box[n + a] - box[a]) / size[a] - 0.5 for a in range(n)]
        for corner in product((0, 1), repeat=n):
            voxel = [int(np.floor(p)) + c for p, c in zip(point, corner, strict=True)]
            if all(0 <= v < length for v, length in zip(voxel, image.shape, strict=True)):
                weight = np.prod([1 - abs(p - v) for p, v in zip(point, voxel, strict=True)])
                out[at] += weight * (image[tuple(voxel)] == number)
    return out


@pytest.mark.parametrize("n_axes", [2, 3])
def test_the_mask_of_a_box_is_read_from_the_label_image(n_axes):
    truth = Truth.of(labels(n_axes))
    boxes = torch.tensor([[0.0, 0.0, 0.0, 9.0, 7.0, 5.0], [-2.0, 1.3, 2.0, 3.1, 6.2, 9.0]])
    boxes = boxes.reshape(2, 2, 3)[:, :, :n_axes].reshape(2, 2 * n_axes)
    which, size = torch.tensor([0, 1]), (3, 4, 5)[:n_axes]
    found = mask_targets(truth, boxes, which, size)
    for k in range(2):
        expected = by_loops(truth.labels.numpy(), boxes[k].numpy(), int(truth.ids[which[k]]), size)
        np.testing.assert_allclose(found[k].numpy(), expected, atol=1e-5)


def test_an_object_that_fills_its_box_fills_its_mask():
    image = torch.zeros(10, 10, dtype=torch.long)
    image[2:6, 3:9] = 5
    truth = Truth.of(image)
    found = mask_targets(truth, truth.boxes, torch.tensor([0]), (4, 6))
    assert found.min() == 1


@pytest.mark.parametrize("focal", [False, True])
def test_the_class_loss_falls_towards_the_truth_and_weights_count(focal):
    classes = torch.tensor([0, 1, 2, 0])
    right = torch.nn.functional.one_hot(classes, 3) * 5.0
    assert class_loss(right, classes, focal=focal, weights=()) < class_loss(-right, classes, focal=focal, weights=())
    wrong_once = right.clone()
    wrong_once[1] = torch.tensor([5.0, 0.0, 0.0])
    light, heavy = (class_loss(wrong_once, classes, focal=focal, weights=(1.0, w, 1.0)) for w in (0.1, 10.0))
    assert light < heavy


def test_the_focal_loss_cares_less_for_what_is_nearly_right():
    classes = torch.tensor([0])
    for logits in (torch.tensor([[1.0, 0.0]]), torch.tensor([[4.0, 0.0]])):
        sure = logits.softmax(1)[0, 0]
        plain = class_loss(logits, classes, focal=False, weights=())
        torch.testing.assert_close(class_loss(logits, classes, focal=True, weights=()), plain * (1 - sure) ** 2)


def test_perfect_masks_cost_nothing_and_inverted_ones_most():
    target = (torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    sure = (target * 2 - 1) * 30
    assert mask_loss(sure, target) < 0.01
    assert mask_loss(-sure, target) > 10


def test_voxels_of_no_class_teach_the_semantic_head_nothing():
    logits = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    classes = torch.randint(0, 3, (1, 4, 4), generator=torch.Generator().manual_seed(1))
    classes[0, :, 2:] = NO_CLASS
    semantic_loss(logits, classes).backward()
    assert logits.grad[..., 2:].abs().max() == 0
    assert logits.grad[..., :2].abs().min() > 0


def test_empty_comparisons_are_zero_with_a_gradient():
    logits = torch.zeros(0, 3, requires_grad=True)
    masks = torch.zeros(0, 8, 8, requires_grad=True)
    boxes = torch.zeros(0, 4, requires_grad=True)
    empty = torch.zeros(0, dtype=torch.long)
    total = class_loss(logits, empty, focal=True, weights=()) + mask_loss(masks, torch.zeros(0, 8, 8))
    total = total + smooth_l1(boxes, torch.zeros(0, 4)) + giou(boxes, torch.zeros(0, 4))
    unknown = semantic_loss(torch.zeros(1, 2, 4, 4, requires_grad=True), torch.full((1, 4, 4), NO_CLASS))
    assert torch.isfinite(unknown)
    total.backward()
    assert float(total.detach()) == 0
