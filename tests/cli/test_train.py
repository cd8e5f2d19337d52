"""``medseg plan`` and ``medseg train``."""

import csv
import json
import shutil

import pytest

from medseg.cli.train import read_plan
from medseg.errors import UsageError


def test_the_plan_is_a_file_and_a_summary(medseg, dataset, tmp_path):
    done = medseg("plan", dataset, "-o", tmp_path / "plan.json")
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert done.code == 0
    assert plan["n_cases"] == 8
    assert "8" in done.out
    assert " x ".join(str(n) for n in plan["input"]["patch"]) in done.out


def test_without_an_output_the_plan_goes_to_stdout(medseg, dataset):
    assert json.loads(medseg("plan", dataset).out)["n_cases"] == 8


def test_the_trained_model_is_listed_shown_and_removed_again(medseg, model, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    assert medseg("models", "add", model).code == 0
    assert "boxes" in medseg("models").out
    cards = json.loads(medseg("models", "--json").out)
    assert "boxes" in [card["name"] for card in cards]
    shown = medseg("models", "show", "boxes")
    assert "Research use only" in shown.out
    assert medseg("models", "add", model).code == 2
    assert medseg("models", "remove", "boxes").code == 0
    assert medseg("models", "show", "boxes").code == 5


@pytest.mark.parametrize("words", [["show"], ["add"], ["remove"], ["list", "boxes"], ["paint"]])
def test_a_wrong_word_about_models_gives_2(medseg, words):
    assert medseg("models", *words).code == 2


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--epochs", 1, "--minutes", 1],
        ["--epochs", 1, "--loss", "no_such_loss"],
        ["--epochs", 1, "--arch", "no_such_network"],
        ["--epochs", 0],
        ["--epochs", 1, "--plan", "no_such_plan.json"],
        ["--epochs", 1, "--resume"],
        ["--epochs", 1, "--fold", "6/5"],
        ["--epochs", 1, "--fold", "second"],
    ],
)
def test_a_wrong_request_starts_no_training(medseg, dataset, tmp_path, words):
    done = medseg("train", dataset, "-o", tmp_path / "model", *words)
    assert done.code == 2, done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [({"input": {}}, "input"), ({"colour": 1}, "colour"), ({"training": {"batch": 0}}, "training")],
)
def test_a_plan_that_was_edited_wrongly_is_refused_with_the_entry_named(small_plan, tmp_path, change, named):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(json.loads(small_plan.read_text()) | change))
    with pytest.raises(UsageError, match=named):
        read_plan(path)


def test_a_plan_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(UsageError, match=r"plan\.json"):
        read_plan(tmp_path / "plan.json")


def test_an_image_without_label_stops_the_training_unless_it_may_be_left_out(medseg, dataset, small_plan, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(dataset, data)
    (data / "labels" / "case_3.nii.gz").unlink()
    line = ("train", data, "-o", tmp_path / "model", "--plan", small_plan, "--epochs", 1, "--device", "cpu")
    refused = medseg(*line)
    assert refused.code == 4
    assert "case_3" in refused.err
    assert not (tmp_path / "model").exists()
    assert medseg(*line, "--skip-unpaired").code == 0


def test_a_training_goes_on_where_it_was_stopped(medseg, dataset, small_plan, tmp_path, monkeypatch):
    from medseg.progress import Progress

    def stop_after_an_epoch(step: Progress) -> None:
        if step.phase.startswith("epoch 1"):
            raise KeyboardInterrupt

    line = ("train", dataset, "-o", tmp_path / "m", "--plan", small_plan, "--epochs", 2, "--device", "cpu")
    with monkeypatch.context() as patched:
        patched.setattr("medseg.cli.show._quiet_lines", lambda overall: stop_after_an_epoch)
        stopped = medseg(*line)
    assert stopped.code == 130
    assert not (tmp_path / "m").exists()
    assert medseg(*line).code == 2
    done = medseg(*line, "--resume")
    assert done.code == 0, done.err
    with open(tmp_path / "m.training" / "log.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
