"""``medseg train --devices``: two processes of the CPU make one model; stopped, they leave nothing behind."""

import csv
import signal
import sys
import time
from pathlib import Path

import pytest
from tests_support import two_devices

from medseg.models.bundle import load_bundle

pytestmark = two_devices
TWO = ("--device", "cpu", "--devices", 2, "--threads", 1)
PATIENCE = 400


def losses(folder):
    with (folder / "log.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def processes_of(folder):
    """Return the ids of processes whose log lies in `folder`; they hold it open as their error stream."""
    logs = {str(folder / f"device_{rank}.log") for rank in (0, 1)}
    found = []
    for own in Path("/proc").glob("[0-9]*/fd/2"):
        try:
            if str(own.readlink()) in logs:
                found.append(own.parts[2])
        except OSError:  # gone, or not ours
            continue
    return found


def test_two_processes_make_a_model_that_segments(medseg, dataset, small_plan, scans, tmp_path):
    out = tmp_path / "model"
    done = medseg("train", dataset, "-o", out, "--plan", small_plan, "--epochs", 4, *TWO)
    assert done.code == 0, done.err
    told = losses(tmp_path / "model.training")
    assert len(told) == 4
    assert told[-1] < told[0]
    assert load_bundle(out).card.training["devices"] == 2
    assert medseg("segment", scans / "a.nii.gz", "-o", tmp_path / "out", "-m", out, "--device", "cpu").code == 0


def test_more_devices_than_there_are_start_no_training(medseg, dataset, tmp_path):
    done = medseg("train", dataset, "-o", tmp_path / "m", "--epochs", 1, "--device", "cpu", "--devices", 10_000)
    assert done.code == 2
    assert "processor cores" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the processes in /proc")
@pytest.mark.parametrize(("signal_", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_stopped_training_leaves_no_process_and_can_go_on(
    medseg, medseg_process, dataset, small_plan, tmp_path, signal_, code
):
    out, folder = tmp_path / "model", tmp_path / "model.training"
    words = ("train", dataset, "-o", out, "--epochs", 500, *TWO)
    process = medseg_process(*words, "--plan", small_plan)
    until = time.monotonic() + PATIENCE
    while not (folder / "log.csv").exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.1)
    assert len(processes_of(folder)) == 2
    process.send_signal(signal_)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    until = time.monotonic() + 60
    while processes_of(folder) and time.monotonic() < until:
        time.sleep(0.1)
    assert processes_of(folder) == []
    assert not out.exists()
    if signal_ is signal.SIGINT:
        assert "Traceback" not in err
        epochs = len(losses(folder)) + 2
        again = medseg("train", dataset, "-o", out, "--epochs", epochs, *TWO, "--resume")
        assert again.code == 0, again.err
        assert len(losses(folder)) == epochs
