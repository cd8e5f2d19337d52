"""A run isolates its cases, tells what became of each, and writes the same bytes for the same inputs."""

import hashlib
import json
import logging
import os
import re
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from medseg.errors import ModelError, UsageError
from medseg.grid import Grid
from medseg.io.options import ReadOptions
from medseg.io.read import read, read_labels
from medseg.io.write import write
from medseg.labels import LabelMap
from medseg.prediction import Prediction
from medseg.progress import finish
from medseg.workflow.options import RunOptions
from medseg.workflow.run import CASES, run_steps

_spec = spec_from_file_location("mean_segmenter", Path(__file__).parent / "mean_segmenter.py")
mean = sys.modules["mean_segmenter"] = module_from_spec(_spec)
_spec.loader.exec_module(mean)

OPTIONS = RunOptions(model="mean")


def scans(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write(mean.scan(mean.grid(), seed), root / name)
    return root


def run(inputs, out: Path, options: RunOptions = OPTIONS, segmenter=None, show=None):
    given = inputs if isinstance(inputs, list) else [inputs]
    return finish(run_steps(given, out, options=options, segmenter=segmenter or mean.MeanSegmenter()), show)


def report(out: Path) -> dict[str, dict]:
    return {row["input"]: row for row in map(json.loads, (out / "report.jsonl").read_text().splitlines())}


def contents(out: Path) -> dict[str, bytes]:
    """Return every result file but records and summaries, which hold times."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    kept = [path for path in files if path.suffix not in (".json", ".jsonl") and path.name != "summary.csv"]
    kept += [path for path in files if ".ome.zarr" in str(path) and path not in kept]
    return {str(path.relative_to(out)): path.read_bytes() for path in kept}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_labels_keep_the_format_and_the_grid_of_the_input(tmp_path, oblique_grid, suffix):
    (tmp_path / "in").mkdir()
    write(mean.scan(oblique_grid), tmp_path / "in" / f"scan{suffix}")
    summary = run(tmp_path / "in", tmp_path / "out")
    assert summary.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [
            f"scan_labels{suffix}",
            "scan_structures.csv",
            "scan_overlay.png",
            "scan.medseg.json",
            "summary.csv",
            "summary.json",
            "report.html",
            "report.jsonl",
        ]
    )
    labels = read_labels(tmp_path / "out" / f"scan_labels{suffix}")
    assert labels.grid.same_as(read(tmp_path / "in" / f"scan{suffix}").grid)
    assert set(np.unique(labels.array)) == {0, 1, 2}


def test_a_picture_gives_a_tiff(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray((np.arange(48, dtype=np.uint8) * 5).reshape(6, 8)).save(tmp_path / "in" / "cells.png")
    summary = run(tmp_path / "in", tmp_path / "out", replace(OPTIONS, read=ReadOptions(pixel_size=(0.5,))))
    assert summary.rows[0].outputs[0] == "cells_labels.tif"
    assert read_labels(tmp_path / "out" / "cells_labels.tif").grid.spacing == pytest.approx((0.5, 0.5))


def test_a_format_that_was_asked_for_is_used(tmp_path):
    scans(tmp_path / "in", "a.nii.gz")
    assert run(tmp_path / "in", tmp_path / "out", replace(OPTIONS, format="nrrd")).rows[0].outputs[0] == "a_labels.nrrd"
    with pytest.raises(UsageError, match=r"nii\.gz, nii"):
        run(tmp_path / "in", tmp_path / "out2", replace(OPTIONS, format="bmp"))


def test_maps_are_kept_when_asked_for(tmp_path):
    scans(tmp_path / "in", "a.nii.gz")
    run(tmp_path / "in", tmp_path / "out", replace(OPTIONS, save_maps=True), mean.MeanSegmenter(save_maps=True))
    maps = read(tmp_path / "out" / "a_maps.ome.zarr")
    assert maps.array.shape[0] == 2


def test_a_bad_scan_is_one_row_and_the_others_are_done(tmp_path):
    scans(tmp_path / "in", "a.nii.gz", "c.nii.gz")
    whole = (tmp_path / "in" / "a.nii.gz").read_bytes()
    (tmp_path / "in" / "b.nii.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "notes.txt").write_text("x")
    summary = run(tmp_path / "in", tmp_path / "out")
    assert summary.exit_code == 3
    assert [row.state for row in summary.rows] == ["ok", "refused", "ok", "skipped"]
    rows = report(tmp_path / "out")
    assert rows["b.nii.gz"]["codes"] == ["E_INPUT_UNREADABLE"]
    assert not list((tmp_path / "out").glob("b[._]*"))
    totals = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert totals["counts"] == {
        "ok": 2,
        "ok_with_warnings": 0,
        "refused": 1,
        "failed": 0,
        "skipped": 1,
        "not_started": 0,
    }


def test_nothing_produced_is_exit_code_four(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.nii.gz").write_bytes(b"no image")
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 4
    (tmp_path / "empty").mkdir()
    summary = run(tmp_path / "empty", tmp_path / "out2")
    assert (summary.exit_code, summary.rows[0].codes) == (4, ("E_INPUT_EMPTY",))


def test_warnings_count_only_when_strict(tmp_path):
    scans(tmp_path / "in", "a.nii.gz")
    relaxed = run(tmp_path / "in", tmp_path / "out", segmenter=mean.MeanSegmenter(warn=True))
    strict = run(tmp_path / "in", tmp_path / "strict", replace(OPTIONS, strict=True), mean.MeanSegmenter(warn=True))
    assert (relaxed.exit_code, strict.exit_code) == (0, 3)
    assert relaxed.rows[0].state == "ok_with_warnings"
    assert relaxed.rows[0].codes == ("W_SMALLER_THAN_PATCH",)


def test_a_structure_at_the_edge_is_told(tmp_path):
    array = np.zeros((1, 8, 8, 8), np.int16)
    array[0, :4] = 100
    array[0, 5, 5, 5] = 50
    (tmp_path / "in").mkdir()
    write(replace(mean.scan(mean.grid((8, 8, 8))), array=array), tmp_path / "in" / "cut.nii.gz")
    assert "W_TOUCHES_BORDER" in run(tmp_path / "in", tmp_path / "out").rows[0].codes


def test_a_fault_of_ours_takes_down_one_case_and_tells_nothing_of_the_data(tmp_path):
    scans(tmp_path / "in", "a.nii.gz", "b.nii.gz")

    def fault(volume):
        if Path(volume.source.path).name == "a.nii.gz":
            raise KeyError("Doe^Jane")

    summary = run(tmp_path / "in", tmp_path / "out", segmenter=mean.MeanSegmenter(before=fault))
    assert summary.exit_code == 1
    assert [row.state for row in summary.rows] == ["failed", "ok"]
    assert summary.rows[0].codes == ("E_INTERNAL",)
    log = (tmp_path / "out" / "medseg-debug.log").read_text()
    assert "KeyError" in log
    assert "medseg/workflow/case.py" in log
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"Doe" not in everything
    assert b"Traceback" not in everything
    assert str(tmp_path).encode() not in everything


def test_memory_that_ran_out_is_a_failed_case(tmp_path):
    scans(tmp_path / "in", "a.nii.gz", "b.nii.gz")

    def exhausted(volume):
        if Path(volume.source.path).name == "a.nii.gz":
            raise MemoryError

    summary = run(tmp_path / "in", tmp_path / "out", segmenter=mean.MeanSegmenter(before=exhausted))
    assert summary.exit_code == 3
    assert (summary.rows[0].state, summary.rows[0].codes) == ("failed", ("E_OOM_CPU",))
    alone = run([tmp_path / "in" / "a.nii.gz"], tmp_path / "alone", segmenter=mean.MeanSegmenter(before=exhausted))
    assert alone.exit_code == 6


def test_labels_on_another_grid_are_never_written(tmp_path):
    scans(tmp_path / "in", "a.nii.gz")

    class Shifted(mean.MeanSegmenter):
        def segment_steps(self, volume):
            moved = volume.grid.world_from_index.copy()
            moved[0, 3] += 0.01
            yield from ()
            return Prediction(LabelMap(np.ones(volume.grid.shape, np.uint8), Grid(volume.grid.shape, moved)))

    summary = run(tmp_path / "in", tmp_path / "out", segmenter=Shifted())
    assert (summary.exit_code, summary.rows[0].codes) == (1, ("E_INTERNAL",))
    assert not list((tmp_path / "out").glob("a_*"))


def test_a_model_that_is_refused_stops_before_anything_is_made(tmp_path):
    scans(tmp_path / "in", "a.nii.gz")
    with pytest.raises(ModelError):
        finish(run_steps([tmp_path / "in"], tmp_path / "out", options=RunOptions(model=str(tmp_path / "no_model"))))
    assert not (tmp_path / "out").exists()


def test_resume_and_overwrite_contradict_each_other(tmp_path):
    scans(tmp_path / "in", "a.nii.gz")
    with pytest.raises(UsageError, match="E_USAGE"):
        run(tmp_path / "in", tmp_path / "out", replace(OPTIONS, resume=True, overwrite=True))


def test_an_output_that_is_a_file_is_refused(tmp_path):
    scans(tmp_path / "in", "a.nii.gz")
    (tmp_path / "out").write_text("precious")
    with pytest.raises(UsageError, match="E_USAGE"):
        run(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "precious"


def test_progress_names_the_case_and_counts_all_of_them(tmp_path):
    scans(tmp_path / "in", "a.nii.gz", "b.nii.gz")
    seen = []
    run(tmp_path / "in", tmp_path / "out", show=seen.append)
    assert [(step.done, step.total) for step in seen if step.phase == CASES] == [(0, 2), (1, 2), (2, 2)]
    assert {"a: reading", "a: tiles", "b: tiles"} <= {step.phase for step in seen}


def test_channel_files_become_one_image_with_the_models_channel_names(tmp_path):
    scans(tmp_path / "in", "p_0000.nii.gz", "p_0001.nii.gz")
    seen = []
    segmenter = mean.MeanSegmenter(card=mean.card(("flair", "t1")), before=seen.append)
    summary = run(tmp_path / "in", tmp_path / "out", segmenter=segmenter)
    assert [row.case for row in summary.rows] == ["p"]
    assert seen[0].channels == ("flair", "t1")
    np.testing.assert_array_equal(seen[0].array[1], read(tmp_path / "in" / "p_0001.nii.gz").array[0])
    files = json.loads((tmp_path / "out" / "p.medseg.json").read_text())["input"]["files"]
    assert [file["path"] for file in files] == ["p_0000.nii.gz", "p_0001.nii.gz"]


def test_channel_files_on_different_grids_are_refused(tmp_path):
    scans(tmp_path / "in", "p_0000.nii.gz")
    moved = mean.grid().world_from_index.copy()
    moved[2, 3] += 1
    write(mean.scan(Grid(mean.grid().shape, moved)), tmp_path / "in" / "p_0001.nii.gz")
    summary = run(tmp_path / "in", tmp_path / "out", segmenter=mean.MeanSegmenter(card=mean.card(("flair", "t1"))))
    assert summary.rows[0].codes == ("E_GEOMETRY_MISMATCH",)


def test_a_name_cannot_forge_a_line_of_the_log_or_of_the_table(tmp_path, caplog):
    scans(tmp_path / "in", "new\nline.nii.gz", "ansi_\x1b[31mred.nii.gz")
    with caplog.at_level(logging.INFO, logger="medseg.workflow"):
        summary = run(tmp_path / "in", tmp_path / "out")
    assert summary.exit_code == 0
    assert all("\n" not in record.getMessage() and "\x1b" not in record.getMessage() for record in caplog.records)
    assert len(caplog.records) == 2
    table = (tmp_path / "out" / "summary.csv").read_text()
    assert len(table.splitlines()) == 3
    assert "\x1b" not in table
    assert (tmp_path / "out" / "new\nline_labels.nii.gz").is_file()


def test_two_runs_write_the_same_bytes(tmp_path):
    scans(tmp_path / "in", "a.nii.gz", "b.mha")
    options = replace(OPTIONS, save_maps=True)
    for out in ("one", "two"):
        run(tmp_path / "in", tmp_path / out, options, mean.MeanSegmenter(save_maps=True))
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert len(one) > 8
    assert one == two


def test_no_text_of_a_header_reaches_an_output(tmp_path):
    (tmp_path / "in").mkdir()
    image = nibabel.Nifti1Image(mean.scan(mean.grid()).array[0], mean.grid().world_from_index)
    image.header["descrip"] = b"DOE JANE MRN4711"
    image.header["aux_file"] = b"ACC99"
    image.header["intent_name"] = b"DOE"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"DOE JANE 19610203"))
    nibabel.save(image, tmp_path / "in" / "a.nii")
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 0
    for path in (tmp_path / "out").iterdir():
        # three letters turn up by chance in the base64 of a picture; the picture itself is among the files
        content = re.sub(rb"base64,[^\"]+", b"", path.read_bytes())
        assert not any(word in content for word in (b"DOE", b"JANE", b"MRN4711", b"ACC99", b"19610203")), path


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    scans(tmp_path / "in", "a.nii.gz")
    from medseg.workflow import reading

    def changing(path, options):
        volume = reading_with(path, options)
        write(mean.scan(mean.grid(), 5), path)
        return volume

    reading_with = reading.read_with
    monkeypatch.setattr(reading, "read_with", changing)
    summary = run(tmp_path / "in", tmp_path / "out")
    assert summary.rows[0].codes == ("E_INPUT_UNREADABLE",)
    assert "changed" in summary.rows[0].message


def test_the_message_of_a_refusal_tells_no_folder_above_the_input(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "b.nii.gz").write_bytes(b"no image")
    run(tmp_path / "in", tmp_path / "out")
    row = report(tmp_path / "out")["sub/b.nii.gz"]
    assert row["message"].startswith("sub/b.nii.gz: found ")
    assert str(tmp_path) not in (tmp_path / "out" / "report.jsonl").read_text()


def test_a_dicom_series_gives_nifti_on_the_scans_grid(tmp_path, data_pack):
    folder = data_pack("dicom") / "Study1" / "13_HCropVolume"
    summary = run(folder, tmp_path / "out")
    assert summary.exit_code == 0
    labels = read_labels(tmp_path / "out" / "13_HCropVolume_labels.nii.gz")
    assert labels.grid.same_as(read(folder).grid)
    record = json.loads((tmp_path / "out" / "13_HCropVolume.medseg.json").read_text())
    assert len(record["input"]["files"]) == len(list(folder.iterdir()))
    for file in record["input"]["files"]:
        assert file["sha256"] == hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest()


def test_an_output_folder_that_vanishes_stops_the_run_in_words(tmp_path):
    scans(tmp_path / "in", "a.nii.gz", "b.nii.gz", "c.nii.gz")
    out = tmp_path / "out"

    def vanish(volume):
        if Path(volume.source.path).name == "b.nii.gz":
            os.rename(out, tmp_path / "elsewhere")

    summary = run(tmp_path / "in", out, segmenter=mean.MeanSegmenter(before=vanish))
    assert summary.exit_code == 6
    assert [row.state for row in summary.rows] == ["ok", "failed", "not_started"]
    assert summary.rows[1].codes == ("E_PERMISSION",)
    assert (tmp_path / "elsewhere" / "a.medseg.json").is_file()
