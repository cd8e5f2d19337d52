"""A model for objects is trained by two processes as by one."""

import csv

import torch
from tests_support import two_devices

from medseg.instance.train import train_steps
from medseg.io.dataset import find_pairs
from medseg.models.bundle import load_bundle
from medseg.planning import Plan
from medseg.progress import finish
from medseg.training.options import TrainOptions


@two_devices
def test_two_processes_train_a_model_of_objects(trained_on_cells, cells, tmp_path):
    plan = Plan.model_validate_json((trained_on_cells.with_name("discs.training") / "plan.json").read_text())
    plan = plan.model_copy(update={"training": plan.training.model_copy(update={"samples_per_epoch": 96})})
    options = TrainOptions("discs", epochs=4, device="cpu", threads=1, plan=plan, devices=2)
    out = finish(train_steps(find_pairs(cells), tmp_path / "discs", options=options))
    assert load_bundle(out).card.training["devices"] == 2
    with (tmp_path / "discs.training/log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert float(rows[-1]["loss"]) < 0.9 * float(rows[0]["loss"])
    state = torch.load(tmp_path / "discs.training/checkpoint.pt", weights_only=True)
    assert state["step"] == 4 * 12
