"""Predictions against references: right pairs, right means, and nothing silently left out."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from medseg.errors import InputError, UsageError
from medseg.progress import Progress
from medseg.workflow.evaluate import evaluate, evaluate_steps
from medseg.workflow.pairs import class_names_beside, find_label_pairs

AFFINE = np.array([[-0.8, 0, 0, 31.0], [0, 1.5, 0, -17.5], [0, 0, 3.0, 8.25], [0, 0, 0, 1]])


def _save(path, array, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.uint8), affine), path)


def _block(high: int) -> np.ndarray:
    array = np.zeros((8, 9, 7), np.uint8)
    array[2:6, 2:high, 1:4] = 1
    return array


@pytest.fixture
def folders(tmp_path):
    """Return two folders with the cases a (all right), b (half found) and c (nothing found)."""
    out, truth = tmp_path / "out", tmp_path / "truth"
    for name, found in (("a", _block(6)), ("b", _block(4)), ("c", np.zeros((8, 9, 7), np.uint8))):
        _save(out / f"{name}_labels.nii.gz", found)
        _save(truth / f"{name}.nii.gz", _block(6))
    return out, truth


def test_means_are_those_of_the_cases_and_say_how_many(folders):
    summary = evaluate(*folders).as_dict()["per_class"]["1"]
    dice = [1.0, 2 / 3, 0.0]
    assert summary["dice_mean"] == pytest.approx(np.mean(dice))
    assert summary["dice_std"] == pytest.approx(np.std(dice, ddof=1))
    assert summary["dice_n"] == 3
    assert summary["hd95_mm_n"] == 2
    assert summary["hd95_mm_mean"] == pytest.approx((0.0 + 3.0) / 2)
    assert summary["volume_error_percent_mean"] == pytest.approx(-50.0)


def test_the_report_is_plain_json_without_nan(folders):
    report = evaluate(*folders).as_dict()
    again = json.loads(json.dumps(report, allow_nan=False))
    assert {"cases", "per_class", "instances", "missing"} <= set(again)
    assert [case["case"] for case in again["cases"]] == ["a", "b", "c"]
    assert again["cases"][2]["per_class"]["1"]["hd95_mm"] is None
    assert any("pixel accuracy" in note for note in again["notes"])


def test_the_same_files_in_the_other_roles_give_the_same_dice(folders):
    out, truth = folders
    there, back = evaluate(out, truth).per_class()[1], evaluate(truth, out).per_class()[1]
    assert there["dice_mean"] == back["dice_mean"]
    assert there["volume_error_ml_mean"] == pytest.approx(-back["volume_error_ml_mean"])


def test_what_stands_on_one_side_only_is_listed(folders):
    out, truth = folders
    _save(truth / "unseen.nii.gz", _block(6))
    _save(out / "extra_labels.nii.gz", _block(6))
    result = evaluate(out, truth)
    assert result.as_dict()["missing"] == {"predictions": ["unseen"], "references": ["extra"]}
    assert len(result.cases) == 3
    assert any("1 references have no prediction" in note for note in result.notes())


@pytest.mark.parametrize("spoil", ["shape", "affine", "truncated"])
def test_a_case_that_cannot_be_compared_is_refused_and_the_others_go_on(folders, spoil):
    out, truth = folders
    path = out / "b_labels.nii.gz"
    if spoil == "shape":
        _save(path, _block(6)[:-1])
    elif spoil == "affine":
        _save(path, _block(6), AFFINE + np.diag([0, 0, 0.1, 0]))
    else:
        path.write_bytes(path.read_bytes()[:-30])
    result = evaluate(out, truth)
    refused = result.cases[1]
    assert (refused.name, refused.state, refused.classes) == ("b", "refused", {})
    assert refused.error.code == ("E_INPUT_UNREADABLE" if spoil == "truncated" else "E_GEOMETRY_MISMATCH")
    assert result.n_refused == 1
    assert result.per_class()[1]["dice_n"] == 2
    assert any("1 of 3 cases were refused" in note for note in result.notes())
    assert result.table().query("case == 'b'")["code"].tolist() == [refused.error.code]


def test_the_table_has_a_row_per_case_and_class_with_empty_cells_for_what_is_not_defined(folders):
    table = evaluate(*folders).table()
    assert table["case"].tolist() == ["a", "b", "c"]
    assert table["reference_voxels"].tolist() == [48, 48, 48]
    assert table["hd95_mm"].isna().tolist() == [False, False, True]


def test_names_are_given_or_come_from_the_record_beside_the_prediction(folders):
    out, truth = folders
    assert evaluate(out, truth).per_class()[1]["name"] == "class 1"
    for name in "abc":
        record = {"structures": [{"class_id": 1, "name": "amygdala"}, {"class_id": 2, "name": "unused"}]}
        (out / f"{name}.medseg.json").write_text(json.dumps(record))
    summary = evaluate(out, truth).per_class()
    assert summary[1]["name"] == "amygdala"
    assert (summary[2]["dice_mean"], summary[2]["dice_n"]) == (None, 0)
    assert evaluate(out, truth, classes={1: "given"}).per_class()[1]["name"] == "given"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'{"structures": 3}', b'{"structures": [1, {"class_id": "x"}]}', b"\xff" * 9]
)
def test_a_damaged_record_costs_the_names_and_nothing_else(folders, content):
    out, truth = folders
    (out / "a.medseg.json").write_bytes(content)
    assert class_names_beside(out / "a_labels.nii.gz", "a") == {}
    assert evaluate(out, truth).n_refused == 0


def test_two_files_are_a_pair_whatever_their_names(folders):
    out, truth = folders
    result = evaluate(out / "b_labels.nii.gz", truth / "a.nii.gz")
    assert [case.name for case in result.cases] == ["b"]
    assert result.cases[0].classes[1].dice == pytest.approx(2 / 3)


def test_one_file_finds_its_reference_in_a_folder(folders):
    out, truth = folders
    result = evaluate(out / "b_labels.nii.gz", truth)
    assert [case.name for case in result.cases] == ["b"]
    assert result.without_prediction == ("a", "c")


def test_progress_counts_the_cases(folders):
    steps = list(evaluate_steps(*folders))
    assert [step.done for step in steps] == [0, 1, 2, 3]
    assert all(isinstance(step, Progress) and step.total == 3 for step in steps)


def test_a_wider_tolerance_forgives_more(folders):
    scores = [evaluate(*folders, tolerance_mm=t).per_class()[1]["nsd_mean"] for t in (0.5, 2.0, 4.0)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1] == 1.0


class TestPairing:
    def test_suffixes_and_marks_do_not_matter(self, tmp_path):
        for name in ("x_labels.nii.gz", "y.nrrd", "z.v2_labels.tif"):
            (tmp_path / "p").mkdir(exist_ok=True)
            (tmp_path / "p" / name).touch()
        for name in ("x.mha", "y_labels.nii", "z.v2.ome.tif"):
            (tmp_path / "r").mkdir(exist_ok=True)
            (tmp_path / "r" / name).touch()
        pairs = find_label_pairs(tmp_path / "p", tmp_path / "r")
        assert [pair.name for pair in pairs.matched] == ["x", "y", "z.v2"]

    def test_overlays_tables_instances_and_hidden_files_are_no_labels(self, folders):
        out, truth = folders
        for name in ("a_overlay.png", "a_structures.csv", "a_instances.nii.gz", "._a_labels.nii.gz", "summary.json"):
            (out / name).write_bytes(b"no label image")
        result = evaluate(out, truth)
        assert (len(result.cases), result.n_refused, result.without_reference) == (3, 0, ())

    def test_the_labels_go_before_the_scan_of_the_same_name(self, folders):
        out, truth = folders
        _save(out / "a.nii.gz", np.full((8, 9, 7), 77))
        assert evaluate(out, truth).cases[0].classes[1].dice == 1.0

    def test_two_files_of_one_name_are_refused_by_name(self, folders):
        out, truth = folders
        (out / "b_labels.nrrd").touch()
        result = evaluate(out, truth)
        assert [case.state for case in result.cases] == ["ok", "refused", "ok"]
        assert "b_labels.nii.gz, b_labels.nrrd" in str(result.cases[1].error)

    def test_folders_join_the_name_as_in_the_results(self, folders):
        out, truth = folders
        _save(truth / "study 1" / "left.nii.gz", _block(6))
        _save(out / "study 1__left_labels.nii.gz", _block(6))
        assert "study 1__left" in [case.name for case in evaluate(out, truth).cases]

    def test_a_data_set_stands_for_its_labels(self, folders):
        out, truth = folders
        data_set = truth.parent / "set"
        (data_set / "images").mkdir(parents=True)
        truth.rename(data_set / "labels")
        assert len(evaluate(out, data_set).cases) == 3


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda out, truth: (out / "nothing", truth), UsageError, "no such file"),
        (lambda out, truth: (out, truth / "nothing"), UsageError, "no such file"),
        (lambda out, truth: (out.parent, truth / "a.nii.gz"), InputError, "no name in common"),
    ],
)
def test_what_cannot_work_is_refused_in_words(folders, spoil, error, words):
    with pytest.raises(error, match=words):
        evaluate(*spoil(*folders))


def test_empty_folders_are_refused_in_words(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no label image") as caught:
        evaluate(tmp_path / "empty", tmp_path / "empty")
    assert caught.value.code == "E_INPUT_EMPTY"


@pytest.mark.parametrize(("option", "words"), [({"kind": "boxes"}, "kind 'boxes'"), ({"tolerance_mm": -1}, "-1 mm")])
def test_an_impossible_request_is_refused_before_any_file_is_read(tmp_path, option, words):
    with pytest.raises(UsageError, match=words):
        evaluate(tmp_path, tmp_path, **option)


def test_a_case_keeps_its_paths(folders):
    case = evaluate(*folders).cases[0]
    assert case.prediction.endswith("a_labels.nii.gz")
    assert case.reference.endswith("a.nii.gz")
    assert replace(case, name="other").as_dict()["case"] == "other"
