"""Surface distances in millimetres: equal to MONAI's and to a slow search, blind to order and orientation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import GeometryError
from medseg.grid import Grid, image_grid
from medseg.labels import LabelMap
from medseg.metrics.surface import all_surface_distances, surface_distances

ANISOTROPIC = Grid((14, 17, 9), np.diag([-0.7, 1.3, 3.1, 1.0]))


def _blob(grid: Grid, seed: int) -> LabelMap:
    """Return a lumpy asymmetric structure of class 1, and specks of class 2."""
    random = np.random.default_rng(seed)
    at = np.stack(np.meshgrid(*(np.arange(n) / n for n in grid.shape), indexing="ij"), -1)
    centre = 0.4 + 0.2 * random.random(grid.ndim)
    radius = (((at - centre) / (0.15 + 0.2 * random.random(grid.ndim))) ** 2).sum(-1)
    array = (radius + 0.3 * random.standard_normal(grid.shape) < 1).astype(np.uint8)
    array[random.random(grid.shape) < 0.01] = 2
    array.flat[3] = 2
    return LabelMap(array, grid)


def _slow(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Return the directed distances by comparing each surface voxel of `a` with each of `b`."""

    def surface(mask):
        padded = np.pad(mask, 1)
        points = []
        for index in np.argwhere(mask) + 1:
            steps = [s * np.eye(mask.ndim, dtype=int)[k] for k in range(mask.ndim) for s in (-1, 1)]
            if not all(padded[tuple(index + step)] for step in steps):
                points.append((index - 1) * np.array(spacing))
        return np.array(points)

    return np.array([np.sqrt(((p - surface(b)) ** 2).sum(1)).min() for p in surface(a)])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scores_equal_monai_on_anisotropic_phantoms(seed):
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    a, b = _blob(ANISOTROPIC, seed), _blob(ANISOTROPIC, seed + 10)
    hot = [torch.from_numpy(np.stack([m.array == c for c in range(3)])[None].astype(np.float32)) for m in (a, b)]
    spacing = list(ANISOTROPIC.spacing)
    hd95 = compute_hausdorff_distance(*hot, percentile=95, spacing=spacing)[0].numpy()
    hd = compute_hausdorff_distance(*hot, spacing=spacing)[0].numpy()
    assd = compute_average_surface_distance(*hot, symmetric=True, spacing=spacing)[0].numpy()
    nsd = compute_surface_dice(*hot, class_thresholds=[2.0, 2.0], spacing=spacing)[0].numpy()
    for n, c in enumerate((1, 2)):
        ours = surface_distances(a, b, c)
        assert ours.hd95_mm == pytest.approx(hd95[n], abs=1e-3)
        assert ours.hd_mm == pytest.approx(hd[n], abs=1e-3)
        assert ours.assd_mm == pytest.approx(assd[n], abs=1e-3)
        assert ours.nsd(2.0) == pytest.approx(nsd[n], abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(5, 6, 4), (6, 1, 3), (1, 1, 5), (2, 7, 2)]))
def test_distances_equal_a_slow_search(seed, shape):
    grid = Grid(shape, np.diag([0.8, -1.5, 3.0, 1.0]))
    random = np.random.default_rng(seed)
    a, b = (LabelMap((random.random(shape) < 0.4).astype(np.uint8), grid) for _ in range(2))
    a.array.flat[0] = b.array.flat[-1] = 1
    ours = surface_distances(a, b, 1)
    np.testing.assert_allclose(np.sort(ours.a_to_b_mm), np.sort(_slow(a.array == 1, b.array == 1, grid.spacing)))
    np.testing.assert_allclose(np.sort(ours.b_to_a_mm), np.sort(_slow(b.array == 1, a.array == 1, grid.spacing)))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_scores_do_not_depend_on_which_map_comes_first(seed):
    a, b = _blob(ANISOTROPIC, seed), _blob(ANISOTROPIC, seed + 1)
    one, other = surface_distances(a, b, 2), surface_distances(b, a, 2)
    assert (one.hd_mm, one.hd95_mm) == (other.hd_mm, other.hd95_mm)
    assert one.assd_mm == pytest.approx(other.assd_mm)
    assert one.nsd(1.0) == other.nsd(1.0)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL"])
def test_reorienting_both_maps_changes_no_distance(oblique_grid, codes):
    a, b = _blob(oblique_grid, 3), _blob(oblique_grid, 4)
    axes = oblique_grid.axes_to(codes)
    turned = [replace(m, array=axes.apply(m.array), grid=m.grid.mapped(axes)) for m in (a, b)]
    before, after = surface_distances(a, b, 1), surface_distances(*turned, 1)
    assert after.hd95_mm == pytest.approx(before.hd95_mm)
    assert after.assd_mm == pytest.approx(before.assd_mm)


def test_a_map_has_no_distance_to_itself():
    a = _blob(ANISOTROPIC, 5)
    scores = surface_distances(a, a, 1)
    assert (scores.hd_mm, scores.hd95_mm, scores.assd_mm, scores.nsd(0.0)) == (0.0, 0.0, 0.0, 1.0)


def test_a_shift_by_one_slice_costs_the_slice_distance():
    array = np.zeros((8, 8, 8), np.uint8)
    array[2:5, 2:5, 2:5] = 1
    grid = Grid((8, 8, 8), np.diag([1.0, 1.0, 4.0, 1.0]))
    scores = surface_distances(LabelMap(array, grid), LabelMap(np.roll(array, 1, axis=2), grid), 1)
    assert scores.hd_mm == 4.0
    assert scores.nsd(3.99) < 1.0
    assert scores.nsd(4.0) == 1.0


def test_a_lacking_class_has_no_distances_and_says_why():
    grid = Grid((3, 3, 3), np.eye(4))
    full, empty = (LabelMap(np.full((3, 3, 3), v, np.uint8), grid) for v in (1, 0))
    for pair, words in (((empty, empty), "neither"), ((full, empty), "only one"), ((empty, full), "only one")):
        scores = surface_distances(*pair, 1)
        assert (scores.hd_mm, scores.hd95_mm, scores.assd_mm, scores.nsd()) == (None, None, None, None)
        assert words in scores.note


def test_micrometres_become_millimetres_and_pixels_have_no_distance():
    shape = (4, 9)
    a, b = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    a[1, 1], b[1, 6] = 1, 1
    micro, pixels = (image_grid(shape, (2.0, 2.0), unit) for unit in ("um", "px"))
    assert surface_distances(LabelMap(a, micro), LabelMap(b, micro), 1).hd_mm == pytest.approx(0.010)
    scores = surface_distances(LabelMap(a, pixels), LabelMap(b, pixels), 1)
    assert scores.hd_mm is None
    assert "no physical pixel size" in scores.note


def test_huge_class_numbers_are_compared_like_small_ones():
    a, b = _blob(ANISOTROPIC, 6), _blob(ANISOTROPIC, 7)
    huge = [replace(m, array=np.where(m.array == 1, 2**40, 0)) for m in (a, b)]
    assert surface_distances(*huge, 2**40).assd_mm == surface_distances(a, b, 1).assd_mm


def test_several_classes_at_once_score_as_one_by_one():
    a, b = _blob(ANISOTROPIC, 8), _blob(ANISOTROPIC, 9)
    together = all_surface_distances(a, b, (1, 2, 5))
    assert [together[c].hd95_mm for c in (1, 2, 5)] == [surface_distances(a, b, c).hd95_mm for c in (1, 2, 5)]


def test_maps_on_different_grids_have_no_distance():
    a = _blob(ANISOTROPIC, 1)
    other = Grid(a.grid.shape, np.diag([-0.7, 1.3, 3.0, 1.0]))
    with pytest.raises(GeometryError, match="spacing"):
        surface_distances(a, replace(a, grid=other), 1)
