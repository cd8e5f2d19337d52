"""The scripts under workflows/ run."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from skimage.draw import disk

from medseg.grid import image_grid
from medseg.io.write import write
from medseg.labels import LabelMap

SCRIPTS = Path(__file__).resolve().parents[2] / "workflows"


def write_fibres(folder):
    grid = image_grid((60, 90), (1.0, 1.0), "px")
    tissue, axons = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint16)
    for number, centre in enumerate([(20, 20), (20, 37), (40, 70)], start=1):
        tissue[disk(centre, 12, shape=grid.shape)] = 2
        axons[disk(centre, 8, shape=grid.shape)] = number
    tissue[axons > 0] = 1
    for part, array in (("semantic", tissue), ("axon_instances", axons)):
        (folder / part).mkdir()
        write(LabelMap(array, grid), folder / part / f"fibres.{'png' if part == 'semantic' else 'tif'}")


def test_axons_and_myelin_become_one_panoptic_map(tmp_path, capsys):
    write_fibres(tmp_path)
    scores = runpy.run_path(str(SCRIPTS / "panoptic_axons.py"))["main"](tmp_path)
    assert scores[1].pq > 0.9
    assert scores[2].pq == pytest.approx(1.0)
    assert "myelin" in capsys.readouterr().out


@pytest.mark.data
@pytest.mark.slow
def test_the_axons_of_the_pack_are_parted_as_their_reference_says(data_pack):
    scores = runpy.run_path(str(SCRIPTS / "panoptic_axons.py"))["main"](data_pack("axon_sem"))
    assert scores[1].pq > 0.97
