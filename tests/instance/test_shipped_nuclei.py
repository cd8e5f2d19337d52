"""The recipe that trains the nuclei model and the script that scores it run on small data."""

import csv
import json
import runpy
import shutil
from pathlib import Path

import pytest
import yaml

from medseg.cli import main as run_command
from medseg.models.bundle import load_bundle

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"


@pytest.fixture
def pack(cells, tmp_path):
    """Return a copy of the small data set that names the kind of each picture, as the real one does."""
    shutil.copytree(cells, tmp_path / "dsb2018")
    with (cells / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "dsb2018/split.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=["id", "split", "modality", "group"])
        table.writeheader()
        table.writerows({**row, "modality": "histology" if int(row["id"][1:]) % 3 == 2 else "grey"} for row in rows)
    return tmp_path / "dsb2018"


def test_each_kind_of_held_out_picture_is_scored_by_itself(pack, trained_on_cells, tmp_path):
    script = runpy.run_path(str(WORKFLOWS / "score_nuclei.py"))
    split = tmp_path / "split.csv"
    split.write_text("id,split\n" + "\n".join(f"c{i:02},{'test' if i >= 10 else 'train'}" for i in range(14)))
    assert script["main"](pack, split, str(trained_on_cells), tmp_path / "score", "--device", "cpu") == 0
    found = {kind: json.loads((tmp_path / f"score/{kind}.json").read_text()) for kind in ("grey", "histology")}
    assert [len(report["cases"]) for report in found.values()] == [3, 1]


def test_the_recipe_trains_a_model_of_objects(pack, trained_on_cells, tmp_path, monkeypatch):
    recipe = yaml.safe_load((WORKFLOWS / "train_nuclei.yaml").read_text())
    plan = trained_on_cells.with_name(f"{trained_on_cells.name}.training") / "plan.json"
    del recipe["options"]["minutes"]
    recipe["options"] |= {"epochs": 1, "plan": str(plan), "dataset": str(pack), "out": str(tmp_path / "nuclei_model")}
    (tmp_path / "smaller.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr("sys.argv", ["medseg", "run", str(tmp_path / "smaller.yaml")])
    with pytest.raises(SystemExit) as end:
        run_command()
    assert end.value.code == 0
    assert load_bundle(tmp_path / "nuclei_model").card.task == "instance"
