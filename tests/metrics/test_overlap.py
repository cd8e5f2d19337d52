"""Dice and its kin: defined where they mean something, equal to the peers', blind to orientation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import GeometryError
from medseg.grid import Grid, image_grid
from medseg.labels import LabelMap
from medseg.metrics.overlap import mean, mean_iou, overlap, pixel_accuracy


def _labels(grid: Grid, seed: int, *, high: int = 4) -> LabelMap:
    array = np.random.default_rng(seed).integers(0, high, grid.shape).astype(np.uint8)
    return LabelMap(array, grid, {1: "liver", 2: "spleen"})


def test_dice_and_iou_equal_monai(oblique_grid):
    import torch
    from monai.metrics import compute_dice, compute_iou

    a, b = _labels(oblique_grid, 1), _labels(oblique_grid, 2)
    ours = overlap(a, b)
    hot = [torch.from_numpy(np.stack([m.array == c for c in range(4)])[None].astype(np.float32)) for m in (a, b)]
    dice = compute_dice(*hot, include_background=False)[0].numpy()
    iou = compute_iou(*hot, include_background=False)[0].numpy()
    np.testing.assert_allclose([ours[c].dice for c in (1, 2, 3)], dice, atol=1e-6)
    np.testing.assert_allclose([ours[c].iou for c in (1, 2, 3)], iou, atol=1e-6)


def test_counts_are_those_of_a_voxel_by_voxel_comparison(oblique_grid):
    a, b = _labels(oblique_grid, 3), _labels(oblique_grid, 4)
    for c, score in overlap(a, b).items():
        assert score.prediction_voxels == sum(int(v) == c for v in a.array.flat)
        assert score.reference_voxels == sum(int(v) == c for v in b.array.flat)
        assert score.shared_voxels == sum(
            int(v) == int(w) == c for v, w in zip(a.array.flat, b.array.flat, strict=True)
        )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_overlap_is_symmetric_but_for_the_sign_of_the_volume_error(seed):
    grid = Grid((4, 5, 6), np.diag([-0.5, 1.5, 3.0, 1.0]))
    a, b = _labels(grid, seed), _labels(grid, seed + 1)
    for c, score in overlap(a, b).items():
        turned = overlap(b, a)[c]
        assert (score.dice, score.iou) == (turned.dice, turned.iou)
        assert score.volume_error_ml == pytest.approx(-turned.volume_error_ml)


def test_reorienting_both_maps_changes_no_score(oblique_grid):
    a, b = _labels(oblique_grid, 5), _labels(oblique_grid, 6)
    axes = oblique_grid.axes_to("SLP")
    turned = [replace(m, array=axes.apply(m.array), grid=m.grid.mapped(axes)) for m in (a, b)]
    ours, theirs = overlap(a, b), overlap(*turned)
    assert {c: (s.dice, s.shared_voxels) for c, s in ours.items()} == {
        c: (s.dice, s.shared_voxels) for c, s in theirs.items()
    }
    assert pixel_accuracy(a, b) == pixel_accuracy(*turned)


def test_maps_in_different_memory_order_still_pair_their_voxels(oblique_grid):
    a, b = _labels(oblique_grid, 7), _labels(oblique_grid, 8)
    fortran = replace(a, array=np.asfortranarray(a.array))
    assert overlap(fortran, b) == overlap(a, b)
    assert overlap(fortran, replace(b, array=np.asfortranarray(b.array))) == overlap(a, b)


def test_a_class_that_neither_map_holds_is_not_defined_and_not_counted():
    grid = Grid((2, 2, 2), np.eye(4))
    a = LabelMap(np.ones((2, 2, 2), np.uint8), grid, {1: "liver", 2: "spleen"})
    scores = overlap(a, a)
    assert scores[1].dice == 1.0
    assert scores[2].dice is None
    assert scores[2].iou is None
    assert scores[2].volume_error_percent is None
    assert "not defined" in scores[2].note
    assert mean_iou(scores) == mean([1.0])


def test_a_class_that_only_one_map_holds_scores_nought():
    grid = Grid((2, 2, 2), np.diag([1.0, 1.0, 2.0, 1.0]))
    full = LabelMap(np.full((2, 2, 2), 3, np.uint8), grid)
    empty = LabelMap(np.zeros((2, 2, 2), np.uint8), grid)
    invented, missed = overlap(full, empty)[3], overlap(empty, full)[3]
    assert (invented.dice, invented.iou, invented.volume_error_percent) == (0.0, 0.0, None)
    assert (missed.dice, missed.iou, missed.volume_error_percent) == (0.0, 0.0, -100.0)
    assert invented.volume_error_ml == pytest.approx(0.016)
    assert "reference does not hold" in invented.note
    assert "prediction does not hold" in missed.note


def test_pixel_accuracy_flatters_a_map_that_finds_nothing():
    grid = Grid((10, 10, 10), np.eye(4))
    lesion = np.zeros((10, 10, 10), np.uint8)
    lesion[0, 0, :5] = 1
    blind = LabelMap(np.zeros_like(lesion), grid)
    assert pixel_accuracy(blind, LabelMap(lesion, grid)) == 0.995
    assert overlap(blind, LabelMap(lesion, grid))[1].dice == 0.0


def test_large_and_sparse_class_numbers_are_counted_exactly():
    grid = Grid((1, 2, 3), np.eye(4))
    a = LabelMap(np.array([[[0, 2**40, 2**40], [7, 7, 70_000]]]), grid)
    b = LabelMap(np.array([[[0, 2**40, 0], [7, 70_000, 70_000]]]), grid)
    scores = overlap(a, b)
    assert list(scores) == [7, 70_000, 2**40]
    assert [s.shared_voxels for s in scores.values()] == [1, 1, 1]
    assert scores[2**40].dice == pytest.approx(2 / 3)


def test_a_micrograph_has_no_volume_error_in_ml():
    grid = image_grid((4, 5), (0.5, 0.5), "um")
    score = overlap(LabelMap(np.ones((4, 5), np.uint8), grid), LabelMap(np.ones((4, 5), np.uint8), grid))[1]
    assert score.volume_error_ml is None
    assert score.volume_error_percent == 0.0


@pytest.mark.parametrize("compare", [overlap, pixel_accuracy])
def test_maps_on_different_grids_are_refused(compare):
    a = LabelMap(np.zeros((2, 3, 4), np.uint8), Grid((2, 3, 4), np.eye(4)))
    moved = np.eye(4)
    moved[0, 3] = 5.0
    with pytest.raises(GeometryError, match="origin") as caught:
        compare(a, replace(a, grid=Grid((2, 3, 4), moved)))
    assert caught.value.code == "E_GEOMETRY_MISMATCH"


def test_means_leave_out_what_is_no_number_and_say_how_many_remain():
    assert mean([1.0, None, float("nan"), 0.0]).n == 2
    assert mean([None]).value is None
