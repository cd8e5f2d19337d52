from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from medseg.errors import GeometryError
from medseg.grid import AxisMap, Grid, image_grid


def spoiled(**changes):
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    for (row, column), value in changes.pop("entries", {}).items():
        affine[row, column] = value
    return {"shape": (4, 5, 6), "world_from_index": affine} | changes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (spoiled(shape=(4, 0, 6)), "at least one voxel"),
        (spoiled(shape=(4, 5)), "2 axes with an affine of"),
        (spoiled(shape=(4, 5, 6, 7)), "4 axes with an affine of"),
        (spoiled(entries={(1, 1): 0.0}), "spacings above zero"),
        (spoiled(entries={(0, 0): 1e200}), "finite spacings"),
        (spoiled(entries={(2, 3): np.nan}), "finite numbers"),
        (spoiled(entries={(2, 3): np.inf}), "finite numbers"),
        (spoiled(entries={(3, 0): 0.1}), "last row"),
        (spoiled(entries={(3, 3): 2.0}), "last row"),
        (spoiled(entries={(0, 1): 0.5}), "right angles"),
        (spoiled(entries={(0, 1): 2.0, (1, 1): 0.0}), "right angles"),
        (spoiled(unit="um"), "in mm for a scan in patient space"),
    ],
)
def test_an_impossible_geometry_is_refused_in_words(arguments, message):
    with pytest.raises(GeometryError, match=message) as caught:
        Grid(**arguments)
    assert caught.value.code == "E_GEOMETRY_INVALID"


def test_a_flat_picture_has_no_place_in_a_patient():
    with pytest.raises(GeometryError, match="2 axes in mm"):
        Grid((4, 5), np.eye(3))


def test_a_shear_of_rounding_size_is_accepted():
    assert Grid(**spoiled(entries={(0, 1): 0.0015})).spacing[1] == pytest.approx(2.0)


def test_spacing_origin_and_codes_follow_from_the_affine(oblique_grid):
    assert oblique_grid.spacing == pytest.approx((0.8, 1.5, 3.0))
    assert oblique_grid.origin == (31.0, -17.5, 8.25)
    assert oblique_grid.axis_codes == ("L", "A", "S")
    np.testing.assert_allclose(oblique_grid.direction.T @ oblique_grid.direction, np.eye(3), atol=1e-12)
    assert oblique_grid.voxel_volume_ml == pytest.approx(0.0036)
    assert oblique_grid.corners().shape == (8, 3)


def test_a_grid_cannot_be_changed_and_keeps_its_own_affine():
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 0] = 9
    assert grid.spacing == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="read-only"):
        grid.world_from_index[0, 0] = 9
    with pytest.raises(FrozenInstanceError):
        grid.shape = (3, 3, 3)


def test_index_and_world_take_any_number_of_leading_axes(oblique_grid):
    points = np.random.default_rng(0).normal(size=(4, 2, 3))
    assert oblique_grid.world(points).shape == (4, 2, 3)
    np.testing.assert_allclose(oblique_grid.index(oblique_grid.world(points)), points, atol=1e-12)
    assert oblique_grid.index(oblique_grid.origin).shape == (3,)
    np.testing.assert_allclose(oblique_grid.world((0, 0, 0)), oblique_grid.origin)


def test_same_as_forgives_rounding_and_nothing_else(oblique_grid):
    def shifted(by, **changes):
        affine = oblique_grid.world_from_index.copy()
        affine[0, 3] += by
        return Grid(oblique_grid.shape, affine, **changes)

    assert oblique_grid.same_as(shifted(0.5e-5 * 0.8))
    assert not oblique_grid.same_as(shifted(2e-5 * 0.8))
    assert oblique_grid.same_as(shifted(0.1), tolerance=0.2)
    assert not oblique_grid.same_as(shifted(0.0, space="image"))
    assert not oblique_grid.same_as(shifted(0.0, space="image", unit="um"))
    assert not oblique_grid.same_as(oblique_grid.cropped((0, 0, 0), (11, 9, 6)))


def test_a_small_turn_counts_by_what_it_moves_at_the_far_corner():
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(2e-6), -np.sin(2e-6)], [np.sin(2e-6), np.cos(2e-6)]]
    for n, same in ((3, True), (400, False)):
        assert Grid((n, n, n), np.eye(4)).same_as(Grid((n, n, n), turn)) is same


def test_at_exactly_45_degrees_every_orientation_is_still_reached():
    c = np.sqrt(0.5)
    affine = np.eye(4)
    affine[:2, :2] = [[c, -c], [c, c]]
    grid = Grid((2, 3, 4), affine)
    for codes in ("RAS", "ARS", "SPL", "LSA"):
        assert "".join(grid.mapped(grid.axes_to(codes)).axis_codes) == codes


@pytest.mark.parametrize("codes", ["RA", "RAA", "XYZ", "ras", ""])
def test_an_unknown_orientation_is_refused(oblique_grid, codes):
    with pytest.raises(GeometryError, match="three of R/L, A/P, S/I"):
        oblique_grid.axes_to(codes)


@pytest.mark.parametrize("spacing", [(0, 1, 1), (-1, 1, 1), (np.nan, 1, 1), (np.inf, 1, 1)])
def test_an_impossible_wanted_spacing_is_refused(oblique_grid, spacing):
    with pytest.raises(GeometryError, match="wanted spacing"):
        oblique_grid.resampled(spacing)


@pytest.mark.parametrize("shape", [(0, 1, 1), (1, 1), (1, 1, 1, 1)])
def test_an_impossible_wanted_shape_is_refused(oblique_grid, shape):
    with pytest.raises(GeometryError, match="wanted shape"):
        oblique_grid.reshaped(shape)


def test_resampling_says_the_spacing_that_it_reached_and_moves_the_first_centre():
    grid = Grid((10, 10, 10), np.eye(4)).resampled((3.0, 0.5, 100.0))
    assert grid.shape == (3, 20, 1)
    assert grid.spacing == pytest.approx((10 / 3, 0.5, 10.0))
    assert grid.origin == pytest.approx((7 / 6, -0.25, 4.5))


def test_a_micrograph_names_its_axes_and_has_no_volume_in_two_dimensions():
    flat = image_grid((4, 5), (0.5, 0.25), "um")
    assert flat.axis_codes == ("y", "x")
    assert flat.voxel_size == pytest.approx(0.125)
    assert image_grid((3, 4, 5), (2.0, 0.5, 0.5), "um").voxel_volume_ml == pytest.approx(0.5e-12)
    assert "4x5, 0.5x0.25 um, yx, image" in repr(flat)
    for grid in (flat, image_grid((3, 4, 5), (1.0, 1.0, 1.0), "px")):
        with pytest.raises(GeometryError, match="to give a volume"):
            _ = grid.voxel_volume_ml


def test_an_axis_map_leaves_leading_axes_alone():
    array = np.arange(24).reshape(2, 3, 4)
    found = AxisMap((1, 0), (True, False)).apply(array)
    np.testing.assert_array_equal(found, array.transpose(0, 2, 1)[:, ::-1])
