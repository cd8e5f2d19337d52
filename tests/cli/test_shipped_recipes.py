"""Every recipe under workflows/ runs, on small data."""

import json
import runpy
import shutil
from pathlib import Path

import pytest
import yaml

RECIPES = Path(__file__).resolve().parents[2] / "workflows"


@pytest.fixture
def _small_world(tmp_path, monkeypatch, model, dataset, scans):
    """Make a working folder with what the recipes name, and a small model under the name of the built-in one."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, tmp_path / "models" / "hippocampus")
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    shutil.copytree(dataset, tmp_path / "hippocampus")
    (scans / "broken.nii.gz").unlink()


def test_these_are_all_recipes():
    # the others are run in test_count.py, tests/instance and tests/detection
    names = {"segment_folder.yaml", "train_hippocampus.yaml", "count_folder.yaml", "train_nuclei.yaml"}
    names |= {"train_nuclei_maskrcnn.yaml"}
    assert {path.name for path in RECIPES.glob("*.yaml")} == names


@pytest.mark.usefixtures("_small_world")
def test_segment_folder_runs_and_runs_again(medseg, tmp_path):
    first = medseg("run", RECIPES / "segment_folder.yaml")
    assert first.code == 0, first.err
    record = tmp_path / "results" / "more__c.medseg.json"
    written = record.stat().st_mtime_ns
    assert medseg("run", RECIPES / "segment_folder.yaml").code == 0
    assert record.stat().st_mtime_ns == written


@pytest.mark.usefixtures("_small_world")
def test_train_hippocampus_runs_with_a_smaller_budget(medseg, tmp_path, small_plan):
    recipe = yaml.safe_load((RECIPES / "train_hippocampus.yaml").read_text())
    del recipe["options"]["minutes"]
    recipe["options"] |= {"epochs": 1, "plan": str(small_plan), "device": "cpu"}
    (tmp_path / "smaller.yaml").write_text(yaml.safe_dump(recipe))
    done = medseg("run", tmp_path / "smaller.yaml")
    assert done.code == 0, done.err
    assert (tmp_path / "hippocampus_model" / "card.json").is_file()


def test_score_held_out_scores_only_the_cases_that_were_kept_apart(dataset, model, tmp_path, capfd):
    script = runpy.run_path(str(RECIPES / "score_held_out.py"))
    ids = sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "images").iterdir())
    rows = ["id,split", *(f"{name},{'test' if name == ids[0] else 'train'}" for name in ids)]
    (tmp_path / "split.csv").write_text("\n".join(rows))
    code = script["main"](dataset, tmp_path / "split.csv", str(model), tmp_path / "score", "--device", "cpu")
    assert code == 0, capfd.readouterr()
    assert [case["case"] for case in json.loads((tmp_path / "score/report.json").read_text())["cases"]] == ids[:1]
