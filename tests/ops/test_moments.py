"""One pass over the labels finds what a look at each id finds."""

import numpy as np
import pytest

from medseg.ops.moments import intensities, moments


@pytest.fixture(params=["compiled", "not compiled"])
def _compiler(request, monkeypatch):
    if request.param == "not compiled":
        monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("shape", [(6, 7, 5), (9, 8), (1, 4, 1)])
@pytest.mark.parametrize("ids", [(0, 1, 2), (0, 5, 2**40), (3,)], ids=str)
def test_counts_boxes_and_centroids_are_those_of_each_id_alone(shape, ids):
    array = np.asfortranarray(np.array(ids)[np.random.default_rng(0).integers(0, len(ids), shape)])
    found = moments(array)
    assert found.ids.tolist() == sorted(set(array.ravel().tolist()) - {0})
    for row, number in enumerate(found.ids):
        index = np.argwhere(array == number)
        assert found.voxels[row] == len(index)
        assert found.start[row].tolist() == index.min(axis=0).tolist()
        assert found.stop[row].tolist() == (index.max(axis=0) + 1).tolist()
        np.testing.assert_allclose(found.centroid[row], index.mean(axis=0))


@pytest.mark.usefixtures("_compiler")
def test_intensities_keep_their_digits_on_a_large_offset_and_skip_what_is_no_number():
    random = np.random.default_rng(1)
    array = random.integers(0, 4, (8, 9, 7)).astype(np.int16)
    image = np.asfortranarray(1e7 + random.normal(0, 0.01, array.shape))
    image[array == 3] = np.nan
    image[0, 0, 0], array[0, 0, 0] = np.inf, 1
    found = intensities(array, image)
    for row in (0, 1):
        values = image[(array == row + 1) & np.isfinite(image)]
        expected = [values.mean(), values.std(), values.min(), values.max()]
        np.testing.assert_allclose(found[row], expected, rtol=1e-6)
    assert np.isnan(found[2]).all()


@pytest.mark.usefixtures("_compiler")
def test_an_image_of_background_has_no_rows():
    assert len(moments(np.zeros((3, 4), np.uint8)).ids) == 0
    assert intensities(np.zeros((3, 4), np.uint8), np.ones((3, 4))).shape == (0, 4)
