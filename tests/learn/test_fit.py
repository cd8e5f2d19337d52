"""The loop: learns, averages, stops by its budget, and resumes as if nothing had happened."""

from dataclasses import replace

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from medseg.errors import InputError, OutputError, UsageError
from medseg.learn import checkpoint
from medseg.learn.fit import FitSettings, fit, supervised

SETTINGS = FitSettings(epochs=4, steps_per_epoch=5, learning_rate=0.05, seed=3)


def batches(epoch):
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(5):
        x = torch.randn(8, 3, generator=generator)
        yield x, x.sum(1, keepdim=True)


def run(path, settings=SETTINGS, resume=False, loss=nn.functional.mse_loss, stop_after=None):
    loop = fit(
        lambda: nn.Linear(3, 1),
        supervised(loss),
        batches,
        lambda network: {"score": -float((network.weight - 1).abs().max())},
        settings=settings,
        fabric=Fabric(accelerator="cpu", devices=1),
        state_file=path,
        resume=resume,
    )
    reports = []
    while True:
        try:
            reports.append(next(loop))
        except StopIteration as end:
            return end.value, reports
        if len(reports) == stop_after:
            loop.close()
            return None, reports


def test_the_average_learns_the_sum(tmp_path):
    network, reports = run(tmp_path / "state.pt", replace(SETTINGS, epochs=30, average=0.9))
    assert reports[-1].loss < 0.05 * reports[0].loss
    torch.testing.assert_close(network.weight, torch.ones(1, 3), atol=0.05, rtol=0)
    assert not network.training


def test_a_training_that_is_stopped_and_resumed_equals_an_undisturbed_one(tmp_path):
    whole, all_reports = run(tmp_path / "whole.pt")
    _, before = run(tmp_path / "state.pt", stop_after=2)
    resumed, after = run(tmp_path / "state.pt", resume=True)
    torch.testing.assert_close(resumed.weight, whole.weight, rtol=0, atol=0)
    assert [r.loss for r in before + after] == [r.loss for r in all_reports]
    assert [r.learning_rate for r in before + after] == [r.learning_rate for r in all_reports]


def test_minutes_end_the_training(tmp_path):
    _, reports = run(tmp_path / "state.pt", FitSettings(minutes=0.005, steps_per_epoch=5))
    assert reports[-1].progress == 1.0
    assert all(r.progress < 1.0 for r in reports[:-1])


def test_time_already_spent_counts_when_resumed(tmp_path):
    run(tmp_path / "state.pt", FitSettings(minutes=0.005, steps_per_epoch=5))
    _, reports = run(tmp_path / "state.pt", FitSettings(minutes=0.005, steps_per_epoch=5), resume=True)
    assert reports == []


def test_the_learning_rate_rises_then_falls_to_almost_nothing(tmp_path):
    _, reports = run(tmp_path / "state.pt", replace(SETTINGS, epochs=20, warmup=0.2))
    rates = [r.learning_rate for r in reports]
    top = rates.index(max(rates))
    assert 1 <= top <= 5
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 0.05 * SETTINGS.learning_rate


@pytest.mark.parametrize("budget", [{}, {"epochs": 1, "minutes": 1.0}])
def test_exactly_one_budget_is_wanted(tmp_path, budget):
    with pytest.raises(UsageError, match="exactly one"):
        run(tmp_path / "state.pt", FitSettings(**budget))


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path):
    with pytest.raises(OutputError) as refusal:
        run(tmp_path / "state.pt", loss=lambda output, target: output.sum() * torch.nan)
    assert refusal.value.code == "E_OUTPUT_NONFINITE"


def test_another_seed_cannot_resume(tmp_path):
    run(tmp_path / "state.pt", stop_after=1)
    with pytest.raises(UsageError, match="seed 3"):
        run(tmp_path / "state.pt", replace(SETTINGS, seed=4), resume=True)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 not a zip"])
def test_a_missing_or_damaged_state_is_refused_in_words(tmp_path, content):
    path = tmp_path / "state.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        checkpoint.load(path)
    assert refusal.value.code == "E_INPUT_UNREADABLE"


def test_a_state_is_replaced_whole(tmp_path):
    checkpoint.save({"epoch": 1}, tmp_path / "state.pt")
    checkpoint.save({"epoch": 2}, tmp_path / "state.pt")
    assert checkpoint.load(tmp_path / "state.pt") == {"epoch": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


class Steep(torch.autograd.Function):
    """Passes values on, and spoils the gradient where it is told to."""

    @staticmethod
    def forward(context, x, spoiled):
        context.spoiled = spoiled
        return x

    @staticmethod
    def backward(context, gradient):
        return gradient * (torch.nan if context.spoiled else 1.0), None


def spoiled_at(steps):
    calls = []

    def loss(output, target):
        calls.append(1)
        return nn.functional.mse_loss(Steep.apply(output, len(calls) in steps), target)

    return loss


def test_gradients_that_are_no_numbers_stop_the_training_before_they_ruin_the_weights(tmp_path):
    with pytest.raises(OutputError, match="not a number"):
        run(tmp_path / "state.pt", loss=spoiled_at({6, 7, 8}))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["epoch"] == 1
    assert torch.isfinite(state["network"]["weight"]).all()


def test_a_single_gradient_that_is_no_number_is_left_out(tmp_path):
    network, reports = run(tmp_path / "state.pt", replace(SETTINGS, epochs=30, average=0.9), loss=spoiled_at({4, 5, 9}))
    torch.testing.assert_close(network.weight, torch.ones(1, 3), atol=0.05, rtol=0)
    assert len(reports) == 30
