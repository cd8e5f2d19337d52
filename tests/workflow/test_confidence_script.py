"""The script that teaches a model how good its results probably are."""

import csv
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from medseg.grid import Grid
from medseg.io.dataset import find_pairs
from medseg.io.write import write
from medseg.labels import LabelMap
from medseg.models.bundle import load_bundle
from medseg.models.registry import find
from medseg.volume import Volume

SCRIPT = Path(__file__).resolve().parents[2] / "workflows" / "add_confidence.py"
SHAPE = (36, 50, 36)


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copytree(find("hippocampus"), tmp_path / "model"))


def teach(*arguments):
    return runpy.run_path(str(SCRIPT))["main"](*arguments)


def test_from_too_few_cases_nothing_is_learned_and_the_card_stays(model, tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    grid = Grid(SHAPE, np.eye(4))
    for k in range(3):
        noise = np.random.default_rng(k).normal(100, 9, (1, *SHAPE)).astype(np.float32)
        write(Volume(noise, grid), tmp_path / "images" / f"c{k}.nii.gz")
        write(LabelMap(np.ones(SHAPE, np.uint8), grid, {1: "all"}), tmp_path / "labels" / f"c{k}.nii.gz")
    with (tmp_path / "split.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "split"], *([f"c{k}", "val"] for k in range(3))])
    before = (model / "card.json").read_bytes()
    with pytest.raises(SystemExit, match="too few cases"):
        teach(model, tmp_path, tmp_path / "split.csv")
    assert (model / "card.json").read_bytes() == before


@pytest.mark.data
@pytest.mark.slow
def test_a_model_learns_from_its_own_cases_and_keeps_its_weights(model, data_pack, tmp_path):
    before = load_bundle(model)
    ids = sorted(case.id for case in find_pairs(data_pack("hippocampus")).cases)[:6]
    with (tmp_path / "split.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "split"], *([name, "val"] for name in ids)])
    assert teach(model, data_pack("hippocampus"), tmp_path / "split.csv") == 0
    after = load_bundle(model)
    assert after.card.weights_sha256 == before.card.weights_sha256
    assert after.card.version > before.card.version
    assert after.card.confidence.n_looks == 6 * 25
    assert after.card.confidence.structures.keys() == {1, 2}
    same = {"confidence": None, "version": "0.0.0"}
    assert after.card.model_copy(update=same) == before.card.model_copy(update=same)
