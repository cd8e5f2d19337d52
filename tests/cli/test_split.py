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


@pytest.fixture
def cells(tmp_path):
    """Write a mask of two touching discs without a pixel size, and its picture with one."""
    from PIL import Image

    rows, columns = np.indices((60, 90))
    near = [((rows - 30) ** 2 + (columns - c) ** 2 <= 144) for c in (30, 51)]
    mask = (near[0] | near[1]).astype(np.uint8)
    light = np.where(columns < 41, 200, 90) * mask + 10
    for name in ("masks", "images"):
        (tmp_path / name).mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "well.png")
    grid = image_grid((60, 90), (0.5, 0.5), "um")
    write(Volume(light.astype(np.uint8)[None], grid), tmp_path / "images" / "well.tif")
    return tmp_path


@pytest.mark.parametrize("image", ["images", "images/well.tif"])
def test_an_image_adds_intensities_and_the_pixel_size_that_the_mask_lacks(medseg, cells, image):
    out = cells / "out"
    done = medseg("split", cells / "masks", "--image", cells / image, "-o", out)
    assert done.code == 0, done.err
    table = pd.read_csv(out / "well_objects.csv")
    assert len(table) == 2
    assert table["intensity_mean"].tolist() == pytest.approx([208, 102], abs=8)
    assert table["area_um2"].sum() == pytest.approx(0.25 * (read_labels(cells / "masks" / "well.png").array > 0).sum())
    assert "E_" not in done.err
    assert "W_SPACING_UNTRUSTED" not in done.err


def test_a_changed_image_is_measured_again_on_resume(medseg, cells):
    out, picture = cells / "out", cells / "images" / "well.tif"
    words = ("split", cells / "masks", "--image", cells / "images", "-o", out)
    assert medseg(*words).code == 0
    written = (out / "well.medseg.json").stat().st_mtime_ns
    assert medseg(*words, "--resume").code == 0
    assert (out / "well.medseg.json").stat().st_mtime_ns == written
    write(Volume(np.full((1, 60, 90), 7, np.uint8), image_grid((60, 90), (0.5, 0.5), "um")), picture)
    assert medseg(*words, "--resume").code == 0
    assert set(pd.read_csv(out / "well_objects.csv")["intensity_mean"]) == {7.0}


def test_an_image_that_is_missing_or_elsewhere_or_one_for_many_is_refused(medseg, cells):
    from PIL import Image

    (cells / "none").mkdir()
    write(Volume(np.zeros((1, 9, 9), np.uint8), image_grid((9, 9), (0.5, 0.5), "um")), cells / "other.tif")
    for image, code in (("none", "E_USAGE"), ("other.tif", "E_GEOMETRY_MISMATCH")):
        done = medseg("split", cells / "masks", "--image", cells / image, "-o", cells / image.replace(".", "_out"))
        assert done.code == 4
        assert code in done.out + done.err
    Image.fromarray(np.ones((9, 9), np.uint8)).save(cells / "masks" / "second.png")
    done = medseg("split", cells / "masks", "--image", cells / "images" / "well.tif", "-o", cells / "two")
    assert done.code == 2
    assert "one image for 2 label images" in done.err


def test_numbers_that_components_make_no_use_of_are_refused(medseg, lesions, tmp_path):
    done = medseg("split", lesions, "-o", tmp_path / "out", "--method", "components", "--min-depth", "0.4")
    assert done.code == 2
    assert "--min-depth" in done.err
    assert not (tmp_path / "out").exists()


def test_a_hundred_thousand_objects_and_one_giant_keep_their_numbers(medseg, tmp_path):
    import tifffile

    many = np.zeros((1000, 1600), np.uint8)
    for y in (0, 1):
        for x in (0, 1):
            many[y::4, x::4] = 1
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "many.tif", many)
    tifffile.imwrite(tmp_path / "in" / "giant.tif", np.ones((300, 400), np.uint8))
    done = medseg("split", tmp_path / "in", "-o", tmp_path / "out", "--method", "components")
    assert done.code == 0, done.err
    found = read_labels(tmp_path / "out" / "many_instances.tif").array
    assert found.dtype == np.uint32
    assert len(np.unique(found)) == 100_001
    table = pd.read_csv(tmp_path / "out" / "many_objects.csv")
    assert table["object_id"].tolist() == list(range(1, 100_001))
    assert set(table["area_px"]) == {4.0}
    assert set(table["solidity"]) == {1.0}
    giant = pd.read_csv(tmp_path / "out" / "giant_objects.csv")
    assert giant["area_px"].tolist() == [120_000.0]
    assert giant["touches_border"].all()


def test_labels_with_holes_that_are_no_number_are_refused(medseg, tmp_path):
    import tifffile

    holes = np.ones((20, 20), np.float32)
    holes[3, 3] = np.nan
    tifffile.imwrite(tmp_path / "holes.tif", holes)
    done = medseg("split", tmp_path / "holes.tif", "-o", tmp_path / "out")
    assert done.code == 4
    assert "1 values that are not numbers" in done.err
    assert "Traceback" not in done.err
