"""Boundaries, hulls and second moments against formulas, against scikit-image, and turned about."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import perimeter_crofton, regionprops_table
from skimage.morphology import convex_hull_image

from medseg.ops.hull import hull_voxels
from medseg.ops.moments import moments
from medseg.ops.shape import boundaries, covariances, crofton_weights, directions


def blobs(shape=(90, 110), seed=0):
    """Return crooked, partly touching objects with numbers that are not consecutive."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 3)
    labels = ndimage.label(field > np.percentile(field, 62))[0]
    halves = np.where(np.arange(shape[-1]) < shape[-1] // 2, 1, 2)
    return np.where(labels > 0, labels * 7 + halves, 0)


def ellipsoid(radii, spacing, *, turn=0.0, shift=0.3):
    """Return an ellipsoid about a point between voxel centres; `turn` in the plane of the last two axes."""
    reach = max(radii)
    axes = [(np.arange(-int(reach / s) - 3, int(reach / s) + 4) + shift) * s for s in spacing]
    places = list(np.meshgrid(*axes, indexing="ij"))
    a, b = places[-2], places[-1]
    places[-2], places[-1] = np.cos(turn) * a - np.sin(turn) * b, np.sin(turn) * a + np.cos(turn) * b
    return (sum((x / r) ** 2 for x, r in zip(places, radii, strict=True)) <= 1).astype(np.uint8)


def test_the_perimeter_is_scikit_images_crofton_on_square_pixels():
    labels = blobs()
    found = moments(labels)
    expected = [perimeter_crofton(labels == number, directions=4) for number in found.ids]
    np.testing.assert_allclose(boundaries(labels, found, (1.0, 1.0)), expected, rtol=1e-12)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 1.0), (0.25, 0.5)])
@pytest.mark.parametrize("turn", [0.0, 0.4, 1.1])
def test_the_perimeter_of_an_ellipse_depends_neither_on_its_turn_nor_on_the_grid(spacing, turn):
    a, b = 16.0, 10.0
    h = ((a - b) / (a + b)) ** 2
    ramanujan = np.pi * (a + b) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h)))
    mask = ellipsoid((a, b), spacing, turn=turn)
    assert boundaries(mask, moments(mask), spacing)[0] == pytest.approx(ramanujan, rel=0.04)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 1.0, 1.0), (3.0, 0.7, 1.3)])
def test_the_surface_of_a_ball_is_that_of_its_formula_on_any_grid(spacing):
    mask = ellipsoid((12.0, 12.0, 12.0), spacing)
    assert boundaries(mask, moments(mask), spacing)[0] == pytest.approx(4 * np.pi * 144, rel=0.015)


@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_the_surface_of_a_turned_ellipsoid_is_that_of_its_formula(turn):
    a, b, c = 14.0, 10.0, 7.0
    thomsen = 4 * np.pi * (((a * b) ** 1.6075 + (a * c) ** 1.6075 + (b * c) ** 1.6075) / 3) ** (1 / 1.6075)
    mask = ellipsoid((a, b, c), (2.0, 1.0, 1.0), turn=turn)
    assert boundaries(mask, moments(mask), (2.0, 1.0, 1.0))[0] == pytest.approx(thomsen, rel=0.035)


@pytest.mark.parametrize("shape", [(60, 70), (20, 30, 25)])
def test_storing_an_image_another_way_changes_nothing(shape):
    labels, spacing = blobs(shape, seed=2), (3.0, 1.0, 0.5)[-len(shape) :]
    turned = np.ascontiguousarray(np.moveaxis(labels, 0, -1)[::-1])
    for array in (turned, np.asfortranarray(turned)):
        before = boundaries(labels, moments(labels), spacing)
        np.testing.assert_allclose(boundaries(array, moments(array), (*spacing[1:], spacing[0])), before, rtol=1e-9)
        assert hull_voxels(array, moments(array)).tolist() == hull_voxels(labels, moments(labels)).tolist()
        a, b = (
            covariances(labels, moments(labels), spacing),
            covariances(array, moments(array), (*spacing[1:], spacing[0])),
        )
        np.testing.assert_allclose(np.linalg.eigvalsh(a), np.linalg.eigvalsh(b), atol=1e-7)


def test_weights_of_the_directions_add_up_to_a_mean_over_all_of_them():
    for spacing in ((1.0, 1.0), (3.0, 0.5), (1.0, 1.0, 1.0), (5.0, 1.0, 0.8)):
        steps = directions(len(spacing))
        lengths = np.linalg.norm(steps * np.array(spacing), axis=1)
        mean = (crofton_weights(steps, spacing) * lengths / np.prod(spacing)).sum()
        assert mean == pytest.approx(np.pi / 2 if len(spacing) == 2 else 2.0)
    assert (len(directions(2)), len(directions(3))) == (4, 13)


def test_the_hull_of_pixels_is_scikit_images_hull_of_their_centres():
    labels = blobs(seed=4)
    found = moments(labels)
    large = found.voxels > 5
    expected = [convex_hull_image(labels == i, offset_coordinates=False).sum() for i in found.ids[large]]
    assert hull_voxels(labels, found)[large].tolist() == expected


def test_the_hull_of_voxels_is_scikit_images_hull_of_their_centres():
    labels = blobs((14, 24, 20), seed=5)
    found = moments(labels)
    thick = ((found.stop - found.start).min(axis=1) > 2) & (found.voxels > 12)
    assert thick.sum() >= 3
    expected = [convex_hull_image(labels == i, offset_coordinates=False).sum() for i in found.ids[thick]]
    np.testing.assert_allclose(hull_voxels(labels, found)[thick], expected, rtol=0.01)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(0, 0, 0)], 1),
        ([(0, 0, 0), (2, 4, 6)], 3),
        ([(0, 0, 0), (1, 1, 0), (3, 3, 0)], 4),
        ([(0, 0, 0), (0, 2, 0), (0, 0, 2)], 6),
        ([(0, 0, 0), (1, 1, 1), (2, 0, 2), (1, 0, 1)], 4),
        ([(0, 0, 0), (2, 0, 0), (0, 2, 0), (0, 0, 2)], 10),
    ],
    ids=["a point", "a line", "a crooked line", "a flat corner", "an oblique plane", "a corner"],
)
def test_objects_without_thickness_have_a_hull_too(places, expected):
    array = np.zeros((5, 6, 7), np.uint8)
    array[tuple(np.array(places).T)] = 1
    assert hull_voxels(array, moments(array)).tolist() == [expected]


def test_what_has_no_dent_is_its_own_hull():
    for mask in (ellipsoid((11.0, 7.0), (1.0, 1.0), turn=0.3), ellipsoid((8.0, 6.0, 5.0), (2.0, 1.0, 1.0))):
        assert hull_voxels(mask, moments(mask))[0] == mask.sum()


def test_eccentric_objects_are_as_eccentric_as_scikit_image_says():
    labels = blobs(seed=6)
    axes = np.linalg.eigvalsh(covariances(labels, moments(labels), (1.0, 1.0)))
    large = axes[:, 1] > 0
    ours = np.sqrt(1 - np.clip(axes[large, 0], 0, None) / axes[large, 1])
    theirs = regionprops_table(labels, properties=("eccentricity",))["eccentricity"][large]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 50), (8, 16, 14)])
def test_without_the_compiler_the_numbers_are_the_same(shape, monkeypatch):
    labels, spacing = blobs(shape, seed=7), (2.0, 1.0, 0.7)[-len(shape) :]
    found = moments(labels)
    compiled = [f(labels, found, spacing) for f in (boundaries, covariances)]
    hulls = hull_voxels(labels, found)
    monkeypatch.setattr("medseg.ops.shape.kernels", lambda name: None)
    monkeypatch.setattr("medseg.ops.hull.kernels", lambda name: None)
    for function, expected in zip((boundaries, covariances), compiled, strict=True):
        np.testing.assert_allclose(function(labels, found, spacing), expected, rtol=1e-9, atol=1e-9)
    assert hull_voxels(labels, found).tolist() == hulls.tolist()


def test_nothing_has_no_shape():
    empty = np.zeros((5, 6), np.uint8)
    assert boundaries(empty, moments(empty), (1.0, 1.0)).shape == (0,)
    assert hull_voxels(empty, moments(empty)).shape == (0,)
