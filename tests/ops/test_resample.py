import numpy as np
import pytest
import SimpleITK as sitk

from medseg.errors import GeometryError
from medseg.grid import Grid, image_grid
from medseg.labels import LabelMap
from medseg.ops.resample import resampled, resampled_labels
from medseg.volume import Volume

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])


def phantom(grid, seed=0):
    """Return smooth structures without symmetry, as different from fill as any."""
    from scipy import ndimage

    noise = np.random.default_rng(seed).normal(size=grid.shape)
    return (ndimage.gaussian_filter(noise, 1.2) * 1000 + 300).astype(np.float32)


def itk_image(array, grid):
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(grid.spacing)
    image.SetOrigin((LPS_FROM_RAS @ grid.origin).tolist())
    image.SetDirection((LPS_FROM_RAS @ grid.direction).ravel().tolist())
    return image


def itk_resampled(array, grid, new, interpolator, fill):
    target = itk_image(np.zeros(new.shape, array.dtype), new)
    found = sitk.Resample(itk_image(array, grid), target, sitk.Transform(), interpolator, fill)
    return sitk.GetArrayFromImage(found).T


@pytest.fixture
def turned_grid(oblique_grid):
    """Return a finer grid, turned about another axis, that sticks out of the oblique grid."""
    turn = np.deg2rad(-25)
    rotation = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([0.7, -0.9, 1.3])
    middle = oblique_grid.world((np.array(oblique_grid.shape) - 1) / 2)
    affine[:3, 3] = middle - affine[:3, :3] @ (7.5, 9.0, 8.0)
    return Grid((16, 19, 17), affine)


@pytest.mark.parametrize("shape", [(22, 13, 7), (5, 9, 11), (11, 9, 7), (3, 2, 2)])
def test_linear_on_the_same_extent_agrees_with_simpleitk(oblique_grid, shape):
    array, new = phantom(oblique_grid), oblique_grid.reshaped(shape)
    found = resampled(Volume(array[None], oblique_grid), new, order=1)
    assert found.grid is new
    assert found.array.dtype == np.float32
    np.testing.assert_allclose(found.array[0], itk_resampled(array, oblique_grid, new, sitk.sitkLinear, 0), atol=0.01)


@pytest.mark.parametrize("order", [0, 1])
def test_any_other_grid_agrees_with_simpleitk(oblique_grid, turned_grid, order):
    array = phantom(oblique_grid)
    how = sitk.sitkLinear if order else sitk.sitkNearestNeighbor
    wanted = itk_resampled(array, oblique_grid, turned_grid, how, -5)
    found = resampled(Volume(array[None], oblique_grid), turned_grid, order=order, fill=-5).array[0]
    assert 0.2 < (wanted == -5).mean() < 0.8
    agree = np.isclose(found, wanted, atol=0.01)
    assert agree.mean() > 0.999  # points on a face or halfway between two voxels may fall to either side


def test_any_other_grid_agrees_with_simpleitk_for_cubic_splines_away_from_the_border(oblique_grid):
    fine = oblique_grid.reshaped((33, 27, 21))
    array = phantom(fine)
    affine = fine.world_from_index.copy()
    affine[:3, 3] = fine.world((9.3, 8.7, 7.6))
    inner = Grid((12, 9, 6), affine)
    wanted = itk_resampled(array, fine, inner, sitk.sitkBSpline, 0)
    found = resampled(Volume(array[None], fine), inner, order=3).array[0]
    np.testing.assert_allclose(found, wanted, atol=0.05)


def test_outside_is_the_lowest_value_where_no_fill_is_given(oblique_grid, turned_grid):
    array = phantom(oblique_grid)
    found = resampled(Volume(array[None], oblique_grid), turned_grid, order=1).array[0]
    assert found[0, 0, 0] == array.min()


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("shape", [(40, 30, 20), (4, 5, 3), (11, 20, 2)])
def test_linear_intensities_keep_their_place_in_the_world_within_half_a_voxel(oblique_grid, order, shape):
    """The intensity is the world position itself, so a landmark that moved would show."""
    grid = oblique_grid.reshaped((22, 18, 14))
    world = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    new = grid.reshaped(shape)
    found = resampled(Volume(world, grid), new, order=order).array
    wanted = np.moveaxis(new.world(np.moveaxis(np.indices(shape), 0, -1)), -1, 0)
    assert np.abs(found - wanted).max() <= 0.5 * max(grid.spacing) + 1e-3
    inner = np.all([(x > 3) & (x < n - 4) for x, n in zip(np.moveaxis(
        grid.index(np.moveaxis(wanted, 0, -1)), -1, 0), grid.shape, strict=True)], axis=0)  # fmt: skip
    if order == 1:
        np.testing.assert_allclose(found[:, inner], wanted[:, inner], atol=1e-3)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_constant_stays_constant_on_any_grid_of_the_same_extent(oblique_grid, order):
    volume = Volume(np.full((2, *oblique_grid.shape), 7, np.int16), oblique_grid)
    for shape in [(30, 2, 9), (1, 1, 1), (12, 9, 8)]:
        np.testing.assert_allclose(resampled(volume, oblique_grid.reshaped(shape), order=order).array, 7, rtol=1e-6)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_there_and_back_by_a_whole_factor_changes_smooth_images_little(oblique_grid, order):
    grid = oblique_grid.reshaped((24, 18, 12))
    volume = Volume(phantom(grid)[None], grid)
    finer = resampled(volume, grid.reshaped((72, 54, 36)), order=order)
    back = resampled(finer, grid, order=order)
    assert back.grid.same_as(grid)
    np.testing.assert_allclose(back.array, volume.array, atol={0: 0, 1: 40, 3: 3}[order])


def test_values_stay_within_the_range_of_the_channel(oblique_grid):
    step = np.zeros((1, *oblique_grid.shape), np.float32)
    step[:, 5:] = 1000
    found = resampled(Volume(step, oblique_grid), oblique_grid.reshaped((35, 9, 7)), order=3).array
    assert (found.min(), found.max()) == (0, 1000)


def test_labels_of_any_size_are_kept_exactly_on_every_grid(oblique_grid, turned_grid):
    large = 2**60 + 1
    array = np.full(oblique_grid.shape, large)
    array[3, 4, 5] = 2**53 + 1
    labels = LabelMap(array, oblique_grid, {1: "liver"})
    for grid in (oblique_grid.reshaped((22, 18, 14)), turned_grid):
        found = resampled_labels(labels, grid)
        assert found.classes == {1: "liver"}
        assert found.array.dtype == array.dtype
        assert set(np.unique(found.array)) <= {0, large, 2**53 + 1}
        assert large in found.array


def test_nearest_labels_agree_with_simpleitk_on_a_turned_grid(oblique_grid, turned_grid):
    array = (phantom(oblique_grid) > 300).astype(np.int16) + 1
    wanted = itk_resampled(array, oblique_grid, turned_grid, sitk.sitkNearestNeighbor, 0)
    found = resampled_labels(LabelMap(array, oblique_grid), turned_grid).array
    assert (found == wanted).mean() > 0.999


def test_on_its_own_grid_an_image_stays_what_it_is(oblique_grid):
    array = phantom(oblique_grid)[None]
    for order in (0, 1, 3):
        np.testing.assert_array_equal(resampled(Volume(array, oblique_grid), oblique_grid, order=order).array, array)


def test_pictures_in_2d_are_resampled_too():
    grid = image_grid((6, 8), (0.5, 0.25), "um")
    picture = Volume(np.arange(48, dtype=np.uint8).reshape(1, 6, 8), grid)
    half = resampled(picture, grid.resampled((1.0, 0.5)), order=1)
    np.testing.assert_allclose(half.array[0], picture.array[0].reshape(3, 2, 4, 2).mean(axis=(1, 3)))
    shifted = resampled(picture, grid.cropped((1, 2), (3, 3)), order=1)
    np.testing.assert_allclose(shifted.array[0], picture.array[0, 1:4, 2:5])
    np.testing.assert_array_equal(
        resampled(picture, grid.reshaped((12, 16)), order=0).array[0, ::2, ::2], picture.array[0]
    )


def test_grids_of_different_spaces_are_refused(oblique_grid):
    volume = Volume(np.zeros((1, *oblique_grid.shape)), oblique_grid)
    with pytest.raises(GeometryError, match="same space, unit and number of axes"):
        resampled(volume, image_grid(oblique_grid.shape, (1.0, 1.0, 1.0), "mm"), order=1)
    with pytest.raises(GeometryError, match="not resampled"):
        resampled_labels(LabelMap(np.zeros(oblique_grid.shape, int), oblique_grid), image_grid((2, 2), (1, 1), "px"))
