"""From numbered objects to the folder of a detector."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from detection.conftest import tiny_plan

from medseg.cli.app import build as build_cli
from medseg.detection.plan import plan_steps
from medseg.detection.targets import truth_of
from medseg.detection.train import train_steps
from medseg.errors import MedsegError, ModelError, OutputError, UsageError
from medseg.instance.plan import plan_steps as instance_plan_steps
from medseg.io.dataset import find_pairs
from medseg.io.read import read
from medseg.models.bundle import load_bundle
from medseg.pipeline import load_model, segment_steps
from medseg.progress import finish
from medseg.training.options import TrainOptions


def main(words):
    """Run a command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as left:
        build_cli()(args=words, prog_name="medseg")
    return int(left.value.code or 0)


def options(root, **more):
    plan = more.pop("plan", None) or tiny_plan(root, samples_per_epoch=4)
    return TrainOptions("finder", device="cpu", threads=1, plan=plan, **({"epochs": 2} | more))


def test_the_card_tells_task_classes_outputs_and_what_was_tuned(detector_of_discs):
    card = load_bundle(detector_of_discs).card
    assert card.task == "detection"
    assert card.outputs == ("background", "object")
    assert card.classes == {1: "object"}
    assert card.split["diameter"] == 32.0
    assert 0.05 <= card.split["score_threshold"] <= 0.95
    assert 0.0 <= card.split["tuning_mask_ap50"] <= 1.0
    assert card.probe_output


def test_the_diary_shows_losses_and_average_precision(detector_of_discs):
    folder = detector_of_discs.with_name("finder.training")
    log = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    assert float(log[-1]["loss"]) < 0.85 * float(log[0]["loss"])
    assert [bool(row["mask_ap"]) for row in log] == [False, True, False, True]
    assert float(log[-1]["box_ap50"]) > 0.2
    assert (folder / "curves.png").stat().st_size > 1000


def test_a_trained_detector_finds_the_discs_of_an_image(detector_of_discs, touching_discs):
    model = load_model(str(detector_of_discs), device="cpu")
    found = finish(segment_steps(read(touching_discs / "images" / "c00.png"), model))
    assert len(found.instances.segments) >= 3
    assert all(0 <= s.score <= 1 for s in found.instances.segments)
    assert set(np.unique(found.labels.array)) == {0, 1}


def test_a_training_killed_and_resumed_ends_with_the_same_weights(touching_discs, tmp_path):
    chosen = options(touching_discs)
    whole = finish(train_steps(find_pairs(touching_discs), tmp_path / "whole", options=chosen))
    steps = train_steps(find_pairs(touching_discs), tmp_path / "cut", options=chosen)
    for step in steps:
        if step.phase.startswith("epoch 1"):
            break
    steps.close()
    resumed = replace(chosen, plan=None, resume=True)
    again = finish(train_steps(find_pairs(touching_discs), tmp_path / "cut", options=resumed))
    one, two = (load_bundle(folder).tensors for folder in (whole, again))
    assert all((one[name] == two[name]).all() for name in one)


def test_a_loss_that_is_no_number_stops_in_words_and_keeps_the_last_good_state(touching_discs, tmp_path, monkeypatch):
    from medseg.nets.maskrcnn.network import MaskRCNN

    sound, calls = MaskRCNN.losses, []

    def spoiled(self, images, truths, *, generator):
        calls.append(1)
        parts = sound(self, images, truths, generator=generator)
        return {name: part * (torch.nan if len(calls) == 4 else 1.0) for name, part in parts.items()}

    monkeypatch.setattr(MaskRCNN, "losses", spoiled)
    with pytest.raises(OutputError, match="not a number in epoch 2"):
        finish(train_steps(find_pairs(touching_discs), tmp_path / "m", options=options(touching_discs)))
    state = torch.load(tmp_path / "m.training" / "checkpoint.pt", weights_only=True)
    assert state["epoch"] == 1
    assert all(torch.isfinite(t).all() for t in state["network"].values() if t.is_floating_point())


def test_the_encoder_of_another_model_is_a_start(detector_of_discs, touching_discs, tmp_path):
    from medseg.detection.loop import begun
    from medseg.models.bundle import save_bundle
    from medseg.nets.build import build
    from medseg.nets.shape import Shape

    plan = tiny_plan(touching_discs)
    unet = build(
        plan.architecture.model_copy(
            update={
                "name": "dynunet",
                "options": {
                    "filters": [8, 12, 16, 24, 24],
                    "strides": [[1, 1], [2, 2], [2, 2], [2, 2], [2, 2]],
                    "kernels": [[3, 3]] * 5,
                    "norm": "batch",
                    "deep_supervision": 0,
                },
            }
        ),
        shape=Shape(2, 3, 6),
    )
    from medseg.learn.weights import as_tensors

    card = load_bundle(detector_of_discs).card.as_json() | {"name": "maps"}
    folder = save_bundle(tmp_path / "maps", card=card, tensors=as_tensors(unet))
    bundle = load_bundle(folder)
    own = begun(plan, bundle).encoder.state_dict()
    same = [name for name, t in bundle.tensors.items() if name in own and np.allclose(own[name].numpy(), t, atol=1e-6)]
    assert len(same) > 20


def test_a_model_of_which_nothing_fits_is_no_start(touching_discs, tmp_path):
    chosen = options(touching_discs, init="hippocampus")
    with pytest.raises(ModelError, match="--init"):
        finish(train_steps(find_pairs(touching_discs), tmp_path / "m", options=chosen))


def test_a_plan_for_another_task_is_refused(touching_discs, tmp_path):
    plan = finish(instance_plan_steps(find_pairs(touching_discs), name="x"))
    with pytest.raises(UsageError, match="a plan for instance"):
        finish(train_steps(find_pairs(touching_discs), tmp_path / "m", options=options(touching_discs, plan=plan)))
    assert not (tmp_path / "m.training").exists()


def test_the_plan_fits_anchors_to_the_size_of_objects(touching_discs):
    plan = finish(plan_steps(find_pairs(touching_discs), name="x"))
    assert plan.task == "detection"
    sizes = [size[0] for level in plan.architecture.options["anchor_sizes"] for size in level]
    assert min(sizes) < 16 < 64 < max(sizes)


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((64, 64), int),
        np.pad([[5]], 31),
        np.full((64, 64), 70_000),
        np.arange(64 * 64).reshape(64, 64) // 4 * 3,
    ],
    ids=["nothing", "one pixel", "larger than the patch", "a thousand"],
)
def test_odd_label_images_can_be_learned_from(labels, touching_discs):
    from medseg.detection.loop import new_network

    network = new_network(tiny_plan(touching_discs)).train()
    images = torch.zeros(1, 3, *labels.shape)
    truth = truth_of(torch.from_numpy(labels))
    parts = network.losses(images, [truth], generator=torch.Generator().manual_seed(0))
    total = sum(parts.values())
    total.backward()
    assert torch.isfinite(total)


def far_apart():
    labels = np.zeros((64, 64), np.int64)
    labels[4:20, 4:20], labels[30:50, 30:50] = 2**24, 2**24 + 1  # float32 holds them as one number
    return labels


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((64, 64), np.uint8),
        np.pad(np.array([[5]], np.uint8), 31),
        np.full((300, 280), 9, np.uint8),
        (np.arange(128 * 128) // 4).reshape(128, 128),
        far_apart(),
    ],
    ids=["nothing", "one pixel", "larger than the patch", "thousands", "numbers far apart"],
)
def test_odd_cases_pass_from_the_label_image_to_a_finite_loss(labels, touching_discs):
    from medseg.detection.loop import new_network
    from medseg.instance.augment import Drawing, draw_objects
    from medseg.instance.cases import make_case

    image = np.repeat((labels > 0)[None].astype(np.float32), 3, axis=0)
    case = make_case("odd", image, labels, (1.0, 1.0), "dark ground")
    assert len(case.classes) == len(case.objects) == case.labels.max() == len(set(np.unique(labels)) - {0})
    drawn, target = draw_objects(case, Drawing((64, 64)), seed=(0, 1))
    network = new_network(tiny_plan(touching_discs)).train()
    truth = truth_of(target[0], target[1])
    parts = network.losses(drawn[None], [truth], generator=torch.Generator().manual_seed(0))
    total = sum(parts.values())
    total.backward()
    assert torch.isfinite(total)


def test_the_classes_of_a_patch_are_those_of_its_objects():
    from medseg.instance.augment import Drawing, draw_objects
    from medseg.instance.cases import make_case

    labels = far_apart()
    image = np.repeat((labels > 0)[None].astype(np.float32), 3, axis=0)
    case = make_case("two", image, labels, (1.0, 1.0), "dark ground", {2**24: 2, 2**24 + 1: 1})
    seen = set()
    for number in range(6):
        _, target = draw_objects(case, Drawing((64, 64)), seed=(0, number))
        truth = truth_of(target[0], target[1])
        seen |= set(zip(truth.ids.tolist(), truth.classes.tolist(), strict=True))
    assert seen == {(1, 2), (2, 1)}


def test_slivers_stay_in_the_image_without_a_class():
    labels = torch.zeros(20, 20, dtype=torch.long)
    labels[0, :5], labels[5:12, 5:12] = 900, 7
    truth = truth_of(labels)
    assert truth.ids.tolist() == [7]
    assert (truth.labels == 900).any()


def test_the_command_line_trains_counts_and_says_where_it_does_not(touching_discs, detector_of_discs, tmp_path, capsys):
    plan = tmp_path / "plan.json"
    plan.write_text(tiny_plan(touching_discs, samples_per_epoch=2).model_dump_json())
    train = ["train", str(touching_discs), "--task", "detection", "--plan", str(plan), "--epochs", "1"]
    out = str(tmp_path / "cli")
    assert main([*train, "-o", out, "--device", "cpu", "--threads", "1"]) == 0
    assert json.loads((tmp_path / "cli" / "card.json").read_text())["task"] == "detection"
    assert "medseg count IMAGES" in capsys.readouterr().out
    assert main([*train, "-o", str(tmp_path / "x"), "--arch", "unet"]) == 2
    assert main(["train", str(touching_discs), "-o", str(tmp_path / "x"), "--epochs", "1", "--init", "nuclei"]) == 2
    image, model = str(touching_discs / "images" / "c00.png"), str(detector_of_discs)
    counted = ["count", image, "-o", str(tmp_path / "counts"), "-m", model, "--split", "maskrcnn", "--device", "cpu"]
    assert main(counted) == 0
    rows = list(csv.DictReader((tmp_path / "counts" / "c00_objects.csv").read_text().splitlines()))
    assert len(rows) >= 3
    assert main([*counted[:3], str(tmp_path / "none"), "-m", model, "--split", "watershed"]) == 2
    assert main([*counted[:3], str(tmp_path / "none"), "-m", "nuclei", "--split", "maskrcnn"]) == 2
    assert not (tmp_path / "none").exists() or not any((tmp_path / "none").glob("*.csv"))
    capsys.readouterr()


def test_count_picks_the_detector_of_nuclei(tmp_path, touching_discs, monkeypatch):
    asked = []

    def load(name, *, device, backend):
        asked.append(name)
        raise MedsegError("E_USAGE", found="x", expected="y", not_done="z", remedy="w")

    monkeypatch.setattr("medseg.pipeline.load_model", load)
    main(["count", str(touching_discs / "images"), "-o", str(tmp_path / "o"), "--split", "maskrcnn"])
    main(["count", str(touching_discs / "images"), "-o", str(tmp_path / "o")])
    assert asked == ["nuclei_maskrcnn", "nuclei"]
