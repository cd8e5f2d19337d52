import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from medseg.errors import Notice
from medseg.io.read import read
from medseg.models.bundle import read_card, with_card
from medseg.models.card import Confidence, Reliability
from medseg.models.registry import find
from medseg.ops.reorient import reoriented
from medseg.ops.slab import Slab
from medseg.ops.spoil import spoiled
from medseg.pipeline import SegmentOptions, load_model, segment_steps
from medseg.progress import FinishEarly, finish
from medseg.semantic.trust import Trust

SAMPLE = Path(__file__).resolve().parents[2] / "medseg/samples/hippocampus_mean.nii.gz"
CURVE = Reliability(intercept=4.0, slope=-2.0, widening=1.0, limit=0.8, always_there=True)
KNOWN = Confidence(structures={1: CURVE, 2: CURVE}, share=0.9, n_cases=9, n_looks=99, ways=("noise",))


@pytest.fixture(scope="module")
def card():
    return read_card(find("hippocampus")).model_copy(update={"confidence": KNOWN})


@pytest.fixture
def telling(trained, tmp_path):
    """Return the small trained model, which tells what to expect."""
    return load_model(str(with_card(shutil.copytree(trained, tmp_path / "m"), confidence=KNOWN.model_dump())))


def maps(seed=0):
    noise = np.random.default_rng(seed).normal(size=(3, 12, 9, 7))
    return (20 * ndimage.gaussian_filter(noise, (0, 1.5, 1.5, 1.5))).astype(np.float32)


def after(card, *slabs, notices=()):
    trust = Trust(card)
    for slab in slabs:
        trust.take(slab)
    won = np.concatenate([slab.finished.argmax(axis=0).ravel() for slab in slabs])
    return trust.told(np.array([0, *sorted(card.classes)])[won], notices)


def same(a, b):
    assert [own.class_id for own in a] == [own.class_id for own in b]
    np.testing.assert_allclose([(own.dice, own.low) for own in a], [(own.dice, own.low) for own in b], rtol=1e-9)


@pytest.mark.parametrize("axis", [0, -1])
def test_slabs_say_what_the_whole_says(card, axis):
    whole = maps()
    n = whole.shape[1] if axis == 0 else whole.shape[-1]
    first, second = (whole[:, :5], whole[:, 5:]) if axis == 0 else (whole[..., :5], whole[..., 5:])
    # what follows in a slab is not finished and does not count
    longer = np.concatenate([first, np.full_like(first, 99.0)], axis=1 if axis == 0 else -1)
    slabs = Slab(longer, axis, 0, 5), Slab(np.ascontiguousarray(second), axis, 5, n - 5)
    same(after(card, *slabs)[0], after(card, Slab(whole, 0, 0, 12))[0])


def test_work_that_began_anew_counts_nothing_twice(card):
    whole = Slab(maps(), 0, 0, 12)
    same(after(card, Slab(maps(1), 0, 0, 12), whole)[0], after(card, whole)[0])


def test_nothing_is_said_of_a_part_or_by_a_card_that_does_not_tell(card):
    whole = Slab(maps(), 0, 0, 12)
    assert after(card, whole, notices=(Notice("W_PARTIAL", "stopped"),)) == ((), ())
    assert after(card.model_copy(update={"confidence": None}), whole) == ((), ())


def test_a_low_number_comes_with_a_warning(card):
    found, notices = after(card, Slab(maps() / 20, 0, 0, 12))
    assert min(own.dice for own in found) < 0.8
    assert [notice.code for notice in notices] == ["W_LOW_CONFIDENCE"]


def test_the_way_in_which_a_scan_is_stored_changes_no_number(telling, data_set):
    volume = read(data_set / "images/case_5.nii.gz")
    turned = reoriented(volume, "PIL")
    a, b = (finish(segment_steps(own, telling)).confidence for own in (volume, turned))
    assert len(a) == 2
    np.testing.assert_allclose([own.dice for own in a], [own.dice for own in b], rtol=1e-4)


def test_of_a_structure_that_lies_outside_of_the_box_nothing_is_said(telling, data_set):
    volume = read(data_set / "images/case_5.nii.gz")
    empty = ((0, 3), (0, 3), (0, 3))
    prediction = finish(segment_steps(volume, telling, SegmentOptions(roi=empty)))
    there = {class_id for class_id in (1, 2) if (prediction.labels.array == class_id).any()}
    assert there != {1, 2}
    assert {own.class_id for own in prediction.confidence} == there
    assert all(own.dice > 0 for own in prediction.confidence)


def test_a_run_that_was_stopped_says_no_number(telling, data_set):
    volume = read(data_set / "images/case_5.nii.gz")
    larger = replace(volume, array=np.tile(volume.numpy(), (1, 3, 3, 3)), grid=replace(volume.grid, shape=(60, 54, 42)))
    steps = segment_steps(larger, telling, SegmentOptions())
    for step in steps:
        if step.phase == "segmenting" and step.done:
            break
    steps.throw(FinishEarly())
    prediction = finish(steps)
    assert "W_PARTIAL" in [notice.code for notice in prediction.warnings]
    assert prediction.confidence == ()


@pytest.mark.parametrize(("way", "level"), [("noise", 3), ("blur", 3), ("thick slices", 3)])
def test_the_shipped_model_expects_less_of_a_spoiled_sample(way, level):
    volume = read(SAMPLE)
    worse = spoiled(volume.numpy().astype(np.float32), way, level, np.random.default_rng(0))
    model = load_model("hippocampus", device="cpu", backend="torch")
    good, bad = (finish(segment_steps(own, model)) for own in (volume, replace(volume, array=worse)))
    assert min(own.dice for own in good.confidence) > min(own.dice for own in bad.confidence) + 0.02
    assert "W_LOW_CONFIDENCE" not in [notice.code for notice in good.warnings]
