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
