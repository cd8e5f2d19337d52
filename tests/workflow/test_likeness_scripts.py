"""The scripts that teach a model the looks of its training, and that count its warnings, run on a small data set."""

import csv
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from medseg.grid import Grid
from medseg.io.write import write
from medseg.labels import LabelMap
from medseg.models.bundle import load_bundle, read_card
from medseg.models.registry import find
from medseg.volume import Volume

SCRIPTS = Path(__file__).resolve().parents[2] / "workflows"
SHAPE = (36, 50, 36)


@pytest.fixture
def study(tmp_path):
    """Write twelve scans that get brighter to the front and above, ten of them for training."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    grid = Grid(SHAPE, np.eye(4))
    _, j, k = np.indices(SHAPE)
    for n in range(12):
        noise = np.random.default_rng(n).normal(0, 30, SHAPE)
        write(
            Volume((500 + 8.0 * j + 5.0 * k + noise)[None].astype(np.float32), grid),
            tmp_path / "images" / f"c{n}.nii.gz",
        )
        write(LabelMap((j > 25).astype(np.uint8), grid, {1: "front"}), tmp_path / "labels" / f"c{n}.nii.gz")
    with (tmp_path / "split.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "split"], *([f"c{n}", "train" if n < 10 else "test"] for n in range(12))])
    return tmp_path


def test_a_model_learns_the_looks_of_its_training_and_keeps_all_else(study, tmp_path, capsys):
    folder = tmp_path / "model"
    shutil.copytree(find("hippocampus"), folder)
    before = load_bundle(folder)
    assert runpy.run_path(str(SCRIPTS / "add_fingerprint.py"))["main"](folder, study, study / "split.csv") == 0
    after = load_bundle(folder)
    assert "10 training cases" in capsys.readouterr().out
    assert (folder / "README.md").read_bytes() == (find("hippocampus") / "README.md").read_bytes()
    assert after.card.weights_sha256 == before.card.weights_sha256
    assert after.card.fingerprint.appearance != before.card.fingerprint.appearance
    assert after.card.model_copy(update={"fingerprint": None}) == before.card.model_copy(update={"fingerprint": None})

    check = runpy.run_path(str(SCRIPTS / "check_warnings.py"))["main"]
    assert check(str(folder), study, study / "split.csv", [study / "images" / "c0.nii.gz"]) == 0
    lines = capsys.readouterr().out
    assert "| test cases as they are | 2 | 0 |" in lines
    assert "| test cases upside down, header unchanged | 2 | 2 | head and feet look swapped" in lines


def test_too_few_training_cases_are_refused_and_the_card_stays(study, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(find("hippocampus"), folder)
    (study / "few.csv").write_text("id,split\nc0,train\n")
    with pytest.raises(SystemExit, match="too few"):
        runpy.run_path(str(SCRIPTS / "add_fingerprint.py"))["main"](folder, study, study / "few.csv")
    assert read_card(folder) == read_card(find("hippocampus"))
