"""From numbered objects to a model folder."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from medseg.errors import InputError, UsageError
from medseg.instance.augment import Drawing, draw, weights
from medseg.instance.cases import InstanceCase, load, make_case, prepare_steps
from medseg.instance.loop import chances
from medseg.instance.loss import heads_loss
from medseg.instance.plan import plan_steps
from medseg.instance.train import halved, train_steps
from medseg.io.dataset import find_pairs
from medseg.models.bundle import load_bundle
from medseg.planning import Plan
from medseg.progress import finish
from medseg.training.options import TrainOptions

D = Drawing((48, 48), native=0.0, size_range=1.01, turned=0.0)


def a_case(labels: np.ndarray, spacing=(1.0, 1.0), name="a", look="dark ground") -> InstanceCase:
    image = np.repeat((labels > 0)[None].astype(np.float32), 3, axis=0)
    return make_case(name, image, labels, spacing, look)


def test_half_of_the_given_validation_groups_is_kept_for_the_score_and_never_prepared(trained_on_cells):
    folder = trained_on_cells.with_name("discs.training")
    rows = {r["id"]: r["split"] for r in csv.DictReader((folder / "split.csv").read_text().splitlines())}
    assert sorted(rows.values()).count("train") == 8
    assert {"val", "test"} <= set(rows.values())
    prepared = {p.name.split(".")[0] for p in (folder / "cases").iterdir()}
    assert prepared == {i for i, part in rows.items() if part != "test"}


def test_groups_of_validation_are_never_torn_and_every_look_is_in_both_halves():
    split = {f"i{k}": "val" for k in range(12)} | {"t": "train"}
    groups = {f"i{k}": f"g{k // 2}" for k in range(12)}
    looks = {f"i{k}": "colour" if k < 4 else "dark ground" for k in range(12)}
    found = halved(split, groups, looks)
    assert found["t"] == "train"
    assert all(found[f"i{k}"] == found[f"i{k + 1}"] for k in range(0, 12, 2))
    for look in ("colour", "dark ground"):
        assert {found[i] for i in looks if looks[i] == look} == {"val", "test"}


def test_the_card_names_every_channel_and_the_size_that_objects_are_brought_to(trained_on_cells):
    card = load_bundle(trained_on_cells).card
    assert card.task == "instance"
    assert card.outputs == ("background", "interior", "boundary", "distance", "offset_y", "offset_x")
    assert card.split["diameter"] == 32.0
    assert card.training_data.n_cases == 11


def test_the_loss_falls_and_the_scores_are_logged(trained_on_cells):
    folder = trained_on_cells.with_name("discs.training")
    log = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    assert [bool(row["dice_foreground"]) for row in log] == [False, True, False, True]
    assert float(log[-1]["loss"]) < 0.7 * float(log[0]["loss"])
    assert float(log[-1]["dice_foreground"]) > 0.85
    assert (folder / "curves.png").stat().st_size > 1000


def test_a_training_killed_and_resumed_ends_with_the_same_weights(trained_on_cells, cells, tmp_path):
    plan = Plan.model_validate_json((trained_on_cells.with_name("discs.training") / "plan.json").read_text())
    short = plan.training.model_copy(update={"samples_per_epoch": 24})
    plan = plan.model_copy(update={"training": short})
    options = TrainOptions("discs", epochs=3, device="cpu", threads=1, plan=plan)
    whole = finish(train_steps(find_pairs(cells), tmp_path / "whole", options=options))
    steps = train_steps(find_pairs(cells), tmp_path / "cut", options=options)
    for step in steps:
        if step.phase.startswith("epoch 1"):
            break
    steps.close()
    resumed = replace(options, plan=None, resume=True)
    cut = finish(train_steps(find_pairs(cells), tmp_path / "cut", options=resumed))
    again, once = load_bundle(cut).tensors, load_bundle(whole).tensors
    assert all(np.array_equal(again[name], once[name]) for name in once)


def test_grey_and_colour_pictures_may_be_mixed(cells):
    plan = finish(plan_steps(find_pairs(cells), name="cells"))
    assert plan.task == "instance"
    assert plan.input.channels == ("red", "green", "blue")
    assert Plan.model_validate(json.loads(plan.model_dump_json())) == plan


def test_labels_without_any_object_are_refused_before_training(cells, tmp_path):
    from PIL import Image

    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / part / "empty.png")
    with pytest.raises(InputError, match="no labelled object"):
        finish(plan_steps(find_pairs(tmp_path), name="nothing"))


def test_an_earlier_training_is_never_overwritten_by_accident(trained_on_cells, cells):
    with pytest.raises(UsageError, match="--resume"):
        next(train_steps(find_pairs(cells), trained_on_cells, options=TrainOptions("discs", epochs=1)))


def test_every_picture_is_brought_to_bright_objects_on_dark_ground(cells, tmp_path):
    plan = finish(plan_steps(find_pairs(cells), name="cells"))
    looks = finish(prepare_steps(find_pairs(cells).cases, plan.input, tmp_path))
    assert set(looks.values()) == {"dark ground", "colour"}
    for name in looks:
        case = load(name, tmp_path)
        image, inside = np.asarray(case.image, np.float32), np.asarray(case.labels) > 0
        assert image[:, inside].mean() > image[:, ~inside].mean() + 0.3


def test_rare_looks_and_small_groups_are_drawn_more_often_than_their_number_but_less_than_evenly():
    labels = np.ones((8, 8), int)
    common = [a_case(labels, name=f"d{k}") for k in range(16)]
    rare = [a_case(labels, name="r", look="colour")]
    found = chances([*common, *rare], dict.fromkeys((f"d{k}" for k in range(9)), "field"))
    assert found.sum() == pytest.approx(1.0)
    assert found[-1] == pytest.approx(1 / (4 + 1))
    assert found[:9].sum() / found[9:10].sum() == pytest.approx(3.0)


def disc(shape, centre, radius) -> np.ndarray:
    return (sum((i - c) ** 2 for i, c in zip(np.indices(shape), centre, strict=True)) <= radius**2).astype(np.int32)


@pytest.mark.parametrize("seed", range(6))
def test_a_patch_shows_objects_at_the_drawn_size_and_its_targets_fit_its_image(seed):
    case = a_case(disc((200, 200), (90, 110), 30))
    drawing = replace(D, patch=(96, 96), turned=1.0, centred=1.0)
    image, target = draw(case, drawing, seed=(seed,))
    inside = target[0].numpy() > 0
    if not inside[[0, -1]].any() and not inside[:, [0, -1]].any():
        assert 2 * np.sqrt(inside.sum() / np.pi) == pytest.approx(32.0, rel=0.06)
    assert abs(np.corrcoef(image[0].numpy().ravel(), inside.ravel())[0, 1]) > 0.8
    places = np.argwhere(inside)
    reached = places + target[2:4].numpy()[:, inside].T * 24.0
    assert np.abs(reached - np.median(reached, axis=0)).max() < 1.0
    deepest = np.unravel_index(target[1].numpy().argmax(), inside.shape)
    if target[1].max() > 0.99:
        assert np.linalg.norm(np.array(deepest) - np.median(reached, axis=0)) < 2.5


def test_a_patch_of_a_stack_keeps_its_targets_too():
    z, y, x = np.indices((14, 60, 60))
    labels = ((2 * (z - 7)) ** 2 + (y - 30) ** 2 + (x - 28) ** 2 <= 144).astype(np.int32)
    case = a_case(labels, spacing=(2.0, 1.0, 1.0))
    _, target = draw(case, Drawing((12, 48, 48), native=0.0, size_range=1.01, centred=1.0), seed=(4,))
    inside = target[0].numpy() > 0
    reached = np.argwhere(inside) * (2.0, 1.0, 1.0) + target[2:5].numpy()[:, inside].T * 24.0
    assert inside.any()
    assert np.abs(reached - np.median(reached, axis=0)).max() < 1.5


def test_the_same_seed_cuts_the_same_patch_and_another_seed_another():
    case = a_case(disc((80, 80), (40, 40), 12))
    first, again, other = (draw(case, D, seed=s)[0] for s in ((1, 2), (1, 2), (1, 3)))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_voxels_between_close_neighbours_weigh_more_and_all_others_one():
    labels = np.zeros((11, 20), int)
    labels[2:9, 2:9], labels[2:9, 10:17] = 1, 2
    found = weights(labels)
    assert found[5, 9] == found[5, 8] == found[5, 10] == 4.0
    assert found[5, 4] == found[0, 0] == found[5, 19] == 1.0


def test_the_loss_is_near_zero_for_the_truth_and_grows_when_neighbours_merge():
    labels = np.zeros((24, 24), int)
    labels[4:20, 4:12], labels[4:20, 12:20] = 1, 2
    case = a_case(labels)
    from medseg.instance.targets import classes_of

    classes = classes_of(labels, case.maps[0].astype(np.float32))
    truth = np.concatenate([classes[None], case.maps[1:2], case.maps[2:] / 24.0, weights(labels)[None]])
    target = torch.from_numpy(truth.astype(np.float32))[None]
    logits = 20.0 * torch.nn.functional.one_hot(target[:, 0].long(), 3).movedim(-1, 1).float()
    exact = torch.cat([logits, target[:, 1:4]], dim=1)
    assert heads_loss(exact, target) < 0.01
    merged = exact.clone()
    merged[:, 1:3, 6:18, 10:14] = torch.tensor([20.0, 0.0]).reshape(1, 2, 1, 1)
    assert heads_loss(merged, target) > heads_loss(exact, target) + 0.5
