import numpy as np
import pytest
from scipy import ndimage

from medseg.instance.distance import distances, squared_distances_steps, weights
from medseg.instance.frame import Frame
from medseg.progress import finish

SHAPES = [
    ((23, 31), (1.0, 1.0)),
    ((23, 31), (2.5, 0.7)),
    ((9, 20, 31), (1.0, 1.0, 1.0)),
    ((9, 20, 31), (2.5, 0.7, 0.9)),
]


@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
@pytest.mark.parametrize("share", [0.5, 0.95, 0.999])
def test_distances_equal_those_of_scipy(shape, spacing, share):
    mask = np.random.default_rng(3).random(shape) < share
    mask.flat[7] = False
    expected = ndimage.distance_transform_edt(mask, sampling=spacing)
    found = distances(mask, spacing)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-6)


def test_large_distances_take_the_other_search_and_are_as_exact():
    mask = np.ones((3, 150, 140), bool)
    mask[1, 10, 20] = mask[2, 140, 3] = False
    expected = ndimage.distance_transform_edt(mask, sampling=(3.0, 0.5, 0.8))
    np.testing.assert_allclose(distances(mask, (3.0, 0.5, 0.8)), expected, rtol=1e-6)


def test_touching_objects_are_outside_each_other():
    labels = np.random.default_rng(0).integers(0, 3, (12, 15)).repeat(4, 0).repeat(4, 1)
    found = distances(labels, (1.0, 2.0))
    for number in (1, 2):
        alone = ndimage.distance_transform_edt(labels == number, sampling=(1.0, 2.0))
        np.testing.assert_allclose(found[labels == number], alone[labels == number], rtol=1e-6)


def test_one_object_that_fills_the_image_ends_at_its_edge():
    assert distances(np.ones((3, 5), bool), (1.0, 1.0)).tolist() == [[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.3, 0.71, 0.9)])
def test_a_box_gives_the_very_distances_of_the_whole(spacing):
    mask = np.random.default_rng(1).random((20, 40, 50)) < 0.9
    mask[5] = mask[15] = False
    mask[:, 7] = mask[:, 33] = False
    whole = distances(mask, spacing)

    box = np.ascontiguousarray(mask[5:16, 7:34])
    frame = Frame.of(box.shape)
    padded, squared = frame.zeros(np.int32), frame.zeros(np.float32)
    frame.inner(padded)[...] = box
    unit = finish(squared_distances_steps(padded, squared, frame, weights(spacing, mask.shape)))
    inner = np.sqrt(frame.inner(squared) * np.float32(unit))
    assert np.array_equal(inner[1:-1, 1:-1], whole[6:15, 8:33])


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.3, 0.1), (2.5, 0.7, 0.9), (5.0, 0.0037, 0.0037)])
def test_weights_are_whole_numbers_in_the_ratio_of_the_squared_spacings(spacing):
    shape = (500,) * len(spacing)
    *whole, unit = weights(spacing, shape)
    assert all(w == round(w) for w in whole)
    assert sum(w * n * n for w, n in zip(whole[-len(shape) :], shape, strict=True)) < 2**53
    np.testing.assert_allclose([w * unit for w in whole[-len(shape) :]], [s * s for s in spacing], rtol=1e-6)
