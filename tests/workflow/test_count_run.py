"""A run that counts writes objects, their table and sums, and says what concerns all images once."""

import csv
import json
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medseg.grid import image_grid
from medseg.io.options import ReadOptions
from medseg.io.read import read, read_labels
from medseg.io.write import write
from medseg.measure.positive import Positive
from medseg.progress import finish
from medseg.volume import Volume
from medseg.workflow.options import RunOptions
from medseg.workflow.record import load_record, record_path
from medseg.workflow.run import run_steps
from medseg.workflow.verify import verify

_spec = spec_from_file_location("disc_counter", Path(__file__).parent / "disc_counter.py")
toy = sys.modules["disc_counter"] = module_from_spec(_spec)
_spec.loader.exec_module(toy)

OPTIONS = RunOptions(model="threshold")


def counted(inputs, out: Path, options: RunOptions = OPTIONS, **choices):
    return finish(run_steps([inputs], out, options=options, segmenter=toy.DiscCounter(**choices)))


def rows(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "summary.csv", newline="", encoding="utf-8") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_touching_objects_are_counted_apart_and_each_has_a_row_in_micrometres(tmp_path):
    write(toy.discs(0.5), tmp_path / "in.tif")
    out = tmp_path / "out"
    summary = counted(tmp_path / "in.tif", out)
    assert summary.exit_code == 0
    assert {path.name for path in out.glob("in*")} == {
        "in_labels.tif", "in_structures.csv", "in_instances.tif", "in_objects.csv", "in_overlay.png", "in.medseg.json",
    }  # fmt: skip
    table = pd.read_csv(out / "in_objects.csv")
    objects = read_labels(out / "in_instances.tif")
    assert len(table) == len(toy.CENTRES) == int(objects.array.max())
    whole = table[table["neighbours_touching"] == 0].iloc[1:]
    assert whole["area_um2"].to_numpy() == pytest.approx(np.pi * 9**2 * 0.25, rel=0.03)
    assert whole["equivalent_diameter_um"].to_numpy() == pytest.approx(9.0, rel=0.03)
    assert (table["neighbours_touching"] == 1).sum() == 2
    assert table["touches_border"].sum() == 1
    assert {"score", "flags", "class_id", "centroid_y_um", "nearest_neighbour_um", "intensity_mean"} <= set(table)
    row = rows(out)["in"]
    assert row["count"] == "5"
    assert float(row["density_per_mm2"]) == pytest.approx(5 / (96 * 128 * 0.25e-6), rel=1e-5)
    assert float(row["mean_area_um2"]) == pytest.approx(table["area_um2"].mean(), rel=1e-5)
    assert verify(out).is_sound


def test_connected_parts_merge_what_touches(tmp_path):
    write(toy.discs(0.5), tmp_path / "in.tif")
    counted(tmp_path / "in.tif", tmp_path / "out", method="components")
    assert rows(tmp_path / "out")["in"]["count"] == "4"


def test_a_missing_pixel_size_is_told_once_for_the_run_and_not_for_every_image(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(toy.discs(None).array[0]).save(tmp_path / "in" / f"{name}.png")
    write(toy.discs(0.5), tmp_path / "in" / "d.tif")
    out = tmp_path / "out"
    summary = counted(tmp_path / "in", out)
    assert [row.state for row in summary.rows] == ["ok"] * 4
    assert [(notice.code, notice.text.split(" images")[0]) for notice in summary.warnings] == [
        ("W_SPACING_UNTRUSTED", "3 of 4")
    ]
    assert len(json.loads((out / "summary.json").read_text())["warnings"]) == 1
    found = rows(out)
    assert (found["a"]["density_per_mm2"], found["a"]["mean_area_um2"]) == ("", "")
    assert float(found["a"]["mean_area_px"]) == pytest.approx(4 * float(found["d"]["mean_area_um2"]), rel=1e-5)
    assert "area_px" in pd.read_csv(out / "a_objects.csv")
    assert [w["code"] for w in load_record(record_path(out, "a")).warnings] == ["W_SPACING_UNTRUSTED"]
    assert counted(tmp_path / "in", tmp_path / "strict", replace(OPTIONS, strict=True)).exit_code == 3
    given = replace(OPTIONS, read=ReadOptions(pixel_size=(0.5,)))
    assert counted(tmp_path / "in" / "a.png", tmp_path / "given", given).warnings == ()


def test_a_resumed_run_still_knows_the_counts(tmp_path):
    write(toy.discs(0.5), tmp_path / "in.tif")
    counted(tmp_path / "in.tif", tmp_path / "out")
    before = rows(tmp_path / "out")["in"]["count"]
    summary = counted(tmp_path / "in.tif", tmp_path / "out", replace(OPTIONS, resume=True))
    assert summary.rows[0].message == "complete from an earlier run"
    assert rows(tmp_path / "out")["in"]["count"] == before


@pytest.mark.parametrize("value", [0, 20])
def test_an_image_without_objects_counts_0_and_has_a_valid_table(tmp_path, value):
    grid = image_grid((40, 50), (0.5, 0.5), "um")
    write(Volume(np.full((1, 40, 50), value, np.uint8), grid), tmp_path / "empty.tif")
    out = tmp_path / "out"
    assert counted(tmp_path / "empty.tif", out).exit_code == 0
    table = pd.read_csv(out / "empty_objects.csv")
    assert len(table) == 0
    assert {"object_id", "area_um2", "flags", "intensity_mean"} <= set(table.columns)
    assert int(read_labels(out / "empty_instances.tif").array.max()) == 0
    row = rows(out)["empty"]
    assert (row["count"], row["density_per_mm2"], row["mean_area_um2"], row["flagged_share"]) == ("0", "0", "", "")


def test_one_giant_object_is_one_object(tmp_path):
    write(Volume(np.full((1, 60, 60), 200, np.uint8), image_grid((60, 60), (1.0, 1.0), "um")), tmp_path / "full.tif")
    counted(tmp_path / "full.tif", tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "full_objects.csv")["area_um2"].tolist() == [3600.0]


def test_more_objects_than_16_bits_hold_keep_their_numbers(tmp_path):
    image = np.zeros((1, 540, 540), np.uint8)
    image[0, ::2, ::2] = 200  # 72,900 single pixels
    write(Volume(image, image_grid((540, 540), (1.0, 1.0), "um")), tmp_path / "many.tif")
    out = tmp_path / "out"
    assert counted(tmp_path / "many.tif", out).exit_code == 0
    objects = read(out / "many_instances.tif").array
    assert objects.dtype == np.uint32
    assert len(np.unique(objects)) - 1 == 72_900 == len(pd.read_csv(out / "many_objects.csv"))


def test_positive_and_negative_cells_are_told_apart_in_a_second_channel(tmp_path):
    first = toy.discs(0.5)
    marker = np.full_like(first.array[0], 10)
    marker[50:, :] = 90  # the two lower discs
    volume = replace(first, array=np.stack([first.array[0], marker]), channels=("DAPI", "Ki67"))
    write(volume, tmp_path / "in.ome.tif")
    out = tmp_path / "out"
    summary = counted(tmp_path / "in.ome.tif", out, replace(OPTIONS, positive=Positive("Ki67")))
    assert summary.exit_code == 0, summary.rows
    table = pd.read_csv(out / "in_objects.csv")
    assert (table["positive"] == (table["centroid_y_um"] > 25)).all()
    row = rows(out)["in"]
    assert (row["positive"], row["negative"], row["positive_share"]) == ("2", "3", "0.4")
    given = replace(OPTIONS, positive=Positive("Ki67", threshold=200.0), overwrite=True)
    counted(tmp_path / "in.ome.tif", out, given)
    assert rows(out)["in"]["positive"] == "0"


def test_a_channel_that_is_not_there_is_refused_by_name(tmp_path):
    write(toy.discs(0.5), tmp_path / "in.tif")
    summary = counted(tmp_path / "in.tif", tmp_path / "out", replace(OPTIONS, positive=Positive("Ki67")))
    assert summary.exit_code == 4
    assert "Ki67" in summary.rows[0].message
    brown = counted(tmp_path / "in.tif", tmp_path / "out2", replace(OPTIONS, positive=Positive("dab")))
    assert "colour picture" in brown.rows[0].message


def test_brown_cells_of_a_stained_section_are_positive(tmp_path):
    rows_, columns = np.indices((96, 128))
    picture = np.full((96, 128, 3), 240, np.uint8)
    for number, (y, x) in enumerate(toy.CENTRES):
        brown = number in (0, 3)
        picture[(rows_ - y) ** 2 + (columns - x) ** 2 <= 49] = (120, 75, 35) if brown else (85, 80, 160)
    Image.fromarray(picture).save(tmp_path / "ihc.png")
    summary = counted(tmp_path / "ihc.png", tmp_path / "out", replace(OPTIONS, positive=Positive("DAB")))
    assert summary.exit_code == 0, summary.rows
    table = pd.read_csv(tmp_path / "out" / "ihc_objects.csv")
    at = {(round(y), round(x)): p for y, x, p in table[["centroid_y_px", "centroid_x_px", "positive"]].to_numpy()}
    assert at[20, 20]
    assert at[70, 90]
    assert sum(at.values()) == 2
