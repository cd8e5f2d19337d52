"""The sheet: true sizes, every structure visible, words where they belong."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from medseg.errors import GeometryError, OutputError
from medseg.grid import Grid, image_grid
from medseg.labels import LabelMap
from medseg.report.colours import colour
from medseg.report.overlay import overlay, write_overlay
from medseg.report.panel import grey, smooth_labels, tinted
from medseg.report.window import display_window
from medseg.volume import Source, Volume


def _scan(grid: Grid, *, classes: dict[int, str] | None = None) -> tuple[Volume, LabelMap]:
    at = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in grid.shape), indexing="ij"), -1)
    radius = (at**2).sum(-1)
    image = (1000 * np.exp(-radius)).astype(np.float32)[None]
    labels = ((radius < 0.5).astype(np.uint8)) + (radius < 0.1)
    return Volume(image, grid), LabelMap(labels.astype(np.uint8), grid, classes or {1: "shell", 2: "core"})


def _holds(picture: Image.Image, ink: tuple[int, int, int]) -> bool:
    return bool((np.asarray(picture) == ink).all(axis=-1).any())


def test_an_oblique_anisotropic_scan_gets_a_sheet_with_the_colours_of_its_classes(oblique_grid):
    sheet = overlay(*_scan(oblique_grid))
    assert sheet.mode == "RGB"
    assert min(sheet.size) > 600
    assert _holds(sheet, colour(1))
    assert _holds(sheet, colour(2))
    assert not _holds(sheet, colour(3))


def test_the_sheet_is_the_same_every_time_and_for_every_way_to_store_the_scan(oblique_grid):
    volume, labels = _scan(oblique_grid)
    axes = oblique_grid.axes_to("SPL")
    grid = oblique_grid.mapped(axes)
    turned = (
        replace(volume, array=axes.apply(volume.array), grid=grid),
        replace(labels, array=axes.apply(labels.array), grid=grid),
    )
    first, again, other = overlay(volume, labels), overlay(volume, labels), overlay(*turned)
    assert first.tobytes() == again.tobytes()
    # below the line that tells how the file is stored
    below = (0, 70, *first.size)
    assert np.abs(np.asarray(first.crop(below), int) - np.asarray(other.crop(below), int)).max() <= 2


@pytest.mark.parametrize("unit", ["um", "px"])
def test_a_micrograph_is_shown_bare_and_outlined(unit):
    sheet = overlay(*_scan(image_grid((40, 60), (0.5, 0.5), unit)))
    assert _holds(sheet, colour(1))


def test_a_stack_of_micrographs_works(oblique_grid):
    assert _holds(overlay(*_scan(image_grid((12, 40, 30), (2.0, 0.5, 0.5), "um"))), colour(2))


def test_a_colour_picture_stays_in_colour():
    grid = image_grid((30, 30), (1.0, 1.0), "px")
    image = np.zeros((3, 30, 30), np.uint8)
    image[0] = 200
    volume = Volume(image, grid, ("red", "green", "blue"))
    sheet = overlay(volume, LabelMap(np.zeros((30, 30), np.uint8), grid))
    assert _holds(sheet, (200, 0, 0))


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_an_image_without_contrast_and_labels_without_structures_still_give_a_sheet(oblique_grid, fill):
    volume = Volume(np.full((1, *oblique_grid.shape), fill, np.float32), oblique_grid)
    labels = LabelMap(np.zeros(oblique_grid.shape, np.uint8), oblique_grid, {1: "liver"})
    assert not _holds(overlay(volume, labels), colour(1))


def test_more_classes_than_the_sheet_has_lines_do_not_break_it(oblique_grid):
    array = np.arange(oblique_grid.n_voxels).reshape(oblique_grid.shape) % 300
    volume = Volume(np.zeros((1, *oblique_grid.shape)), oblique_grid)
    names = {c: f"a rather long name of structure number {c} that needs an ellipsis" for c in range(1, 300)}
    assert overlay(volume, LabelMap(array, oblique_grid, names)).width < 6000


def test_labels_on_another_grid_are_refused(oblique_grid):
    volume, labels = _scan(oblique_grid)
    moved = replace(labels, grid=Grid(oblique_grid.shape, np.eye(4)))
    with pytest.raises(GeometryError, match="no overlay was drawn"):
        overlay(volume, moved)


def test_the_title_is_the_case_and_may_be_given(oblique_grid):
    volume, labels = _scan(oblique_grid)
    named = replace(volume, source=Source("folder/case_7.nii.gz", "nifti"))
    assert overlay(named, labels).tobytes() == overlay(volume, labels, title="case_7").tobytes()
    assert overlay(named, labels).tobytes() != overlay(volume, labels, title="case_8").tobytes()


def test_the_file_is_a_png_and_nothing_is_left_where_it_cannot_be_written(oblique_grid, tmp_path):
    volume, labels = _scan(oblique_grid)
    write_overlay(volume, labels, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.format == "PNG"
    with pytest.raises(OutputError):
        write_overlay(volume, labels, tmp_path / "missing" / "sheet.png")
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_an_outline_runs_along_the_border_of_the_voxels():
    labels = np.zeros((9, 9), np.uint8)
    labels[3:6, 3:6] = 1
    fine, present = smooth_labels(labels, (90, 90))
    assert present == [1]
    columns = np.flatnonzero(fine[45])
    # halfway between the centres of the last voxel inside and the first outside
    assert abs(columns[0] - 30) <= 1
    assert abs(columns[-1] - 59) <= 1


def test_neighbouring_classes_leave_no_gap_between_them():
    labels = np.zeros((8, 8), np.uint8)
    labels[:, 2:4], labels[:, 4:6] = 1, 2
    fine, _ = smooth_labels(labels, (160, 160))
    assert (fine[80, 41:119] > 0).all()
    assert abs(int(np.flatnonzero(fine[80] == 2)[0]) - 80) <= 1


@pytest.mark.parametrize("size", [(40, 40), (300, 300), (1200, 1200)])
def test_the_smallest_structure_stays_visible_at_any_size(size):
    labels = np.zeros((300, 300), np.uint8)
    labels[7, 250] = 4
    picture = tinted(grey(np.zeros((300, 300)), size, (0, 1)), labels)
    assert picture.any()


def test_a_ct_gets_the_soft_tissue_window_and_lungs_get_their_own():
    grid = Grid((20, 20, 20), np.eye(4))
    image = np.full((1, 20, 20, 20), -1000, np.int16)
    image[0, 5:15, 5:15] = 40
    image[0, 8:12, 8:12] = -850
    organ, lung = np.zeros((2, 20, 20, 20), np.uint8)
    organ[5:8, 5:15], lung[8:12, 8:12] = 1, 1
    soft = display_window(Volume(image, grid), LabelMap(organ, grid))
    assert (soft.low, soft.high) == (-160.0, 240.0)
    assert display_window(Volume(image, grid), LabelMap(lung, grid)).low <= -850


def test_colours_are_distinct_and_always_the_same():
    assert len({colour(c) for c in range(1, 60)}) == 59
    assert colour(200) == colour(200)
