"""The scripts that try the detector on lesions and beside the watershed do what they say, and so does their plan."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from detection.conftest import tiny_plan
from scipy import ndimage

from medseg.detection.loop import looker, new_network
from medseg.detection.plan import working_diameter
from medseg.detection.train import train_steps
from medseg.grid import Grid, image_grid
from medseg.io.dataset import find_pairs
from medseg.labels import Instances
from medseg.models.bundle import load_bundle
from medseg.prediction import ObjectMask
from medseg.progress import finish
from medseg.training.options import TrainOptions
from medseg.volume import Volume

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(WORKFLOWS))
    return importlib.import_module


def test_a_plan_may_say_to_which_size_objects_are_brought(touching_discs, tmp_path):
    plan = tiny_plan(touching_discs, samples_per_epoch=2, object_diameter=20.0)
    assert working_diameter(plan) == 20.0
    assert working_diameter(tiny_plan(touching_discs)) == 32.0
    assert max(looker(new_network(plan), plan, torch.device("cpu")).diameter) == pytest.approx(20.0)
    options = TrainOptions("small", device="cpu", threads=1, plan=plan, epochs=1)
    folder = finish(train_steps(find_pairs(touching_discs), tmp_path / "small", options=options))
    assert load_bundle(folder).card.split["diameter"] == 20.0


def test_a_stack_is_given_the_voxels_of_the_training_at_the_right_size(script):
    fingerprint = SimpleNamespace(spacing_low=(4.0, 2.0, 2.0), spacing_high=(4.0, 2.0, 2.0))
    card = SimpleNamespace(fingerprint=fingerprint, split={"diameter": 16.0})
    assert script("score_cells3d").trained_shape(card, 24.0) == (3.0, 1.5, 1.5)


def brain_with_a_lesion(script):
    """A ball of white matter with noise and one lesion, on an oblique grid."""
    paint = script("paint_lesions")
    where = np.indices((40, 44, 36)) - np.array([20, 22, 18]).reshape(3, 1, 1, 1)
    away = np.sqrt((where**2).sum(axis=0))
    values = np.where(away < 17, 100.0, 0.0)
    values[away < 17] += np.random.default_rng(0).normal(0, 3, int((away < 17).sum()))
    lesion = np.zeros(values.shape, bool)
    lesion[12:15, 20:23, 17:20] = True
    values[lesion] = 150.0
    turn, _ = np.linalg.qr(np.array([[1.0, 0.2, 0.0], [-0.2, 1.0, 0.1], [0.0, -0.1, 1.0]]))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn, (7.0, -3.0, 11.0)
    grid = Grid(values.shape, affine)
    return paint, paint.Brain(Volume(values[None].astype(np.float32), grid, ("FLAIR",)), lesion)


def test_painted_lesions_are_bright_apart_and_leave_the_rest_as_it_was(script):
    paint, brain = brain_with_a_lesion(script)
    outline = np.zeros(brain.lesions.shape, bool)
    for place in ((20, 14, 18), (26, 22, 18), (20, 30, 20), (13, 21, 18), (1, 1, 1)):  # the last two cannot be
        outline[tuple(slice(p - 1, p + 2) for p in place)] = True
    made = paint.painted(brain, [outline] * 3, seed=2)
    new = made.lesions & ~brain.lesions
    assert (made.lesions & brain.lesions).sum() == brain.lesions.sum()
    assert new.sum() >= 27
    assert not (new & ndimage.binary_dilation(brain.lesions, np.ones((3, 3, 3)), paint.GAP)).any()
    before, after = brain.image.numpy()[0], made.image.numpy()[0]
    inner = ndimage.binary_erosion(new, np.ones((3, 3, 3)))
    assert (after[inner] > before[inner] + 5).all()
    far = ~ndimage.binary_dilation(new, np.ones((3, 3, 3)), 4)
    assert np.array_equal(after[far], before[far])
    assert (after[before == 0] == 0).all()


def test_crumbs_are_neither_taught_nor_counted(script):
    paint, brain = brain_with_a_lesion(script)
    mask = brain.lesions.copy()
    mask[30, 20, 18:22] = True
    found = paint.numbered(mask, brain.image.grid)
    assert len(found.segments) == 1
    assert (found.array > 0).sum() == 27


def test_figures_of_lesions_count_what_was_seen_and_what_touches_none(script):
    lesions = script("lesions")
    truth = np.zeros((20, 20, 20), bool)
    truth[2:5, 2:5, 2:5] = truth[10:13, 10:13, 10:13] = True
    truth[18, 18, 18] = True  # a crumb: not counted, and no false alarm where it is found
    found = np.zeros(truth.shape, int)
    found[2:5, 2:5, 2:4], found[17:19, 17:19, 17:19], found[2:4, 14:18, 14:18] = 1, 2, 3
    row = lesions.figures(Instances(found, Grid(truth.shape, np.eye(4))), truth, Grid(truth.shape, np.eye(4)))
    assert (row["lesions"], row["seen"], row["found"], row["false"]) == (2, 1, 3, 1)
    assert row["detection_f1"] == pytest.approx(2 * (2 / 3) * 0.5 / (2 / 3 + 0.5), abs=1e-3)
    assert row["dice"] == pytest.approx(2 * 19 / (18 + 8 + 32 + 55), abs=1e-3)


def test_of_objects_that_overlap_the_better_one_lies_above(script):
    solid = np.ones((3, 3, 3), bool)
    masks = (ObjectMask(1, 1, 0.9, (0, 0, 0), solid), ObjectMask(2, 1, 0.6, (0, 0, 1), solid))
    grid = Grid((4, 4, 8), np.eye(4))
    both, best = (script("lesions").pasted(masks, grid, t) for t in (0.5, 0.7))
    assert sorted(np.bincount(both.array.ravel())[1:].tolist()) == [0, 27]  # what is left of the other is a crumb
    assert np.array_equal(best.array > 0, both.array > 0)
    two = script("lesions").average_precision(masks, both.array > 0, grid)
    assert two == pytest.approx(1.0)


def test_computed_cells_overlap_stretch_and_repeat_as_asked(script):
    cells = script("crossing_cells")
    volume, truth = cells.drawn(cells.KINDS["touching"], seed=3, size=160)
    again, _ = cells.drawn(cells.KINDS["touching"], seed=3, size=160)
    assert np.array_equal(volume.array, again.array)
    assert sorted(np.unique(truth.array).tolist()) == list(range(len(truth.segments) + 1))
    _, apart = cells.drawn(cells.KINDS["apart"], seed=3, size=160)
    _, long = cells.drawn(cells.KINDS["long, side by side"], seed=3, size=160)

    def touching(labels):
        return sum(((a != b) & (a > 0) & (b > 0)).sum() for a, b in ((labels[1:], labels[:-1]),))

    assert touching(apart.array) == 0 < touching(truth.array)
    lengths = [np.ptp(np.argwhere(long.array == s.id), axis=0).max() for s in long.segments]
    assert np.median(lengths) > 28


def test_right_wrong_and_missed_cells_are_told_apart(script):
    branches = script("two_branches")
    grid = image_grid((20, 20), (1.0, 1.0), "px")
    truth, found = np.zeros((20, 20), int), np.zeros((20, 20), int)
    truth[2:8, 2:8], truth[10:16, 10:16] = 1, 2
    found[2:8, 2:7], found[9:12, 9:12], found[0:1, 15:20] = 4, 5, 6
    assert branches.partners(found, truth) == {4}
    assert branches.missed(Instances(found, grid), Instances(truth, grid)) == [(0.65, 0.65)]
    image = Volume(truth[None].astype(np.float32), grid, ("cells",))
    shown = branches.Shown("a kind", image, Instances(truth, grid), [Instances(found, grid)] * 2)
    picture = np.asarray(branches.page([shown, shown]))
    for colour in (branches.MISSED, branches.INK):
        assert (picture == colour).all(axis=2).any()
