"""Losses: perfect is cheap, a missed rare class is dear, heads are weighted as said."""

import pytest
import torch

from medseg.nets.hausdorff import Hausdorff
from medseg.nets.losses import LOSSES, deeply_supervised, loss_of


def sure_of(labels, n=3):
    return 20.0 * torch.nn.functional.one_hot(labels[:, 0].long(), n).movedim(-1, 1).float()


def rare_labels():
    labels = torch.zeros(1, 1, 16, 16, 16, dtype=torch.uint8)
    labels[..., 2:4, 2:4, 2:4] = 1
    labels[..., 8:14, 8:14, 8:14] = 2
    return labels


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_perfect_answer_costs_less_than_a_percent_of_a_wrong_one(name):
    loss, labels = LOSSES[name](), rare_labels()
    right = loss(sure_of(labels), labels)
    wrong = loss(sure_of((labels + 1) % 3), labels)
    assert 0 <= right < 0.01 * wrong


def test_dice_notices_a_missed_rare_class_that_cross_entropy_overlooks():
    labels = rare_labels()
    missed = sure_of(torch.where(labels == 1, 0, labels)) / 10.0
    share = {name: float(LOSSES[name]()(missed, labels)) for name in ("dice", "ce")}
    nothing = {name: float(LOSSES[name]()(torch.zeros_like(missed), labels)) for name in ("dice", "ce")}
    assert share["dice"] / nothing["dice"] > 2 * share["ce"] / nothing["ce"]


def test_deep_supervision_is_the_weighted_mean_of_the_heads():
    loss, labels = LOSSES["ce"](), rare_labels()
    heads = torch.randn(1, 3, 3, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = sum(w * loss(heads[:, i], labels) for i, w in enumerate((4 / 7, 2 / 7, 1 / 7)))
    torch.testing.assert_close(deeply_supervised(loss)(heads, labels), expected)


def test_a_network_with_one_head_is_not_changed_by_deep_supervision():
    loss, labels = LOSSES["dice_ce"](), rare_labels()
    logits = torch.randn(1, 3, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(deeply_supervised(loss)(logits, labels), loss(logits, labels))


@pytest.mark.parametrize("present", ["both", "one", "none", "everywhere"])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_absent_classes_give_a_finite_slope_that_leads_down(name, present):
    labels = {
        "both": rare_labels(),
        "none": torch.zeros_like(rare_labels()),
        "everywhere": torch.ones_like(rare_labels()),
    }
    labels["one"] = torch.where(rare_labels() == 1, 0, rare_labels())
    truth = labels[present]
    logits = torch.randn(1, 3, 16, 16, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
    loss = LOSSES[name]()
    before = loss(logits, truth)
    (slope,) = torch.autograd.grad(before, logits)
    assert torch.isfinite(slope).all()
    assert slope.abs().max() > 0
    after = loss(logits.detach() - 0.05 * slope / slope.abs().max(), truth)
    assert after < before


def moved(labels, axis, by):
    return sure_of(torch.roll(labels, by, dims=2 + axis))


def test_an_error_further_away_costs_more():
    loss, labels = Hausdorff(), rare_labels()
    costs = [float(loss(moved(labels, 0, by), labels)) for by in (0, 1, 2, 3)]
    assert costs == sorted(costs)
    assert costs[0] < 1e-3 < costs[1] < costs[2] / 1.5


def test_distances_count_in_the_spacing_of_the_image_and_not_in_voxels():
    labels = rare_labels()
    voxels, thick = (loss_of("hausdorff_dice_ce", s).far for s in (None, (0.5, 0.5, 2.5)))
    x, z = moved(labels, 0, 2), moved(labels, 2, 1)
    assert voxels(x, labels) > voxels(z, labels)
    assert thick(x, labels) < thick(z, labels)


def test_the_loss_of_a_batch_is_that_of_its_images():
    labels = torch.cat([rare_labels(), rare_labels().flip(2)])
    logits = torch.randn(2, 3, 16, 16, 16, generator=torch.Generator().manual_seed(2))
    loss = Hausdorff((1.0, 1.0, 2.0))
    single = [loss(logits[i : i + 1], labels[i : i + 1]).exp() - 1 for i in (0, 1)]
    torch.testing.assert_close(loss(logits, labels).exp() - 1, (single[0] + single[1]) / 2, rtol=1e-4, atol=1e-4)
