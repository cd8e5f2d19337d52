"""``medseg split``: objects from masks, classes and saved maps."""

import csv

import numpy as np
import pandas as pd
import pytest

from medseg.grid import Grid, image_grid
from medseg.io.read import read_labels
from medseg.io.write import write
from medseg.io.zarr import write_maps
from medseg.labels import LabelMap
from medseg.volume import Volume


def balls(grid: Grid) -> np.ndarray:
    """Return two touching balls of class 1, one of class 2 that touches them, and one speck of class 1."""
    index = np.indices(grid.shape).reshape(3, -1).T
    world = grid.world(index) - grid.world(np.array(grid.shape) / 2 - 0.5)
    array = np.zeros(len(index), np.uint8)
    array[np.linalg.norm(world - [-10, 0, 0], axis=1) <= 6.2] = 1
    array[np.linalg.norm(world - [1, 0, 0], axis=1) <= 6.2] = 1
    array[np.linalg.norm(world - [10.5, 0, 0], axis=1) <= 4.0] = 2
    array[np.linalg.norm(world - [-10, 12, 0], axis=1) <= 1.8] = 1
    return array.reshape(grid.shape)


@pytest.fixture
def lesions(tmp_path):
    """Write a mask of lesions of two kinds on an oblique, anisotropic grid."""
    turn = np.deg2rad(12.0)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]) @ np.diag(
        [0.8, 1.0, 2.0]
    )
    affine[:3, 3] = (11.0, -30.0, 5.0)
    grid = Grid((60, 40, 12), affine)
    path = tmp_path / "in" / "scan_labels.nii.gz"
    path.parent.mkdir()
    write(LabelMap(balls(grid), grid), path)
    return path


def test_lesions_of_several_kinds_are_told_apart_in_millilitres(medseg, lesions, tmp_path):
    out = tmp_path / "out"
    done = medseg("split", lesions, "-o", out, "--min-size", "60")
    assert done.code == 0, done.err
    table = pd.read_csv(out / "scan_objects.csv")
    assert sorted(table["class_id"]) == [1, 1, 2]
    ball = 4 / 3 * np.pi * 6.2**3 / 1000
    assert table.loc[table["class_id"] == 1, "volume_ml"].to_numpy() == pytest.approx([ball] * 2, rel=0.12)
    assert "longest_axial_diameter_mm" in table
    found = read_labels(out / "scan_instances.nii.gz")
    assert found.grid.same_as(read_labels(lesions).grid)
    assert "3 objects in all" in done.out
    assert not (out / "scan_labels.nii.gz").exists()
    assert medseg("verify", out).code == 0


def test_components_leave_touching_ones_together(medseg, lesions, tmp_path):
    recipe = tmp_path / "again.yaml"
    done = medseg("split", lesions, "-o", tmp_path / "out", "--method", "components", "--save-recipe", recipe)
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "out" / "scan_objects.csv")
    assert len(table) == 3  # both balls as one, the speck, and the other class
    first = (tmp_path / "out" / "scan_instances.nii.gz").read_bytes()
    recipe.write_text(recipe.read_text() + "  overwrite: true\n")
    assert medseg("run", recipe).code == 0
    assert (tmp_path / "out" / "scan_instances.nii.gz").read_bytes() == first


def test_saved_maps_are_split_again_without_the_network(medseg, tmp_path):
    interior = np.zeros((20, 30), np.float32)
    interior[5:15, 3:12] = interior[5:15, 14:25] = 0.9
    boundary = np.zeros_like(interior)
    boundary[5:15, 12:14] = 0.9
    maps = Volume(np.stack([1 - interior - boundary, interior, boundary]), image_grid((20, 30), (0.5, 0.5), "um"))
    named = Volume(maps.array, maps.grid, ("background", "interior", "boundary"))
    write_maps(named, tmp_path / "cells_maps.ome.zarr")
    done = medseg("split", tmp_path / "cells_maps.ome.zarr", "-o", tmp_path / "out", "--decoder", "boundary")
    assert done.code == 0, done.err
    assert len(pd.read_csv(tmp_path / "out" / "cells_objects.csv")) == 2


def test_labels_as_fractions_and_empty_masks_and_pictures_that_are_none(medseg, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    grid = Grid((12, 12, 6), np.diag([1.0, 1.0, 2.0, 1.0]))
    near = np.zeros((1, 12, 12, 6), np.float32)
    near[0, 2:5, 2:5, 2:4] = 0.99999
    write(Volume(near, grid), folder / "near.nii.gz")
    write(Volume(np.zeros_like(near), grid), folder / "empty.nii.gz")
    write(Volume(near * 0.37, grid), folder / "image.nii.gz")
    done = medseg("split", folder, "-o", tmp_path / "out")
    assert done.code == 3
    with open(tmp_path / "out" / "summary.csv", newline="", encoding="utf-8") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert (rows["near"]["count"], rows["empty"]["count"]) == ("1", "0")
    assert "W_LABELS_ROUNDED" in rows["near"]["codes"]
    assert (rows["image"]["state"], rows["image"]["codes"]) == ("refused", "E_LABELS_INVALID")
    assert "Traceback" not in done.err


def test_two_label_images_of_one_case_do_not_share_a_result(medseg, lesions, tmp_path):
    write(read_labels(lesions), lesions.with_name("scan.nii.gz"))
    done = medseg("split", lesions.parent, "-o", tmp_path / "out")
    assert done.code == 2
    assert "E_OUTPUT_COLLISION" in done.err
