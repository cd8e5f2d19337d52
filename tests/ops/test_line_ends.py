"""The ends of every line, whatever the memory order, with and without the compiler."""

import numpy as np
import pytest

from medseg.ops.line_ends import line_ends


@pytest.fixture(params=["compiled", "not compiled"])
def _compiler(request, monkeypatch):
    if request.param == "not compiled":
        monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")


def _slow(array: np.ndarray, number: int, axis: int) -> list[tuple[int, ...]]:
    lines: dict[tuple[int, ...], list[int]] = {}
    for index in np.argwhere(array == number).tolist():
        lines.setdefault((*index[:axis], *index[axis + 1 :]), []).append(index[axis])
    return sorted(
        (*line[:axis], at, *line[axis:]) for line, places in lines.items() for at in (min(places), max(places))
    )


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("shape", [(4, 5, 6), (7, 3), (1, 6, 1)])
@pytest.mark.parametrize(
    "stored",
    [
        np.ascontiguousarray,
        np.asfortranarray,
        lambda a: a[::-1, ..., ::-1],
        lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, 1)), 1, 0),
    ],
    ids=["rows", "columns", "flipped", "mixed"],
)
def test_the_ends_are_those_of_a_walk_along_each_line(shape, stored):
    array = stored(np.random.default_rng(3).integers(0, 3, shape).astype(np.uint16))
    for axis in range(len(shape)):
        for number in (1, 2):
            assert sorted(map(tuple, line_ends(array, number, axis).tolist())) == _slow(array, number, axis)


@pytest.mark.usefixtures("_compiler")
def test_an_absent_id_has_no_ends():
    assert line_ends(np.zeros((3, 4, 5), int), 7, 0).shape == (0, 3)
