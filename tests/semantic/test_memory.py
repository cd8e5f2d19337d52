"""Memory: predicted from shapes, and the prediction holds when it is measured."""

import subprocess
import sys

import numpy as np
import pytest

from medseg.errors import ResourceError
from medseg.grid import Grid
from medseg.models.bundle import load_bundle
from medseg.pipeline import SegmentOptions, load_model, segment_steps
from medseg.semantic import memory
from medseg.volume import Volume

MEASURE = """
import sys
import numpy as np, torch
from medseg.grid import Grid
from medseg.pipeline import load_model
from medseg.progress import finish
from medseg.semantic.predict import PredictOptions, predict_steps
from medseg.volume import Volume
torch.set_num_threads(1)
model = load_model(sys.argv[2:], device="cpu")
options = PredictOptions(overlap=0.0)
def run(volume):
    finish(predict_steps(volume, model.network, model.card, options=options, device=torch.device("cpu")))
def scan(n):
    image = np.random.default_rng(0).random((1, n, n, n), dtype=np.float32)
    return Volume(image, Grid((n, n, n), np.diag([1.0, 1.2, 2.0, 1.0])))
def memory(name):
    with open("/proc/self/status") as table:
        return next(1024 * int(line.split()[1]) for line in table if line.startswith(name))
run(scan(24))
large = scan(int(sys.argv[1]))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = memory("VmRSS")
run(large)
print(memory("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is told in other units there")
@pytest.mark.parametrize("n_models", [1, 3])
def test_the_prediction_is_near_the_measured_peak(trained, n_models):
    n = 144
    models = [str(trained)] * n_models
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, str(n), *models], capture_output=True, check=True
    )
    measured = int(told.stdout)
    grid = Grid((n, n, n), np.diag([1.0, 1.2, 2.0, 1.0]))
    predicted = memory.predicted_bytes(grid, load_bundle(trained).card)
    assert 0.6 * measured < predicted < 2.5 * measured


def test_an_image_that_would_not_fit_is_refused_before_anything_is_computed(trained, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1_000_000)
    model = load_model(str(trained), device="cpu")
    volume = Volume(np.zeros((1, 64, 64, 64), np.float32), Grid((64, 64, 64), np.eye(4)))
    with pytest.raises(ResourceError, match="what is free now") as refusal:
        next(segment_steps(volume, model, SegmentOptions(device="cpu")))
    assert refusal.value.code == "E_OOM_CPU"


def test_more_voxels_more_classes_and_a_finer_working_grid_take_more(trained):
    card = load_bundle(trained).card
    small, large = (Grid((n,) * 3, np.eye(4)) for n in (64, 128))
    assert memory.predicted_bytes(large, card) > 4 * memory.predicted_bytes(small, card) - 8 * 10**7
    many = card.model_copy(update={"classes": {i: str(i) for i in range(1, 26)}})
    assert memory.predicted_bytes(large, many) > memory.predicted_bytes(large, card)
    kept = [memory.predicted_bytes(large, own, save_maps=True) for own in (card, many)]
    assert kept[1] > kept[0] + 20 * 4 * 128**3 / 2.5


def test_a_scan_that_is_longer_takes_no_more_room_for_its_classes(trained):
    card = load_bundle(trained).card
    many = card.model_copy(update={"classes": {i: str(i) for i in range(1, 101)}})
    short, long = (Grid((128, 128, n), np.eye(4)) for n in (256, 1024))
    extra = [memory.predicted_bytes(grid, many) - memory.predicted_bytes(grid, card) for grid in (short, long)]
    assert extra[1] < 1.1 * extra[0]
