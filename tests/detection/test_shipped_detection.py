"""The recipe and the script of the detector run, on small data."""

import json
import runpy
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from medseg.cli.app import build
from medseg.detection.plan import plan_steps
from medseg.detection.train import train_steps
from medseg.io.dataset import find_pairs
from medseg.io.read import read
from medseg.models.bundle import load_bundle
from medseg.pipeline import load_model, segment_steps
from medseg.planning import Plan
from medseg.progress import finish
from medseg.samples.ellipsoids import touching_cells
from medseg.training.options import TrainOptions

FOLDER = Path(__file__).resolve().parents[2] / "workflows"


def test_the_plan_of_the_recipe_lets_the_encoder_begin_as_that_of_nuclei(touching_discs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(touching_discs, tmp_path / "dsb2018")
    plan = Plan.model_validate_json((FOLDER / "nuclei_maskrcnn_plan.json").read_text())
    training = plan.training.model_copy(update={"samples_per_epoch": 1, "batch": 1})
    small = plan.model_copy(update={"training": training, "input": plan.input.model_copy(update={"patch": (64, 64)})})
    (tmp_path / "plan.json").write_text(small.model_dump_json())
    recipe = yaml.safe_load((FOLDER / "train_nuclei_maskrcnn.yaml").read_text())
    del recipe["options"]["minutes"]
    recipe["options"] |= {"epochs": 1, "plan": "plan.json"}
    (tmp_path / "smaller.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(SystemExit) as left:
        build()(args=["run", "smaller.yaml"], prog_name="medseg")
    assert not left.value.code
    card = load_bundle(tmp_path / "nuclei_maskrcnn_model").card
    assert card.task == "detection"
    assert "begun from nuclei" in card.summary


@pytest.fixture
def volumes(tmp_path):
    """Return a small data set as the script makes it."""
    script = runpy.run_path(str(FOLDER / "touching_cells.py"))
    small = partial(touching_cells, shape=(12, 40, 40), n=14, diameter=12.0)
    script["make_volumes"].__globals__["touching_cells"] = small
    names = script["make_volumes"](tmp_path / "dataset", range(3))
    rows = ["id,split", *(f"{name},{'val' if k == 0 else 'train'}" for k, name in enumerate(names))]
    (tmp_path / "dataset" / "split.csv").write_text("\n".join(rows))
    return tmp_path / "dataset"


def test_a_detector_of_volumes_is_trained_and_finds_numbered_cells_on_the_volumes_grid(volumes, tmp_path):
    pairs = find_pairs(volumes)
    plan = finish(plan_steps(pairs, name="cells"))
    assert plan.architecture.options["anchor_sizes"][0][0][0] < plan.architecture.options["anchor_sizes"][0][0][1]
    options = plan.architecture.options | {"filters": [8, 8, 16, 16], "width": 16, "hidden": 32, "mask_width": 8}
    plan = plan.model_copy(
        update={
            "architecture": plan.architecture.model_copy(update={"options": options}),
            "training": plan.training.model_copy(update={"samples_per_epoch": 4}),
            "input": plan.input.model_copy(update={"patch": (8, 32, 32)}),
        }
    )
    chosen = TrainOptions("cells", epochs=2, device="cpu", threads=1, plan=plan)
    out = finish(train_steps(pairs, tmp_path / "model", options=chosen))
    card = json.loads((out / "card.json").read_text())
    assert card["input"]["patch"] == [8, 32, 32]
    assert card["split"]["diameter"] == 16.0
    volume = read(pairs.cases[0].images[0])
    assert volume.grid.spacing == (2.0, 1.0, 1.0)
    found = finish(segment_steps(volume, load_model(str(out), device="cpu")))
    assert found.instances.grid.same_as(volume.grid)
    assert set(np.unique(found.instances.array)) - {0} == {s.id for s in found.instances.segments}


def test_training_and_test_volumes_have_other_seeds():
    script = runpy.run_path(str(FOLDER / "touching_cells.py"))
    assert script["FIRST_TEST_SEED"] > 1000
