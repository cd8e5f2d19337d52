"""``medseg evaluate --kind instances``: pairs by name, pooled and mean figures, lesions, what is missing."""

import json

import numpy as np
import pytest

from medseg.grid import Grid, image_grid
from medseg.io.write import write
from medseg.labels import Instances, LabelMap

GRID = image_grid((40, 60), (0.5, 0.5), "um")


def squares(*corners, side=8, shape=(40, 60)) -> np.ndarray:
    array = np.zeros(shape, np.uint16)
    for number, (y, x) in enumerate(corners, start=1):
        array[y : y + side, x : x + side] = number
    return array


@pytest.fixture
def folders(tmp_path):
    found, truth = tmp_path / "counts", tmp_path / "labels"
    found.mkdir()
    truth.mkdir()
    write(Instances(squares((2, 2), (2, 20), (20, 30)), GRID), found / "a_instances.tif")
    write(LabelMap((squares((2, 2)) > 0).astype(np.uint8), GRID), found / "a_labels.tif")
    write(Instances(squares((2, 2), (2, 20), (20, 30)), GRID), truth / "a.tif")
    write(Instances(squares((2, 2)), GRID), found / "b_instances.tif")
    write(Instances(squares((2, 2), (20, 10), (20, 40)), GRID), truth / "b.tif")
    write(Instances(squares((2, 2)), GRID), found / "lonely_instances.tif")
    return found, truth


def test_pooled_and_mean_figures_are_named_and_written(medseg, folders, tmp_path):
    report = tmp_path / "report.json"
    done = medseg("evaluate", *folders, "--kind", "instances", "-o", report)
    assert done.code == 0, done.err
    found = json.loads(report.read_text())
    assert {"cases", "per_class", "instances", "missing", "lesions"} <= set(found)
    pooled, mean = found["instances"]["pooled"], found["instances"]["image_mean"]
    assert pooled["ap_50"] == pytest.approx(4 / 6)
    assert mean["ap_50"] == pytest.approx((1 + 1 / 3) / 2)
    assert pooled["relative_count_error"] == pytest.approx(2 / 6)
    assert found["missing"] == {"predictions": [], "references": ["lonely"]} or found["missing"]["references"] == []
    assert [case["case"] for case in found["cases"]] == ["a", "b"]
    assert f"{4 / 6:.4f}" in done.out
    assert f"{2 / 3:.4f}" in done.out
    assert "lonely" in done.out


def test_images_of_other_sizes_are_refused_and_the_others_go_on(medseg, folders, tmp_path):
    write(Instances(squares((2, 2), shape=(30, 30)), image_grid((30, 30), (0.5, 0.5), "um")), folders[1] / "a.tif")
    done = medseg("evaluate", *folders, "--kind", "instances")
    assert done.code == 3
    assert "E_GEOMETRY_MISMATCH" in done.err


def test_lesions_in_masks_are_counted_by_volume_band(medseg, tmp_path):
    grid = Grid((30, 30, 10), np.diag([1.0, 1.0, 3.0, 1.0]))
    truth, found = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8)
    truth[2:4, 2:4, 2] = 1  # 12 mm3, missed
    truth[10:20, 10:20, 3:7] = found[12:20, 10:20, 3:7] = 1  # 1200 mm3, found
    found[25:27, 25:26, 8] = 1  # 6 mm3, false
    write(LabelMap(truth, grid), tmp_path / "truth.nii.gz")
    write(LabelMap(found, grid), tmp_path / "found.nii.gz")
    report = tmp_path / "report.json"
    done = medseg(
        "evaluate",
        tmp_path / "found.nii.gz",
        tmp_path / "truth.nii.gz",
        "--kind",
        "instances",
        "--components",
        "-o",
        report,
    )
    assert done.code == 0, done.err
    lesions = json.loads(report.read_text())["lesions"]
    assert (lesions["sensitivity"], lesions["false_per_scan"]) == (0.5, 1.0)
    assert [(b["n_reference"], b["n_detected"], b["n_false"]) for b in lesions["by_volume"]] == [
        (0, 0, 1), (1, 0, 0), (0, 0, 0), (1, 1, 0),
    ]  # fmt: skip
    assert "false per scan" in done.out


@pytest.mark.parametrize("words", [["--size-edges", "5,x"], ["--size-edges", "9,3"], ["--components"]])
def test_what_cannot_be_meant_is_refused(medseg, folders, words):
    kind = [] if words == ["--components"] else ["--kind", "instances"]
    assert medseg("evaluate", *folders, *kind, *words).code == 2


def test_recall_by_size_is_shown_when_borders_are_given(medseg, folders):
    done = medseg("evaluate", *folders, "--kind", "instances", "--size-edges", "4,100")
    assert done.code == 0, done.err
    assert "4 to 100" in done.out


def test_parts_of_the_labels_of_a_segmentation_are_compared_by_name(medseg, folders, tmp_path):
    found, truth = folders
    report = tmp_path / "report.json"
    done = medseg("evaluate", found, truth, "--kind", "instances", "--components", "-o", report)
    assert done.code == 0, done.err
    cases = json.loads(report.read_text())["cases"]
    assert [case["case"] for case in cases] == ["a"]
    assert (cases[0]["instances"]["n_prediction"], cases[0]["instances"]["n_reference"]) == (1, 3)
    for path in found.glob("*_labels.tif"):
        path.unlink()
    done = medseg("evaluate", found, truth, "--kind", "instances", "--components", "-o", report)
    assert [case["case"] for case in json.loads(report.read_text())["cases"]] == ["a", "b"]
