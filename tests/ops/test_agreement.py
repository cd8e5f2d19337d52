"""Two images on different grids are refused, and the sentence names what differs."""

import numpy as np
import pytest

from medseg.errors import GeometryError
from medseg.grid import Grid, image_grid
from medseg.ops.agreement import require_same_grid

BASE = np.diag([0.8, -1.5, 3.0, 1.0])


def _grid(shape=(4, 5, 6), *, scale=(1.0, 1.0, 1.0), shift=0.0, turn=0.0) -> Grid:
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine = rotation @ BASE @ np.diag([*scale, 1.0])
    affine[0, 3] += shift
    return Grid(shape, affine)


def _check(a: Grid, b: Grid) -> None:
    require_same_grid(a, b, what="labels and image", not_done="nothing was measured")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (_grid((4, 5, 7)), "shape 4x5x7 and 4x5x6"),
        (_grid(scale=(1.0, 1.1, 1.0)), "spacing (0.8, 1.65, 3) mm and (0.8, 1.5, 3) mm"),
        (_grid(shift=0.5), "origin (0.5, 0, 0) mm and (0, 0, 0) mm"),
        (_grid(turn=0.1), "direction RPS"),
        (image_grid((4, 5, 6), (1.0, 1.0, 1.0), "um"), "coordinates image in um and patient in mm"),
        (image_grid((4, 5), (1.0, 1.0), "um"), "coordinates image in um and patient in mm"),
    ],
)
def test_a_refusal_names_what_differs(other, words):
    with pytest.raises(GeometryError) as caught:
        _check(other, _grid())
    assert caught.value.code == "E_GEOMETRY_MISMATCH"
    assert words in str(caught.value)
    assert "nothing was measured" in str(caught.value)


def test_affines_rounded_to_32_bits_still_agree(oblique_grid):
    rounded = Grid(oblique_grid.shape, oblique_grid.world_from_index.astype(np.float32).astype(np.float64))
    _check(rounded, oblique_grid)


def test_a_shift_by_a_hundredth_of_a_voxel_is_refused():
    with pytest.raises(GeometryError):
        _check(_grid(shift=0.008), _grid())
