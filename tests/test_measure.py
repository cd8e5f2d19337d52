"""The table of structures: right in millilitres and millimetres, wherever and however the scan is stored."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.errors import GeometryError
from medseg.grid import Grid, image_grid
from medseg.labels import Instances, LabelMap, Segment
from medseg.measure import measure, measure_steps
from medseg.measure.diameter import farthest_pair, longest_diameter, longest_slice_diameter
from medseg.progress import finish
from medseg.volume import Volume


def _brute(mask: np.ndarray, grid: Grid) -> float:
    points = grid.world(np.argwhere(mask))
    return float(np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1)).max())


def _brute_in_slices(mask: np.ndarray, grid: Grid, axis: int) -> float:
    index = np.argwhere(mask)
    points = grid.world(index)
    return max(
        float(np.sqrt(((p[:, None] - p[None]) ** 2).sum(-1)).max())
        for at in np.unique(index[:, axis])
        for p in [points[index[:, axis] == at]]
    )


def _ellipsoid(grid: Grid) -> np.ndarray:
    at = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in grid.shape), indexing="ij"), -1)
    return (((at - 0.1) / (0.8, 0.5, 0.7)) ** 2).sum(-1) < 1


# the fixture is a frozen value: sharing it between examples is safe
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100_000), st.sampled_from([0.02, 0.2, 0.7]))
def test_the_longest_diameter_is_that_of_a_search_through_all_pairs(oblique_grid, seed, share):
    mask = np.random.default_rng(seed).random(oblique_grid.shape) < share
    mask.flat[seed % mask.size] = True
    affine = oblique_grid.world_from_index
    assert longest_diameter(mask.astype(int) * 9, 9, affine) == pytest.approx(_brute(mask, oblique_grid), abs=1e-9)
    for axis in range(3):
        expected = _brute_in_slices(mask, oblique_grid, axis)
        assert longest_slice_diameter(mask, True, affine, axis) == pytest.approx(expected, abs=1e-9)


def _box(*spans: slice) -> np.ndarray:
    mask = np.zeros((40, 30, 20), bool)
    mask[spans] = True
    return mask


DIAGONAL = np.zeros((40, 30, 20), bool)
DIAGONAL[np.arange(20), np.arange(20), np.arange(20)] = True
SLANTED = np.add.outer(np.add.outer(np.arange(40), np.arange(30)), np.arange(20)) == 25


@pytest.mark.parametrize(
    "mask",
    [
        _box(slice(3, 4), slice(5, 6), slice(7, 8)),
        _box(slice(3, 39), slice(5, 6), slice(7, 8)),
        _box(slice(3, 39), slice(5, 28), slice(7, 8)),
        _box(slice(3, 39), slice(5, 28), slice(2, 18)),
        DIAGONAL,
        SLANTED,
    ],
    ids=["voxel", "line", "plane", "block", "diagonal line", "slanted plane"],
)
def test_degenerate_structures_have_an_exact_diameter_too(mask):
    grid = Grid(mask.shape, np.diag([-0.7, 1.3, 2.9, 1.0]))
    points = np.argwhere(mask)[:: max(1, int(mask.sum()) // 1500)] if mask.sum() > 4000 else np.argwhere(mask)
    corners = np.concatenate([points, np.argwhere(mask)[[0, -1]]])
    expected = float(np.sqrt(((grid.world(corners)[:, None] - grid.world(corners)[None]) ** 2).sum(-1)).max())
    assert longest_diameter(mask, True, grid.world_from_index) == pytest.approx(expected, abs=1e-9)


def test_the_hull_of_a_large_round_structure_keeps_the_farthest_pair():
    at = np.stack(np.meshgrid(*[np.arange(41)] * 3, indexing="ij"), -1) - 20
    shell = np.argwhere(np.abs((at**2).sum(-1) - 361) < 19)
    columns = np.diag([0.9, 1.1, 1.4])
    world = shell @ columns.T
    expected = max(float(np.sqrt(((world - p) ** 2).sum(1)).max()) for p in world)
    assert farthest_pair(shell, columns) == pytest.approx(expected, abs=1e-9)


def test_volume_and_centroid_follow_the_affine(oblique_grid):
    mask = _ellipsoid(oblique_grid)
    table = measure(LabelMap(mask.astype(np.uint8) * 3, oblique_grid, {3: "liver"}))
    row = table.iloc[0]
    assert (row["class_id"], row["name"], row["voxels"]) == (3, "liver", mask.sum())
    assert row["volume_ml"] == pytest.approx(mask.sum() * 0.8 * 1.5 * 3.0 / 1000)
    centre = oblique_grid.world(np.argwhere(mask)).mean(axis=0)
    np.testing.assert_allclose([row[f"centroid_{a}_mm"] for a in "xyz"], centre)
    assert row["longest_diameter_mm"] == pytest.approx(_brute(mask, oblique_grid))
    assert row["longest_axial_diameter_mm"] == pytest.approx(_brute_in_slices(mask, oblique_grid, 2))


def test_the_box_cuts_out_exactly_the_structure(oblique_grid):
    mask = _ellipsoid(oblique_grid)
    row = measure(LabelMap(mask.astype(np.uint8), oblique_grid)).iloc[0]
    box = tuple(slice(row[f"bbox_{a}_start"], row[f"bbox_{a}_stop"]) for a in "ijk")
    assert mask[box].sum() == mask.sum()
    assert all(mask[box].any(axis=tuple(x for x in range(3) if x != a))[[0, -1]].all() for a in range(3))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL"])
def test_storing_the_scan_another_way_changes_no_number_in_millimetres(oblique_grid, codes):
    labels = LabelMap(_ellipsoid(oblique_grid).astype(np.uint8), oblique_grid)
    axes = oblique_grid.axes_to(codes)
    turned = replace(labels, array=axes.apply(labels.array), grid=oblique_grid.mapped(axes))
    before, after = measure(labels), measure(turned)
    same = [c for c in before if not c.startswith("bbox_")]
    pd.testing.assert_frame_equal(before[same], after[same])


def test_intensities_are_those_of_numpy_and_leave_out_what_is_no_number(oblique_grid):
    random = np.random.default_rng(0)
    array = random.integers(0, 3, oblique_grid.shape).astype(np.uint8)
    image = random.normal(30_000, 2, (2, *oblique_grid.shape)).astype(np.float32)
    image[0, 0, 0, 0] = np.nan
    array[0, 0, 0] = 1
    table = measure(LabelMap(array, oblique_grid), Volume(image, oblique_grid, ("T1", "T2"))).set_index("class_id")
    for c in (1, 2):
        for n, name in enumerate(("T1", "T2")):
            values = image[n][array == c].astype(np.float64)
            values = values[np.isfinite(values)]
            row = [table.loc[c, f"intensity_{s}_{name}"] for s in ("mean", "std", "min", "max")]
            np.testing.assert_allclose(row, [values.mean(), values.std(), values.min(), values.max()], rtol=1e-9)


def test_a_single_channel_needs_no_name_in_its_columns(oblique_grid):
    image = Volume(np.full((1, *oblique_grid.shape), 7, np.int16), oblique_grid)
    row = measure(LabelMap(np.ones(oblique_grid.shape, np.uint8), oblique_grid), image).iloc[0]
    assert [row[f"intensity_{s}"] for s in ("mean", "std", "min", "max")] == [7.0, 0.0, 7.0, 7.0]


def test_an_image_on_another_grid_is_refused(oblique_grid):
    labels = LabelMap(np.ones(oblique_grid.shape, np.uint8), oblique_grid)
    image = Volume(np.zeros((1, *oblique_grid.shape)), Grid(oblique_grid.shape, np.eye(4)))
    with pytest.raises(GeometryError, match="intensities were not measured") as caught:
        measure(labels, image)
    assert caught.value.code == "E_GEOMETRY_MISMATCH"


def test_a_named_class_that_is_absent_has_an_empty_row(oblique_grid):
    labels = LabelMap(np.ones(oblique_grid.shape, np.uint8), oblique_grid, {0: "background", 1: "liver", 2: "spleen"})
    table = measure(labels)
    assert table["name"].tolist() == ["liver", "spleen"]
    row = table.iloc[1]
    assert row["voxels"] == 0
    assert row.drop(["class_id", "name", "voxels"]).isna().all()
    assert table["bbox_i_stop"].iloc[0] == oblique_grid.shape[0]
    assert "2,spleen,0,,,,,,," in table.to_csv(index=False)


def test_an_empty_label_map_still_names_its_classes(oblique_grid):
    table = measure(LabelMap(np.zeros(oblique_grid.shape, np.uint8), oblique_grid, {1: "liver"}))
    assert table[["name", "voxels"]].values.tolist() == [["liver", 0]]
    assert measure(LabelMap(np.zeros(oblique_grid.shape, np.uint8), oblique_grid)).empty


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("at", [0, -1])
def test_a_structure_at_any_edge_is_flagged(oblique_grid, axis, at):
    array = np.zeros(oblique_grid.shape, np.uint8)
    array[3:6, 3:6, 3:5] = 1
    assert not measure(LabelMap(array, oblique_grid)).loc[0, "touches_border"]
    index = [4, 4, 4]
    index[axis] = at
    array[tuple(index)] = 1
    assert measure(LabelMap(array, oblique_grid)).loc[0, "touches_border"]


def test_the_only_slice_of_an_image_is_no_edge():
    array = np.zeros((9, 9, 1), np.uint8)
    array[3:5, 3:5] = 1
    assert not measure(LabelMap(array, Grid((9, 9, 1), np.eye(4)))).loc[0, "touches_border"]


def test_axial_slices_are_found_in_a_sagittal_scan():
    grid = Grid((4, 20, 30), np.array([[0, 0, 2.0, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]]))
    array = np.zeros(grid.shape, np.uint8)
    array[1, 2:18, 5] = 1
    row = measure(LabelMap(array, grid)).iloc[0]
    assert row["longest_diameter_mm"] == 15.0
    assert row["longest_axial_diameter_mm"] == 0.0


def test_a_micrograph_is_measured_in_its_own_unit():
    array = np.zeros((6, 8), np.uint16)
    array[1:3, 2:6] = 5
    table = measure(LabelMap(array, image_grid((6, 8), (0.5, 0.25), "um")))
    row = table.iloc[0]
    assert row["area_um2"] == pytest.approx(1.0)
    assert (row["centroid_y_um"], row["centroid_x_um"]) == (0.75, 0.875)
    assert row["longest_diameter_um"] == pytest.approx(np.hypot(0.5, 0.75))
    assert not [c for c in table if c.endswith("_mm") or c == "volume_ml"]
    assert "area_px" in measure(LabelMap(array, image_grid((6, 8), (1.0, 1.0), "px")))
    stack = LabelMap(np.ones((2, 3, 4), np.uint8), image_grid((2, 3, 4), (2.0, 1.0, 1.0), "um"))
    assert measure(stack).loc[0, "volume_um3"] == 48.0


def test_objects_keep_their_number_class_score_and_flags():
    array = np.zeros((6, 8), np.int32)
    array[0:2, 0:2], array[4, 4], array[5, 7] = 9, 2, 3
    segments = (Segment(9, 1, 0.5, flags=("touches_border", "likely_merged")), Segment(2, 4, 0.9))
    table = measure(Instances(array, image_grid((6, 8), (1.0, 1.0), "um"), segments, {1: "nucleus"}))
    assert table["object_id"].tolist() == [2, 3, 9]
    assert table["class_id"].tolist() == [4, pd.NA, 1]
    assert table["name"].tolist()[::2] == ["class 4", "nucleus"]
    assert table["score"].tolist()[::2] == [0.9, 0.5]
    assert table["flags"].tolist() == ["", "", "touches_border;likely_merged"]
    assert table["area_um2"].tolist() == [1.0, 1.0, 4.0]


def test_large_and_sparse_ids_are_measured_like_small_ones(oblique_grid):
    small = np.random.default_rng(1).integers(0, 3, oblique_grid.shape)
    huge = np.array([0, 5, 2**40])[small]
    a, b = measure(LabelMap(small, oblique_grid)), measure(LabelMap(huge, oblique_grid))
    assert b["class_id"].tolist() == [5, 2**40]
    pd.testing.assert_frame_equal(a.iloc[:, 2:], b.iloc[:, 2:])


def test_the_shape_of_a_ball_and_of_a_bar_is_told_in_the_unit_of_the_stack():
    z, y, x = np.indices((30, 60, 80))
    grid = image_grid((30, 60, 80), (1.0, 0.5, 0.5), "um")
    array = np.where((z - 14) ** 2 + ((y - 25) / 2) ** 2 + ((x - 25) / 2) ** 2 <= 100, 1, 0).astype(np.uint8)
    array[10:14, 20:28, 48:78] = 2
    table = measure(Instances(array, grid, (Segment(1), Segment(2)))).set_index("object_id")
    assert table.loc[1, "surface_um2"] == pytest.approx(4 * np.pi * 100, rel=0.02)
    assert table.loc[1, "sphericity"] == pytest.approx(1, abs=0.02)
    assert table.loc[2, "sphericity"] < 0.85
    assert table["solidity"].tolist() == [1.0, 1.0]
    assert table.loc[1, "eccentricity"] < 0.1
    assert table.loc[2, "eccentricity"] > 0.9
    assert "perimeter_um" not in table


def test_columns_of_shape_are_empty_of_nothing_and_not_for_classes():
    grid = image_grid((6, 8), (1.0, 1.0), "px")
    none = measure(Instances(np.zeros((6, 8), np.uint8), grid))
    assert none.empty
    assert {"perimeter_px", "circularity", "solidity", "eccentricity"} <= set(none)
    assert "perimeter_px" not in measure(LabelMap(np.ones((6, 8), np.uint8), grid))


def test_a_dent_lowers_the_solidity_and_a_single_pixel_has_a_shape():
    array = np.zeros((12, 12), np.uint8)
    array[1:9, 1:9] = 1
    array[3:9, 4:6] = 0
    array[11, 11] = 2
    table = measure(Instances(array, image_grid((12, 12), (0.5, 0.5), "um"))).set_index("object_id")
    assert table.loc[1, "solidity"] == pytest.approx(52 / 64)
    assert table.loc[2, ["solidity", "circularity", "eccentricity"]].tolist() == [1.0, 1.0, 0.0]


def test_measuring_pauses_between_groups_of_columns_and_can_be_given_up(oblique_grid):
    array = np.zeros(oblique_grid.shape, np.uint8)
    array[1:3, 1:3, 1:3] = 5
    image = Volume(np.zeros((2, *oblique_grid.shape), np.float32), oblique_grid, ("a", "b"))
    objects = Instances(array, oblique_grid, (Segment(5),))
    told = []
    assert finish(measure_steps(objects, image), told.append).equals(measure(objects, image))
    assert [step.done for step in told] == list(range(8))
    assert {step.total for step in told} == {7}
    steps = measure_steps(objects, image)
    next(steps)
    steps.close()
