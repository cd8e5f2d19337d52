"""RoIAlign against a loop written from the published definition, its gradient, its border and its memory."""

from itertools import product
from math import floor

import numpy as np
import pytest
import torch

from medseg.nets.maskrcnn import align
from medseg.nets.maskrcnn.align import level_of, roi_align, sampled, table_of


def value_at(features, point):
    """The published bilinear rule: 0 more than a cell outside, else clamped, then weighted by the opposite distance."""
    shape = features.shape[1:]
    if any(p < -1.0 or p > n for p, n in zip(point, shape, strict=True)):
        return np.zeros(features.shape[0])
    ways = []
    for place, n in zip(point, shape, strict=True):
        p = max(place, 0.0)
        low = floor(p)
        if low >= n - 1:
            ways.append([(n - 1, 1.0)])
        else:
            ways.append([(low, 1.0 - (p - low)), (low + 1, p - low)])
    total = np.zeros(features.shape[0])
    for corner in product(*ways):
        total += np.prod([w for _, w in corner]) * features[(slice(None), *(i for i, _ in corner))]
    return total


def by_loops(features, boxes, batch_index, size, stride, samples):
    n = len(size)
    out = np.zeros((len(boxes), features.shape[1], *size))
    for k, box in enumerate(boxes):
        start = [box[a] / stride[a] - 0.5 for a in range(n)]
        step = [(box[n + a] - box[a]) / stride[a] / size[a] for a in range(n)]
        for at in product(*(range(m) for m in size)):
            points = product(*([(s + 0.5) / samples for s in range(samples)] for _ in range(n)))
            values = [
                value_at(features[batch_index[k]], [start[a] + (at[a] + p[a]) * step[a] for a in range(n)])
                for p in points
            ]
            out[(k, slice(None), *at)] = np.mean(values, axis=0)
    return out


def case(n_axes, seed=0):
    rng = np.random.default_rng(seed)
    cells, stride = ((9, 7), (2, 4)) if n_axes == 2 else ((4, 6, 5), (1, 2, 4))
    features = torch.from_numpy(rng.normal(size=(2, 3, *cells)))
    extent = np.multiply(cells, stride)
    a, b = rng.random((6, n_axes)) * extent, rng.random((6, n_axes)) * extent
    boxes = torch.from_numpy(np.concatenate([np.minimum(a, b), np.maximum(a, b)], axis=1))
    boxes[0] = torch.tensor([0.0] * n_axes + list(map(float, extent)))  # touches every edge
    boxes[1, n_axes:] = boxes[1, :n_axes]  # without extent
    return features, boxes, torch.tensor([0, 1, 0, 1, 1, 0]), (3, 2, 2)[:n_axes], stride


@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("n_axes", [2, 3])
def test_sampling_follows_the_published_definition(n_axes, samples):
    features, boxes, which, size, stride = case(n_axes)
    expected = by_loops(features.numpy(), boxes.numpy(), which.numpy(), size, stride, samples)
    found = roi_align(features, boxes, which, size, stride, samples)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("n_axes", [2, 3])
def test_the_gradient_of_the_features_is_that_of_finite_differences(n_axes):
    features, boxes, which, size, stride = case(n_axes, seed=1)
    features = features[:, :1].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda f: roi_align(f, boxes, which, size, stride), (features,))


def test_a_point_far_outside_has_the_value_at_the_border():
    features = torch.arange(12.0).reshape(1, 1, 3, 4)
    far = torch.tensor([[-90.0, -90.0, -80.0, -80.0], [50.0, 50.0, 60.0, 60.0]])
    found = roi_align(features, far, torch.zeros(2, dtype=torch.long), (1, 1), (1, 1))
    assert found.flatten().tolist() == [0.0, 11.0]


def test_a_ramp_is_sampled_without_rounding():
    ramp = torch.arange(16.0, dtype=torch.float64).expand(1, 1, 16, 16)
    starts = torch.tensor([3.1, 3.2, 3.3], dtype=torch.float64)
    boxes = torch.stack([starts, starts, starts + 5, starts + 5], dim=1)
    found = roi_align(ramp, boxes, torch.zeros(3, dtype=torch.long), (1, 1), (1, 1)).flatten()
    torch.testing.assert_close(found, starts + 2.5 - 0.5)


def test_chunks_change_neither_values_nor_gradients(monkeypatch):
    features, boxes, which, size, stride = case(3)
    answers = []
    for most in (2**22, 1):
        monkeypatch.setattr(align, "TERMS_AT_A_TIME", most)
        leaf = features.clone().requires_grad_()
        found = roi_align(leaf, boxes, which, size, stride)
        found.square().sum().backward()
        answers.append((found.detach(), leaf.grad))
    torch.testing.assert_close(answers[0], answers[1])


def test_a_pyramid_samples_each_box_from_its_own_level():
    features, boxes, which, size, stride = case(2)
    coarse = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    double = tuple(2 * s for s in stride)
    levels = torch.tensor([0, 1, 1, 0, 1, 0])
    found = sampled(table_of([features, coarse], [stride, double]), boxes, which, levels, size)
    for level, (f, s) in enumerate(((features, stride), (coarse, double))):
        own = levels == level
        torch.testing.assert_close(found[own], roi_align(f, boxes[own], which[own], size, s))


def test_no_box_gives_an_empty_answer_and_a_gradient_of_zero():
    features = torch.randn(1, 2, 4, 4, requires_grad=True)
    found = roi_align(features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), (3, 2), (1, 1))
    assert found.shape == (0, 2, 3, 2)
    found.sum().backward()
    assert features.grad.abs().max() == 0


def test_larger_boxes_are_sampled_from_coarser_levels():
    sides = torch.tensor([1.0, 14.0, 28.0, 56.0, 112.0, 4000.0])
    boxes = torch.cat([torch.zeros(6, 2), sides[:, None].expand(6, 2)], dim=1)
    assert level_of(boxes, (7, 7), [(2, 2), (4, 4), (8, 8), (16, 16)]).tolist() == [0, 0, 1, 2, 3, 3]


def test_thick_slices_do_not_push_a_box_to_a_coarser_level():
    box = torch.tensor([[0.0, 0.0, 0.0, 5.0, 28.0, 28.0]])
    strides = [(1, 2, 2), (1, 4, 4), (2, 8, 8)]
    assert level_of(box, (5, 7, 7), strides).tolist() == [1]
