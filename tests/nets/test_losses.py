"""Losses: perfect is cheap, a missed rare class is dear, heads are weighted as said."""

import pytest
import torch

from medseg.nets.losses import LOSSES, deeply_supervised


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
