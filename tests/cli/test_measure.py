"""``medseg measure``."""

import csv

import pytest


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_holds_the_volume_in_ml(medseg, labelled, tmp_path):
    image, labels = labelled
    done = medseg("measure", labels, "--image", image, "-o", tmp_path / "t.csv")
    rows = rows_of(tmp_path / "t.csv")
    assert done.code == 0, done.err
    assert [row["class_id"] for row in rows] == ["1", "2"]
    assert float(rows[0]["volume_ml"]) == pytest.approx(8 * 8 * 6 * 2.5 / 1000, rel=1e-6)
    assert abs(float(rows[0]["intensity_mean"]) - 100) < 3
    assert "0.960" in done.out


def test_without_an_output_the_table_is_shown_only(medseg, labelled, tmp_path):
    before = set(tmp_path.rglob("*"))
    assert "volume ml" in medseg("measure", labelled[1]).out
    assert set(tmp_path.rglob("*")) == before


def test_an_image_on_another_grid_is_refused_and_no_table_is_written(medseg, labelled, dataset, tmp_path):
    from medseg.io.read import read
    from medseg.io.write import write
    from medseg.ops.reorient import cropped

    write(cropped(read(labelled[0]), (1, 0, 0), (24, 20, 12)), tmp_path / "moved.nii.gz")
    done = medseg("measure", labelled[1], "--image", tmp_path / "moved.nii.gz", "-o", tmp_path / "t.csv")
    assert done.code == 4
    assert "E_GEOMETRY_MISMATCH" in done.err
    assert not (tmp_path / "t.csv").exists()


def test_a_scan_is_never_overwritten_by_a_table(medseg, labelled):
    image, labels = labelled
    before = image.read_bytes()
    done = medseg("measure", labels, "-o", image)
    assert done.code == 2
    assert image.read_bytes() == before


def test_fractions_are_no_labels(medseg, labelled):
    done = medseg("measure", labelled[0])
    assert done.code == 4
    assert "E_LABELS_INVALID" in done.err


def test_numbered_objects_are_measured_with_what_the_table_beside_them_says(medseg, tmp_path):
    import numpy as np

    from medseg.grid import image_grid
    from medseg.io.write import write
    from medseg.labels import Instances, Segment

    rows, columns = np.indices((50, 60))
    array = np.where((rows - 20) ** 2 + (columns - 20) ** 2 <= 100, 70_000, 0).astype(np.uint32)
    array[25:45, 40:44] = 3
    path = tmp_path / "well_instances.tif"
    write(Instances(array, image_grid((50, 60), (0.5, 0.5), "um"), (Segment(3), Segment(70_000))), path)
    header = "object_id,class_id,name,score,flags\n"
    (tmp_path / "well_objects.csv").write_text(header + "70000,2,mitotic,0.5,likely_merged\n3,1,nucleus,0.9,\n")
    done = medseg("measure", path, "-o", tmp_path / "t.csv")
    assert done.code == 0, done.err
    bar, disc = rows_of(tmp_path / "t.csv")
    assert (bar["object_id"], disc["object_id"], disc["name"], disc["flags"]) == (
        "3",
        "70000",
        "mitotic",
        "likely_merged",
    )
    assert float(disc["perimeter_um"]) == pytest.approx(2 * np.pi * 5, rel=0.04)
    assert float(disc["circularity"]) > 0.92 > 0.75 > float(bar["circularity"])
    assert (disc["solidity"], bar["solidity"]) == ("1", "1")
    assert float(bar["eccentricity"]) > 0.95 > 0.2 > float(disc["eccentricity"])
    as_classes = medseg("measure", path, "--kind", "semantic")
    assert "class 70000" in as_classes.out
