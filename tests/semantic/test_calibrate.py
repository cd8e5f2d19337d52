"""A network that sees through a soft threshold: noise and blur spoil its outline, and widen its rim."""

from time import monotonic

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from medseg.confidence.expect import expected_dice
from medseg.io.dataset import find_pairs
from medseg.learn.cases import make_case
from medseg.models.bundle import read_card
from medseg.models.card import (
    Architecture,
    Fingerprint,
    InputSpec,
    ModelCard,
    Normalisation,
    Postprocessing,
    TrainingData,
)
from medseg.ops.intensity import normalised
from medseg.planning import Plan
from medseg.progress import FinishEarly, Progress, finish
from medseg.semantic.calibrate import Limits, calibrate_steps, classes_in_all
from medseg.semantic.train import train_steps
from medseg.training.options import TrainOptions

SPEC = InputSpec(
    channels=("0",),
    space="patient",
    orientation="RAS",
    spacing=(1.0, 1.5, 2.0),
    unit="mm",
    patch=(24, 20, 16),
    normalisation=Normalisation(scheme="zscore"),
)
CARD = ModelCard(
    name="soft",
    version="1.0.0",
    task="semantic",
    summary="",
    architecture=Architecture(name="threshold"),
    input=SPEC,
    classes={3: "ball"},
    outputs=("background", "ball"),
    weights_sha256="0" * 64,
    licence="",
    training_data=TrainingData(name="", licence="", attribution="", n_cases=0),
    fingerprint=Fingerprint(spacing_low=(), spacing_high=(), extent_low=(), extent_high=()),
)


FOREVER = Limits(1e9)


class SoftThreshold(nn.Module):
    def forward(self, image):
        return torch.cat([torch.zeros_like(image), 6 * (image - 0.8)], dim=1)


def cases(n=6):
    made = []
    for k in range(n):
        rng = np.random.default_rng(k)
        place = np.indices((24, 20, 16)).astype(float)
        middle, radius = np.array([11.5, 9.0, 8.0]) + rng.uniform(-1, 1, 3), np.array([8.0, 6.0, 5.0])
        inside = sum(((p - m) / r) ** 2 for p, m, r in zip(place, middle, radius, strict=True)) < 1
        image = ndimage.gaussian_filter(inside.astype(float), 0.6) + rng.normal(0, 0.05, inside.shape)
        made.append(
            make_case(f"c{k}", normalised(image[None], scheme="zscore"), np.where(inside, 3, 0).astype(np.uint8))
        )
    return made


def calibrated(own, limits=FOREVER):
    steps = calibrate_steps(SoftThreshold(), own, CARD, Postprocessing(), always_there={3}, limits=limits)
    return finish(steps)


@pytest.fixture(scope="module")
def found():
    return calibrated(cases())


def test_a_wider_rim_is_learned_to_mean_a_lower_dice(found):
    curve = found.structures[3]
    assert curve.always_there
    assert expected_dice(3.0, curve) < expected_dice(0.5, curve) - 0.1
    assert found.n_cases == 6
    assert found.n_looks == 6 * 25
    assert found.measured["rank"] > 0.5
    assert found.measured["auc"] > 0.8
    assert "blur" in found.ways


def test_the_same_cases_teach_the_same(found):
    assert calibrated(cases()) == found


def test_the_cases_are_not_changed():
    own = cases(5)
    before = [case.image.copy() for case in own]
    calibrated(own, Limits(1e9, 70))
    assert all(np.array_equal(case.image, old) for case, old in zip(own, before, strict=True))


def test_the_number_of_looks_is_bounded():
    steps = calibrate_steps(
        SoftThreshold(), cases(), CARD, Postprocessing(), always_there=(), limits=Limits(1e9, looks=100)
    )
    told = []
    finish(steps, told.append)
    assert [step.total for step in told] == [100] * 100


@pytest.mark.parametrize("limits", [Limits(0.0), Limits(1e9, 20)])
def test_with_too_little_time_nothing_is_learned(limits):
    assert calibrated(cases(), limits) is None


def test_from_too_few_cases_nothing_is_learned_and_no_time_is_spent():
    steps = calibrate_steps(SoftThreshold(), cases(3), CARD, Postprocessing(), always_there=(), limits=FOREVER)
    told = []
    assert finish(steps, told.append) is None
    assert told == []


def test_asked_to_finish_early_it_learns_from_what_it_saw(found):
    steps = calibrate_steps(SoftThreshold(), cases(), CARD, Postprocessing(), always_there={3}, limits=FOREVER)
    for step in steps:
        if step.done == 140:
            break
    with pytest.raises(StopIteration) as ended:
        steps.throw(FinishEarly())
    assert ended.value.value.n_looks == 140
    assert ended.value.value.structures[3].slope == pytest.approx(found.structures[3].slope, rel=0.3)


def test_a_class_is_always_there_only_if_every_case_has_it():
    own = cases(2)
    without = make_case("empty", own[0].image, np.zeros_like(own[0].labels))
    assert classes_in_all(own, (3, 4)) == [3]
    assert classes_in_all([*own, without], (3,)) == []


def test_a_training_asks_its_validation_cases_briefly_and_writes_the_answer_into_the_card(
    found, trained, data_set, tmp_path, monkeypatch
):
    asked = {}

    def noted(network, cases, plan, cleaning, **more):
        asked.update(more, names=[case.name for case in cases])
        yield Progress("learning how far results may be trusted", 1, 1)
        return found

    monkeypatch.setattr("medseg.semantic.train.calibrate_steps", noted)
    plan = Plan.model_validate_json((trained.with_name("balls.training") / "plan.json").read_text())
    options = TrainOptions("balls", epochs=1, device="cpu", threads=1, plan=plan)
    begun = monotonic()
    out = finish(train_steps(find_pairs(data_set), tmp_path / "m", options=options))
    assert asked["names"] == ["case_4"]
    assert asked["always_there"] == [1, 2]
    assert 0 < asked["limits"].seconds < 0.05 * (monotonic() - begun)
    assert read_card(out).confidence == found


def test_a_training_with_too_few_validation_cases_leaves_its_card_without(trained):
    assert read_card(trained).confidence is None


def test_a_look_that_fails_costs_neither_the_others_nor_the_model(found):
    class OftenFails(SoftThreshold):
        n_asked = 0

        def forward(self, image):
            self.n_asked += 1
            return super().forward(image) * (torch.nan if self.n_asked % 5 == 0 else 1.0)

    steps = calibrate_steps(OftenFails(), cases(), CARD, Postprocessing(), always_there={3}, limits=FOREVER)
    fewer = finish(steps)
    assert fewer.n_looks == found.n_looks * 4 // 5
    assert abs(fewer.structures[3].slope - found.structures[3].slope) < 1


def test_of_many_cases_most_looks_are_at_spoiled_ones():
    many = finish(
        calibrate_steps(SoftThreshold(), cases(40), CARD, Postprocessing(), always_there={3}, limits=Limits(1e9, 100))
    )
    assert many is not None
    assert many.n_looks == 100
    assert len(many.ways) == 6
