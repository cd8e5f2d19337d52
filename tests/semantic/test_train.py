"""From a folder of images and labels to a model that segments what it never saw."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests_support import dice

from medseg.errors import InputError, UsageError
from medseg.io.dataset import find_pairs
from medseg.io.read import read, read_labels
from medseg.io.write import write
from medseg.learn.split import read_split
from medseg.models.bundle import load_bundle
from medseg.pipeline import load_model, segment_steps
from medseg.planning import Plan
from medseg.progress import finish
from medseg.semantic.split import make_split
from medseg.semantic.train import train_steps
from medseg.training.options import TrainOptions


def test_the_model_segments_a_case_that_it_never_saw(trained, data_set):
    volume, truth = read(data_set / "images/case_5.nii.gz"), read_labels(data_set / "labels/case_5.nii.gz")
    found = finish(segment_steps(volume, load_model(str(trained)))).labels
    assert found.grid.same_as(truth.grid)
    assert dice(found.array, truth.array, 1) > 0.85
    assert dice(found.array, truth.array, 2) > 0.85


def test_the_card_tells_what_was_learned_from_and_holds_no_unseen_case(trained):
    card = load_bundle(trained).card
    assert card.training_data.n_cases == 5
    assert card.input.orientation == "RAS"
    assert card.input.spacing == pytest.approx((1.0, 1.2, 2.0), rel=1e-4)
    assert (trained / "model.safetensors").stat().st_size < 2_000_000


def test_the_training_folder_holds_plan_split_log_and_a_picture_of_the_curves(trained):
    folder = trained.with_name("balls.training")
    assert Plan.model_validate_json((folder / "plan.json").read_text()).name == "balls"
    split = dict(csv.reader((folder / "split.csv").read_text().splitlines()))
    assert split["case_5"] == "test"
    assert not (folder / "cases/case_5.image.npy").exists()
    log = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in log] == list(range(1, 13))
    assert float(log[-1]["loss"]) < 0.7 * float(log[0]["loss"])
    with Image.open(folder / "curves.png") as picture:
        assert picture.width > 300


def test_a_training_killed_and_resumed_gives_the_same_curve_and_weights(trained, data_set, tmp_path):
    first = TrainOptions("balls", epochs=12, device="cpu", threads=1, plan=Plan.model_validate_json(
        (trained.with_name("balls.training") / "plan.json").read_text()))  # fmt: skip
    steps = train_steps(find_pairs(data_set), tmp_path / "balls", options=first)
    for step in steps:
        if step.phase.startswith("epoch 3"):
            break
    steps.close()
    assert not (tmp_path / "balls").exists()
    resumed = replace(first, plan=None, resume=True)
    finish(train_steps(find_pairs(data_set), tmp_path / "balls", options=resumed))
    ours, whole = (
        list(csv.DictReader((p / "log.csv").read_text().splitlines()))
        for p in (tmp_path / "balls.training", trained.with_name("balls.training"))
    )
    assert [r["loss"] for r in ours] == [r["loss"] for r in whole]
    again, once = load_bundle(tmp_path / "balls").tensors, load_bundle(trained).tensors
    assert all(np.array_equal(again[name], once[name]) for name in once)


def begun(data, out, options, *, phase="training"):
    """Begin a training and stop it at the first step of a phase."""
    steps = train_steps(find_pairs(data), out, options=options)
    next(step for step in steps if step.phase.startswith(phase))
    steps.close()


def test_a_training_that_begins_anew_learns_from_the_labels_and_the_plan_as_they_are_now(trained, data_set, tmp_path):
    plan = Plan.model_validate_json((trained.with_name("balls.training") / "plan.json").read_text())
    data, out = shutil.copytree(data_set, tmp_path / "data"), tmp_path / "balls"
    options = TrainOptions("balls", epochs=2, device="cpu", threads=1, plan=plan)
    begun(data, out, options)
    cases = tmp_path / "balls.training/cases"
    first = np.load(cases / "case_0.labels.npy")
    labels = read_labels(data / "labels/case_0.nii.gz")
    write(replace(labels, array=np.where(labels.array == 1, 2, labels.array)), data / "labels/case_0.nii.gz")
    begun(data, out, options)
    assert (first == 1).any()
    assert not (np.load(cases / "case_0.labels.npy") == 1).any()
    coarse = plan.model_copy(update={"input": plan.input.model_copy(update={"spacing": (2.0, 2.4, 4.0)})})
    begun(data, out, replace(options, plan=coarse))
    assert all(
        abs(2 * n - m) <= 2 for n, m in zip(np.load(cases / "case_0.labels.npy").shape, first.shape, strict=True)
    )


def test_a_training_goes_on_with_its_own_fold_only(trained, data_set, tmp_path):
    plan = Plan.model_validate_json((trained.with_name("balls.training") / "plan.json").read_text())
    options = TrainOptions("balls", epochs=2, device="cpu", threads=1, plan=plan, fold=(1, 2))
    begun(data_set, tmp_path / "balls", options, phase="epoch 1")
    again = replace(options, plan=None, resume=True)
    with pytest.raises(UsageError, match="--fold 2/2"):
        finish(train_steps(find_pairs(data_set), tmp_path / "balls", options=replace(again, fold=(2, 2))))
    folder = finish(train_steps(find_pairs(data_set), tmp_path / "balls", options=again))
    assert load_bundle(folder).card.training["fold"] == "1/2"


@pytest.fixture
def dirty(data_set, tmp_path):
    shutil.copytree(data_set, tmp_path / "data")
    (tmp_path / "data/labels/case_0.nii.gz").unlink()
    return tmp_path


def test_an_image_without_a_label_is_named_before_the_first_step(dirty):
    steps = train_steps(find_pairs(dirty / "data"), dirty / "m", options=TrainOptions("m", epochs=1))
    with pytest.raises(InputError, match=r"case_0") as refusal:
        next(steps)
    assert "--skip-unpaired" in refusal.value.remedy
    assert not (dirty / "m.training").exists()


def test_a_label_on_another_grid_is_named_before_the_first_step(data_set, tmp_path):
    shutil.copytree(data_set, tmp_path / "data")
    shutil.copy(data_set / "labels/case_2.nii.gz", tmp_path / "data/labels/case_1.nii.gz")
    moved = read_labels(tmp_path / "data/labels/case_1.nii.gz")
    from medseg.io.write import write

    write(replace(moved, grid=moved.grid.cropped((1, 0, 0), moved.grid.shape)), tmp_path / "data/labels/case_1.nii.gz")
    with pytest.raises(InputError, match="case_1") as refusal:
        finish(train_steps(find_pairs(tmp_path / "data"), tmp_path / "m", options=TrainOptions("m", epochs=1)))
    assert refusal.value.code == "E_GEOMETRY_MISMATCH"


def test_an_earlier_training_is_never_overwritten_by_accident(trained, data_set):
    with pytest.raises(UsageError, match="--resume"):
        next(train_steps(find_pairs(data_set), trained, options=TrainOptions("balls", epochs=1)))


def test_a_split_by_seed_keeps_groups_together_and_is_the_same_every_time(data_set):
    bare = replace(find_pairs(data_set), split={}, groups={f"case_{i}": str(i // 2) for i in range(6)})
    split = make_split(bare, held_out=0.34, validation=0.3, seed=1)
    assert split == make_split(bare, held_out=0.34, validation=0.3, seed=1)
    assert set(split.values()) == {"train", "val", "test"}
    assert all(split[f"case_{i}"] == split[f"case_{i + 1}"] for i in (0, 2, 4))


def test_folds_of_one_plan_answer_together(trained, data_set, tmp_path):
    plan = Plan.model_validate_json((trained.with_name("balls.training") / "plan.json").read_text())
    plan = plan.model_copy(update={"training": plan.training.model_copy(update={"samples_per_epoch": 8})})
    options = TrainOptions("fold", epochs=2, device="cpu", threads=1, plan=plan, fold=(2, 5))
    fold = finish(train_steps(find_pairs(data_set), tmp_path / "fold", options=options))
    split = read_split(tmp_path / "fold.training/split.csv")
    assert sorted(split.values()) == ["test", "train", "train", "train", "train", "val"]
    assert load_bundle(fold).card.training["fold"] == "2/5"
    resumed = replace(options, plan=None, fold=None, epochs=3, resume=True)
    finish(train_steps(find_pairs(data_set), tmp_path / "fold", options=resumed))
    assert read_split(tmp_path / "fold.training/split.csv") == split
    volume = read(data_set / "images/case_5.nii.gz")
    assert len(load_model([str(trained), str(fold)], device="cpu").members) == 2
    found = finish(segment_steps(volume, load_model([str(trained), str(fold)], device="cpu"))).labels
    assert found.grid.same_as(volume.grid)
