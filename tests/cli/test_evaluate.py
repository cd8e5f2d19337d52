"""``medseg evaluate`` on labels that need no model."""

import json
import shutil

import pytest


@pytest.fixture
def predictions(dataset, tmp_path):
    folder = tmp_path / "predictions"
    shutil.copytree(dataset / "labels", folder)
    return folder


def test_equal_labels_score_one(medseg, predictions, dataset, tmp_path):
    done = medseg("evaluate", predictions, dataset / "labels", "-o", tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert done.code == 0
    assert [summary["dice_mean"] for summary in report["per_class"].values()] == [1.0, 1.0]
    assert "1.0000" in done.out


def test_what_is_missing_is_named(medseg, predictions, dataset):
    (predictions / "case_5.nii.gz").unlink()
    done = medseg("evaluate", predictions, dataset / "labels")
    assert "1 references without a prediction: case_5" in done.out


def test_a_pair_on_different_grids_is_refused_and_the_others_are_compared(medseg, predictions, dataset):
    from medseg.io.read import read_labels
    from medseg.io.write import write
    from medseg.ops.reorient import cropped

    moved = cropped(read_labels(predictions / "case_0.nii.gz"), (1, 0, 0), (24, 20, 12))
    write(moved, predictions / "case_0.nii.gz")
    done = medseg("evaluate", predictions, dataset / "labels")
    assert done.code == 3
    assert "E_GEOMETRY_MISMATCH" in done.err
    assert "class" in done.out


def test_nothing_in_common_gives_4(medseg, predictions, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy(predictions / "case_0.nii.gz", tmp_path / "other" / "stranger.nii.gz")
    assert medseg("evaluate", predictions, tmp_path / "other").code == 4


def test_a_report_must_be_json(medseg, predictions, dataset):
    assert medseg("evaluate", predictions, dataset / "labels", "-o", predictions / "case_0.nii.gz").code == 2
