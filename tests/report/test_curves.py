"""The picture of a training shows every finite value and survives the others."""

import numpy as np
import pytest
from PIL import Image

from medseg.report.colours import colour
from medseg.report.curves import curves, write_curves


def _ink(rows: list[dict], number: int) -> int:
    return int((np.asarray(curves(rows)) == colour(number)).all(axis=-1).sum())


def test_a_longer_training_draws_a_longer_line():
    rows = [{"epoch": e, "loss": 1 / e, "dice": 1 - 1 / e} for e in range(1, 40)]
    assert _ink(rows, 1) > _ink([], 1)
    assert curves(rows).tobytes() == curves(rows).tobytes()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"epoch": 1.0}],
        [{"epoch": 1.0, "loss": 0.5}],
        [{"loss": float("nan"), "dice": float("inf")}, {"loss": 0.0, "dice": 0.0}],
        [{"epoch": 5.0, "loss": -3.0, "dice": 0.2}, {"epoch": 6.0, "dice": None}],
        [{"epoch": e, "loss": 1e9} for e in range(2000)],
    ],
    ids=["nothing", "no value", "one", "not finite", "negative", "many"],
)
def test_odd_rows_still_give_a_picture(rows):
    assert curves(rows).size == (1200, 840)


def test_a_value_that_is_missing_leaves_the_others_where_they_are():
    full = [{"epoch": e, "loss": 1.0 - e / 10} for e in range(9)]
    holed = [row if row["epoch"] != 4 else {"epoch": 4, "loss": float("nan")} for row in full]
    a, b = np.asarray(curves(full), int), np.asarray(curves(holed), int)
    changed = np.flatnonzero(np.abs(a - b).sum(axis=(0, 2)))
    between_its_neighbours = 2 / 8 * (1200 - 84 - 250)
    assert 0 < changed.max() - changed.min() < between_its_neighbours


def test_the_file_is_a_png(tmp_path):
    write_curves([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}], tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
