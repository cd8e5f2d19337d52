"""A detector is trained by two processes as by one."""

import csv

import torch
from tests_support import two_devices

from medseg.detection.train import train_steps
from medseg.io.dataset import find_pairs
from medseg.models.bundle import load_bundle
from medseg.planning import Plan
from medseg.progress import finish
from medseg.training.options import TrainOptions


@two_devices
def test_two_processes_train_a_detector(detector_of_discs, touching_discs, tmp_path):
    plan = Plan.model_validate_json((detector_of_discs.with_name("finder.training") / "plan.json").read_text())
    options = TrainOptions("finder", epochs=2, device="cpu", threads=1, plan=plan, devices=2)
    out = finish(train_steps(find_pairs(touching_discs), tmp_path / "finder", options=options))
    assert load_bundle(out).card.training["devices"] == 2
    with (tmp_path / "finder.training/log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert torch.load(tmp_path / "finder.training/checkpoint.pt", weights_only=True)["step"] == 2 * 15
