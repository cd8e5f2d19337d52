import numpy as np
import pytest

from medseg.errors import GeometryError
from medseg.grid import image_grid
from medseg.volume import Source, Volume, check_fits


class Lazy:
    """Answers what a lazy array answers; computed only when asked for."""

    def __init__(self, array):
        self._array, self.computed = array, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __array__(self, dtype=None, copy=None):
        self.computed += 1
        return self._array


def test_an_array_that_does_not_fill_the_grid_is_refused(oblique_grid):
    for shape in ((1, 11, 9, 8), (11, 9, 7), (1, 9, 11, 7)):
        with pytest.raises(GeometryError, match="read with") as caught:
            Volume(np.zeros(shape), oblique_grid)
        assert caught.value.code == "E_GEOMETRY_MISMATCH"
    check_fits([11, 9, 7], oblique_grid)


def test_channels_are_numbered_where_they_have_no_names(oblique_grid):
    assert Volume(np.zeros((3, 11, 9, 7)), oblique_grid).channels == ("0", "1", "2")
    assert Volume(np.zeros((1, 11, 9, 7)), oblique_grid, ("t1",)).channels == ("t1",)


def test_each_channel_has_one_name(oblique_grid):
    with pytest.raises(GeometryError, match="2 channels and 1 names"):
        Volume(np.zeros((2, 11, 9, 7)), oblique_grid, ("t1",))


def test_a_lazy_array_is_computed_only_when_it_is_asked_for():
    lazy = Lazy(np.ones((1, 4, 5), np.uint8))
    volume = Volume(lazy, image_grid((4, 5), (1.0, 1.0), "um"))
    repr(volume)
    assert lazy.computed == 0
    np.testing.assert_array_equal(volume.numpy(), np.ones((1, 4, 5)))
    assert lazy.computed == 1


def test_numpy_copies_nothing(oblique_grid):
    array = np.zeros((1, 11, 9, 7))
    assert Volume(array, oblique_grid).numpy() is array


def test_the_text_form_tells_channels_grid_and_type_but_no_values(oblique_grid):
    text = repr(Volume(np.zeros((2, 11, 9, 7), np.int16), oblique_grid, ("t1", "t2")))
    assert text == "Volume(2 x Grid(11x9x7, 0.8x1.5x3 mm, LAS, patient), int16, ['t1', 't2'])"


def test_two_sources_do_not_share_their_details():
    a, b = Source("a", "nifti"), Source("b", "nifti")
    a.details["form"] = 1
    assert b.details == {}
