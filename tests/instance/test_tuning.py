"""The scripts that choose the numbers of the splitting, check the flags and score stacks do what they say."""

import csv
import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from crowd_of_cells import crowd

from medseg.grid import image_grid
from medseg.instance.segment import card_split
from medseg.io.write import write
from medseg.labels import Instances
from medseg.models.bundle import load_bundle
from medseg.volume import Volume

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(WORKFLOWS))
    return importlib.import_module


@pytest.fixture
def split(tmp_path):
    parts = ["train"] * 8 + ["val"] * 2 + ["test"] * 4
    path = tmp_path / "split.csv"
    path.write_text("id,split\n" + "".join(f"c{i:02},{part}\n" for i, part in enumerate(parts)))
    return path


def test_the_part_that_is_kept_for_the_score_is_refused(script, split):
    with pytest.raises(SystemExit, match="kept for the score"):
        script("known_pictures").chosen_names(split, "test", 0, {})
    with pytest.raises(SystemExit, match="no picture of part 'vla'"):
        script("known_pictures").chosen_names(split, "vla", 0, {})


def test_training_pictures_come_one_from_a_group_and_never_from_the_kept_part(script, split):
    groups = {f"c{i:02}": f"g{i // 2}" for i in range(8)}
    names = script("known_pictures").chosen_names(split, "val", 9, groups)
    assert names[:2] == ["c08", "c09"]
    assert len(names) == 2 + 4
    assert len({groups[name] for name in names[2:]}) == 4
    assert names == script("known_pictures").chosen_names(split, "val", 9, groups)


def test_a_broad_height_is_preferred_to_a_sharp_peak(script):
    broad = script("tune_splitting").neighbourly([0.70, 0.71, 0.70, 0.10, 0.72, 0.10])
    assert int(np.argmax(broad)) == 1


def test_the_numbers_are_chosen_from_kept_maps_and_written_to_the_card_beside_the_same_weights(
    script, split, cells, trained_on_cells, tmp_path, monkeypatch, capsys
):
    tune = script("tune_splitting")
    few = {"foreground_threshold": (0.4, 0.5), "seed_threshold": (0.4, 0.6), "min_depth": (0.1, 0.3)}
    few |= {"smoothing": (1.0,), "min_size": (0.0, 20.0), "min_distance": (0.0,)}
    monkeypatch.setattr(tune, "CHOICES", {"distance": few, "offsets": few})
    model = tmp_path / "model"
    shutil.copytree(trained_on_cells, model)
    (model / "README.md").write_text("kept")
    before = load_bundle(model)
    ask = [
        str(cells),
        str(split),
        str(model),
        "--also-train",
        "1",
        "--decoders",
        "distance,offsets",
        "--diameter",
        "16",
    ]
    numbers = tune.main([*ask, "--cache", str(tmp_path / "maps"), "-o", str(tmp_path / "numbers.json"), "--write"])
    after = load_bundle(model)
    assert json.loads((tmp_path / "numbers.json").read_text()) == numbers == after.card.split
    assert after.card.weights_sha256 == before.card.weights_sha256
    assert (model / "README.md").read_text() == "kept"
    assert len(list((tmp_path / "maps").rglob("*.npy"))) == 3
    monkeypatch.setattr("medseg.instance.predict.predict_maps_steps", None)  # a second run asks no network
    assert tune.main([*ask, "--cache", str(tmp_path / "maps")]) == numbers
    assert "| offsets | all | 3 |" in capsys.readouterr().out


def test_other_diameters_and_mirroring_are_looked_at_and_its_own_gives_the_goal_again(
    script, split, cells, trained_on_cells, tmp_path, monkeypatch, capsys
):
    tune = script("tune_splitting")
    monkeypatch.setattr(tune, "CHOICES", {"distance": dict.fromkeys(tune.ORDER, ())})
    monkeypatch.setattr(tune, "LOOKS", (14.0,))
    options = ["--decoders", "distance", "--diameter", "16", "--cache", str(tmp_path / "maps"), "--looks"]
    tune.main([str(cells), str(split), str(trained_on_cells), *options])
    shown = capsys.readouterr().out.splitlines()
    goal = next(line.split()[1] for line in shown if line.startswith("distance: "))
    looks = [line.split(" | ") for line in shown if line.startswith(("| 14 |", "| 16 |"))]
    assert [(row[0], row[1]) for row in looks] == [("| 14", "no"), ("| 16", "no"), ("| 16", "yes")]
    assert looks[1][2] == goal


def test_found_objects_are_right_merged_or_fragments(script):
    truth, found = np.zeros((30, 60), int), np.zeros((30, 60), int)
    truth[2:12, 2:12], found[2:12, 3:12] = 1, 4  # right
    truth[2:12, 20:30], truth[2:12, 30:40], found[2:12, 20:40] = 2, 3, 5  # two in one
    truth[18:28, 2:22], found[18:28, 2:10] = 4, 6  # less than half of one
    found[20:24, 40:44] = 7  # dirt
    grid = image_grid(truth.shape, (1.0, 1.0), "px")
    from medseg.labels import Segment

    objects = Instances(found, grid, tuple(Segment(i) for i in (4, 5, 6, 7)))
    verdicts = script("check_flags").verdicts(objects, Instances(truth, grid))
    right, fragment = (True, False, False), (False, False, True)
    # one of two equal halves matches at IoU .5 exactly, so two in one of equal size count as right
    assert verdicts[0] == right
    assert verdicts[2:] == [fragment, fragment]
    found[2:12, 40:43] = 5
    assert script("check_flags").verdicts(objects, Instances(truth, grid))[1] == (False, True, False)


def test_the_fitted_chance_is_as_often_right_as_it_says(script):
    check = script("check_flags")
    rng = np.random.default_rng(0)
    signs = rng.normal(size=(4000, 2))
    truth = np.array([0.5, 2.0, -1.0])
    right = rng.random(4000) < check.chance(signs, truth)
    weights = check.fitted(signs, right)
    assert np.abs(weights - truth).max() < 0.2
    chance = check.chance(signs, weights)
    for low in (0.1, 0.4, 0.7):
        here = (chance > low) & (chance < low + 0.2)
        assert right[here].mean() == pytest.approx(chance[here].mean(), abs=0.06)


def test_flags_are_checked_on_the_cards_numbers(script, split, cells, trained_on_cells, tmp_path, capsys):
    options = ["--cache", str(tmp_path / "maps"), "--also-train", "2", "--fit"]
    found = script("check_flags").main([str(cells), str(split), str(trained_on_cells), *options])
    assert len(found.right) > 10
    assert not (found.right & (found.merged | found.fragment)).any()
    assert (found.right | found.merged | found.fragment).all()
    shown = capsys.readouterr().out
    assert "| likely_merged |" in shown
    assert "weights of the score:" in shown


@pytest.fixture
def stacks(tmp_path):
    root = tmp_path / "stacks"
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    grid = image_grid((14, 40, 44), (2.0, 1.0, 1.0), "um")
    truth = crowd(grid.shape, 9, 8.0, spacing=grid.spacing, seed=4)
    bright = (np.where(truth > 0, 180, 20) + np.random.default_rng(0).normal(0, 4, truth.shape)).astype(np.uint8)
    write(Volume(bright[None], grid, ("DAPI",)), root / "images/a.tif")
    write(Instances(truth.astype(np.uint16), grid), root / "labels/a.tif")
    heads = ("id", "kind", "spacing_zyx_um", "shape", "n_objects")
    with (root / "meta.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(heads)
        table.writerow(("a", "3D nuclei, fluorescence", "2:1:1 (as said)", "14x40x44", truth.max()))
        table.writerow(("b", "3D cells, membrane", "?", "9x9x9", 4))
        table.writerow(("c", "2D nuclei", "?", "9x9", 4))
    return root, truth


def test_each_stack_of_nuclei_has_its_row(script, stacks, trained_on_cells, tmp_path):
    root, truth = stacks
    ask = [str(root), str(trained_on_cells), str(tmp_path / "out"), "--cache", str(tmp_path / "maps"), "--true-size"]
    first, second = (script("score_cells3d").main(ask)[0] for _ in range(2))
    assert {k: v for k, v in first.items() if k != "seconds"} == {k: v for k, v in second.items() if k != "seconds"}
    assert (first["stack"], first["references"]) == ("a", len(np.unique(truth)) - 1)
    assert first["tuned_on"] == "no"
    assert (tmp_path / "out/a_instances.tif").exists()


def test_slivers_at_the_edge_of_a_crop_are_forgiven(script):
    truth = np.zeros((4, 20, 20), int)
    truth[:, 2:8, 2:8], truth[:, 10:16, 2:8], truth[:, 2:8, 12:18], truth[0, 19, 19] = 1, 2, 3, 4
    grid = image_grid(truth.shape, (1.0, 1.0, 1.0), "px")
    found = np.where(truth < 4, truth, 0)
    assert script("score_cells3d").lenient(Instances(found, grid), Instances(truth, grid)) == 1.0


def test_a_stack_that_a_flat_model_sees_is_split_by_numbers_of_its_own(trained_on_cells):
    card = load_bundle(trained_on_cells).card
    votes = card.model_copy(update={"split": {"diameter": 32.0, "decoder": "offsets"}})
    assert card_split(votes, image_grid((9, 9), (1.0, 1.0), "px")).decoder == "offsets"
    stack = card_split(votes, image_grid((9, 9, 9), (0.5, 0.5, 0.5), "um"))
    assert stack.decoder != "offsets"
    assert (stack.smoothing, stack.min_size) == (1.0, 25.0)
