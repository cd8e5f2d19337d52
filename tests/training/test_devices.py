"""Several processes train one network as one device with a larger batch would; none of them is left behind."""

import json
import os
import time
from dataclasses import replace

import pytest
import torch
from lightning_fabric import Fabric
from tests_support import two_devices
from torch import nn
from training import line_together as line

from medseg.errors import OutputError, ResourceError, UsageError
from medseg.learn.fit import fit, supervised
from medseg.training.devices import fit_on_devices
from medseg.training.job import Job, check_devices

pytestmark = two_devices
MODULE = "training.line_together"


@pytest.fixture
def job(tmp_path):
    return Job(str(tmp_path), devices=2, device="cpu", threads=1, epochs=3, seed=5)


def trained(job, stop_after=None):
    loop = fit_on_devices(MODULE, job, line.network)
    reports = []
    while True:
        try:
            reports.append(next(loop))
        except StopIteration as end:
            return end.value, reports
        if len(reports) == stop_after:
            loop.close()
            return None, reports


def alone(job, path):
    """Train in this process on the batches of both ranks, joined."""

    def batches(epoch):
        for step in range(line.STEPS):
            pairs = [line.batch(epoch, 2 * step + rank) for rank in (0, 1)]
            yield torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs])

    loop = fit(
        line.network, supervised(nn.functional.mse_loss), batches, lambda _: {"score": 1.0},
        settings=line.settings(job, line.STEPS), fabric=Fabric(accelerator="cpu", devices=1), state_file=path,
    )  # fmt: skip
    reports = []
    while True:
        try:
            reports.append(next(loop))
        except StopIteration as end:
            return end.value, reports


def are_gone(folder):
    pids = [int(path.read_text()) for path in folder.glob("pid_*")]
    assert pids
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not any(os.path.exists(f"/proc/{pid}") for pid in pids):
            return True
        time.sleep(0.1)
    return False


def test_two_processes_equal_one_with_twice_the_batch_and_agree_to_the_last_digit(job, tmp_path):
    network, reports = trained(job)
    weights = [torch.load(tmp_path / f"weights_{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert all(torch.equal(weights[0][name], value) for name, value in network.state_dict().items())
    single, expected = alone(job, tmp_path / "alone.pt")
    for name, value in single.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert [r.loss for r in reports] == pytest.approx([r.loss for r in expected], rel=1e-4)
    assert reports[-1].loss < reports[0].loss
    seen = [json.loads((tmp_path / f"seen_{rank}.json").read_text()) for rank in (0, 1)]
    assert not {tuple(s) for s in seen[0]} & {tuple(s) for s in seen[1]}
    scorers = (tmp_path / "scored.txt").read_text().split()
    assert scorers == [(tmp_path / "pid_0").read_text()] * 3
    assert are_gone(tmp_path)


def test_a_training_that_is_stopped_leaves_no_process_and_goes_on_as_if_nothing_had_been(job, tmp_path):
    _, before = trained(job, stop_after=1)
    assert are_gone(tmp_path)
    network, after = trained(replace(job, resume=True))
    whole, reports = alone(job, tmp_path / "alone.pt")
    assert [r.epoch for r in before + after] == [1, 2, 3]
    assert [r.loss for r in before + after] == pytest.approx([r.loss for r in reports], rel=1e-4)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_minutes_end_all_processes_at_the_same_step(job, tmp_path):
    _, reports = trained(replace(job, epochs=None, minutes=0.01))
    assert reports[-1].progress > 0.8
    weights = [torch.load(tmp_path / f"weights_{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


TROUBLES = {
    "killed": ({"rank": 1, "what": "die"}, ResourceError, "process 2 of 2 was killed"),
    "fault": ({"rank": 1, "what": "fault"}, ResourceError, "ended by a fault"),
    "refusal": ({"rank": 0, "what": "refuse"}, OutputError, "a loss of its own"),
}


@pytest.mark.parametrize(("trouble", "kind", "words"), TROUBLES.values(), ids=TROUBLES)
def test_the_failure_of_one_process_ends_all_with_words(job, tmp_path, trouble, kind, words):
    (tmp_path / "trouble.json").write_text(json.dumps(trouble))
    with pytest.raises(kind, match=words) as refusal:
        trained(job)
    assert are_gone(tmp_path)
    if kind is ResourceError:
        assert refusal.value.code == "E_WORKER_LOST"
        assert "--resume" in refusal.value.remedy
    if trouble["what"] == "fault":
        assert "ZeroDivisionError" in (tmp_path / "device_1.log").read_text()


def test_what_a_library_prints_goes_to_the_log(job, tmp_path):
    (tmp_path / "trouble.json").write_text(json.dumps({"rank": 0, "what": "chatter"}))
    _, reports = trained(replace(job, epochs=2))
    assert len(reports) == 2
    assert "a library chatters" in (tmp_path / "device_0.log").read_text()


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(UsageError, match="processor cores"):
        check_devices(10_000, torch.device("cpu"))
    with pytest.raises(UsageError, match="graphics cards"):
        check_devices(torch.cuda.device_count() + 1, torch.device("cuda"))
    with pytest.raises(UsageError, match="--device cuda:1"):
        check_devices(2, torch.device("cuda:1"))
    check_devices(1, torch.device("cpu"))
