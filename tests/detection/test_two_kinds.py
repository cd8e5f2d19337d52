"""Objects of two classes, small and bright upon large and dim, from the data set to the numbers of a new picture."""

import csv
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from detection.conftest import tiny_plan
from PIL import Image

from medseg.cli.app import build as build_cli
from medseg.detection.plan import plan_steps
from medseg.detection.train import train_steps
from medseg.errors import InputError, UsageError
from medseg.instance.cases import load, prepare_steps
from medseg.instance.plan import plan_steps as instance_plan_steps
from medseg.io.dataset import find_pairs
from medseg.models.bundle import load_bundle
from medseg.pipeline import SegmentOptions, load_model, segment_steps
from medseg.progress import finish
from medseg.samples.two_kinds import two_kinds
from medseg.training.options import TrainOptions

N_TRAIN, N_VAL = 10, 5
TEST_SEEDS = range(500, 504)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Return a data set whose tables tell the class of every object."""
    root = tmp_path_factory.mktemp("kinds")
    for folder in ("images", "labels", "classes"):
        (root / folder).mkdir()
    rows = [["id", "split"]]
    for case in range(N_TRAIN + N_VAL):
        volume, truth = two_kinds(case)
        Image.fromarray(volume.array[0]).save(root / "images" / f"k{case:02}.png")
        Image.fromarray(truth.array).save(root / "labels" / f"k{case:02}.png")
        table = [["label", "class"], *([s.id, truth.classes[s.class_id]] for s in truth.segments)]
        written(root / "classes" / f"k{case:02}.csv", table)
        rows.append([f"k{case:02}", "train" if case < N_TRAIN else "val"])
    written(root / "split.csv", rows)
    return root


def written(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def finder(kinds, tmp_path_factory):
    """Return the folder of a small detector of both kinds."""
    plan = tiny_plan(kinds, samples_per_epoch=120)
    options = TrainOptions("kinds", epochs=5, device="cpu", threads=1, plan=plan, licence="CC0-1.0")
    return finish(train_steps(find_pairs(kinds), tmp_path_factory.mktemp("models") / "kinds", options=options))


def test_large_objects_lie_beneath_small_ones_in_the_generated_pictures():
    _, truth = two_kinds(3)
    again, _ = two_kinds(3)
    assert np.array_equal(two_kinds(3)[0].array, again.array)
    large = [s.id for s in truth.segments if truth.classes[s.class_id] == "large"]
    holes = [np.ptp(np.argwhere(truth.array == i), axis=0).prod() for i in large]
    assert Counter(s.class_id for s in truth.segments)[1] > 6
    assert len(large) > 3
    assert min(holes) > 200


def test_the_plan_names_the_classes_in_the_order_of_their_names(kinds):
    plan = finish(plan_steps(find_pairs(kinds), name="kinds"))
    assert plan.classes == {1: "large", 2: "small"}
    assert plan.class_share[1] > plan.class_share[2] > 0.02
    assert finish(instance_plan_steps(find_pairs(kinds), name="kinds")).classes == {1: "object"}


def test_prepared_objects_are_numbered_without_gaps_and_keep_their_classes(kinds, tmp_path):
    plan = finish(plan_steps(find_pairs(kinds), name="kinds"))
    root = tmp_path / "gaps"
    for folder in ("images", "labels", "classes"):
        (root / folder).mkdir(parents=True)
    volume, truth = two_kinds(1)
    Image.fromarray(volume.array[0]).save(root / "images" / "a.png")
    # numbers that float32 cannot tell apart
    Image.fromarray(np.where(truth.array > 0, truth.array.astype(np.int32) + 2**24, 0)).save(root / "labels" / "a.tif")
    names = {s.id: truth.classes[s.class_id] for s in truth.segments}
    written(root / "classes" / "a.csv", [["label", "class"], *([i + 2**24, name] for i, name in names.items())])
    pairs = find_pairs(root)
    finish(prepare_steps(pairs.cases, plan.input, tmp_path / "cases", plan.classes))
    case = load("a", tmp_path / "cases")
    assert np.array_equal(case.labels, truth.array)
    assert [plan.classes[c] for c in case.classes.tolist()] == list(names.values())


def test_the_card_names_both_classes_and_calibrates_each(finder):
    card = load_bundle(finder).card
    assert card.classes == {1: "large", 2: "small"}
    assert card.outputs == ("background", "large", "small")
    assert {"score_threshold", "tuning_mask_ap50 large", "tuning_mask_ap50 small"} <= set(card.split)
    # of large objects there are too few to tell
    assert {"score_threshold_2", "mirrored_score_threshold_2"} <= set(card.split)
    assert "score_threshold_1" not in card.split


def test_the_diary_tells_the_precision_of_each_class(finder):
    log = list(csv.DictReader((finder.with_name("kinds.training") / "log.csv").read_text().splitlines()))
    assert float(log[-1]["mask_ap50 small"]) > 0.6
    assert float(log[-1]["mask_ap50 large"]) > 0.5


@pytest.mark.parametrize("tta", [False, True])
def test_new_pictures_have_the_right_number_of_each_class(finder, tta):
    model = load_model(str(finder), device="cpu")
    wanted, found, right = Counter(), Counter(), 0
    for seed in TEST_SEEDS:
        volume, truth = two_kinds(seed)
        seen = finish(segment_steps(volume, model, SegmentOptions(tta=tta))).instances
        assert seen.classes == {1: "large", 2: "small"}
        wanted.update(truth.classes[s.class_id] for s in truth.segments)
        found.update(seen.classes[s.class_id] for s in seen.segments)
        name = {s.id: truth.classes[s.class_id] for s in truth.segments}
        for s in seen.segments:
            beneath = np.bincount(truth.array[seen.array == s.id])
            right += name.get(int(beneath.argmax())) == seen.classes[s.class_id]
    assert right > 0.85 * sum(found.values())
    for kind in ("small", "large"):
        assert abs(found[kind] - wanted[kind]) <= 0.2 * wanted[kind]


def test_tables_and_overlays_name_the_class_of_each_object(finder, kinds, tmp_path, capsys):
    image = str(kinds / "images" / "k00.png")
    words = ["count", image, "-o", str(tmp_path / "out"), "-m", str(finder), "--device", "cpu"]
    with pytest.raises(SystemExit) as left:
        build_cli()(args=words, prog_name="medseg")
    assert not left.value.code
    rows = list(csv.DictReader((tmp_path / "out" / "k00_objects.csv").read_text().splitlines()))
    assert {(row["class_id"], row["name"]) for row in rows} == {("1", "large"), ("2", "small")}
    assert (tmp_path / "out" / "k00_overlay.png").stat().st_size > 1000
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary
    capsys.readouterr()


def test_an_object_without_a_class_stops_the_training_before_it_begins(kinds, tmp_path):
    pairs = find_pairs(kinds)
    bare = replace(pairs, cases=(replace(pairs.cases[0], classes=None), *pairs.cases[1:]))
    options = TrainOptions("x", epochs=1, device="cpu", threads=1)
    with pytest.raises(InputError, match="objects whose classes nothing tells"):
        finish(train_steps(bare, tmp_path / "x", options=options))


def test_a_plan_of_two_classes_is_refused_where_nothing_tells_them(kinds, tmp_path):
    pairs = find_pairs(kinds)
    bare = replace(pairs, cases=tuple(replace(case, classes=None) for case in pairs.cases), object_classes={})
    options = TrainOptions("x", epochs=1, device="cpu", threads=1, plan=tiny_plan(kinds))
    with pytest.raises(UsageError, match="a plan of 2 classes"):
        finish(train_steps(bare, tmp_path / "x", options=options))
