"""``medseg segment`` and what follows from its results, with a model that the test has trained."""

import csv
import json
import signal
import sys
import time

import numpy as np
import pytest

from medseg.cli.segment import parse_box
from medseg.errors import UsageError

PATIENCE = 300
"""Seconds after which a process counts as hanging; generous, since tests share a busy computer."""


def states(out):
    with open(out / "summary.csv", newline="", encoding="utf-8") as file:
        return {row["case"]: row["state"] for row in csv.DictReader(file)}


def segmented(medseg, model, scans, out, *options):
    return medseg("segment", scans, "-o", out, "-m", model, "--device", "cpu", *options)


def test_a_folder_gives_labels_tables_pictures_and_records_and_a_bad_scan_is_one_row(medseg, model, scans, tmp_path):
    from medseg.io.read import read, read_labels

    out = tmp_path / "out"
    done = segmented(medseg, model, scans, out)
    assert done.code == 3, done.err
    assert {name: state.startswith("ok") for name, state in states(out).items()} == {
        "a": True, "b": True, "broken": False, "more__c": True,
    }  # fmt: skip
    for ending in ("_labels.nii.gz", "_structures.csv", "_overlay.png", ".medseg.json"):
        assert (out / f"more__c{ending}").is_file()
    assert not list(out.glob("broken*"))
    assert read_labels(out / "a_labels.nii.gz").grid.same_as(read(scans / "a.nii.gz").grid)
    assert "E_INPUT_UNREADABLE" in done.err
    assert "_overlay.png" in done.out
    assert "Traceback" not in done.err
    assert all(c.isprintable() or c == "\n" for c in done.out + done.err)


def test_results_are_verified_measured_and_evaluated(medseg, model, dataset, tmp_path):
    out = tmp_path / "out"
    assert segmented(medseg, model, dataset / "images", out).code == 0
    assert medseg("verify", out).code == 0
    table = medseg("measure", out / "case_0_labels.nii.gz")
    assert table.code == 0
    report = tmp_path / "report.json"
    done = medseg("evaluate", out, dataset / "labels", "-o", report)
    found = json.loads(report.read_text())
    assert done.code == 0, done.err
    assert {"cases", "per_class", "instances", "missing"} <= set(found)
    shown = f"{found['per_class']['1']['dice_mean']:.4f}"
    assert shown in done.out


def test_a_changed_output_is_found(medseg, model, scans, tmp_path):
    out = tmp_path / "out"
    segmented(medseg, model, scans / "a.nii.gz", out)
    (out / "a_structures.csv").write_text("changed")
    done = medseg("verify", out)
    assert done.code == 3
    assert "a_structures.csv" in done.out
    assert json.loads(medseg("verify", out, "--json").out)["changed"] == ["a_structures.csv"]


def test_existing_results_are_touched_only_when_asked(medseg, model, scans, tmp_path):
    out = tmp_path / "out"
    segmented(medseg, model, scans / "a.nii.gz", out)
    record = out / "a.medseg.json"
    before = (record.stat().st_mtime_ns, record.read_bytes())
    assert segmented(medseg, model, scans / "a.nii.gz", out).code == 2
    assert segmented(medseg, model, scans / "a.nii.gz", out, "--resume", "--overwrite").code == 2
    assert segmented(medseg, model, scans / "a.nii.gz", out, "--resume").code == 0
    assert (record.stat().st_mtime_ns, record.read_bytes()) == before
    assert segmented(medseg, model, scans / "a.nii.gz", out, "--overwrite").code == 0
    assert record.stat().st_mtime_ns != before[0]


def test_a_saved_recipe_repeats_the_command_byte_for_byte(medseg, model, scans, tmp_path):
    out, recipe = tmp_path / "out", tmp_path / "again.yaml"
    box = "0:24,0:20,0:12"
    segmented(medseg, model, scans / "a.nii.gz", out, "--roi", box, "--overwrite", "--save-recipe", recipe)
    first = (out / "a_labels.nii.gz").read_bytes()
    (out / "a_labels.nii.gz").unlink()
    done = medseg("run", recipe)
    assert done.code == 0, done.err
    assert (out / "a_labels.nii.gz").read_bytes() == first


def test_warnings_count_only_when_asked(medseg, model, tmp_path):
    from medseg.grid import Grid
    from medseg.io.write import write
    from medseg.volume import Volume

    write(Volume(np.full((1, 24, 20, 12), 7, np.int16), Grid((24, 20, 12), np.eye(4))), tmp_path / "flat.nii.gz")
    assert segmented(medseg, model, tmp_path / "flat.nii.gz", tmp_path / "out").code == 0
    assert segmented(medseg, model, tmp_path / "flat.nii.gz", tmp_path / "out2", "--strict").code == 3


def test_probabilities_are_kept_when_asked(medseg, model, scans, tmp_path):
    out = tmp_path / "out"
    assert segmented(medseg, model, scans / "a.nii.gz", out, "--save-maps").code == 0
    assert (out / "a_maps.ome.zarr").is_dir()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["-m", "no_such_model"], 5),
        (["-m", "https://example.org/model"], 5),
        (["--device", "abacus"], 2),
        (["--roi", "1:2"], 2),
        (["--pixel-size", "none"], 2),
        (["--no-such-option"], 2),
    ],
)
def test_a_wrong_request_writes_nothing(medseg, scans, tmp_path, model, words, code):
    given = [] if "-m" in words else ["-m", model]
    done = medseg("segment", scans / "a.nii.gz", "-o", tmp_path / "out", *given, *words)
    assert done.code == code, done.err
    assert not (tmp_path / "out").exists()
    assert "Traceback" not in done.err


def test_nothing_to_work_on_gives_4(medseg, model, tmp_path):
    (tmp_path / "empty").mkdir()
    assert segmented(medseg, model, tmp_path / "empty", tmp_path / "out").code == 4


@pytest.mark.parametrize("text", ["", "1:2", "a:b,1:2", "5:5,0:1,0:1", "1-2,3-4", "1:2,3:4,5:6,7:8"])
def test_a_box_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--roi"):
        parse_box(text)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_keeps_only_complete_results(medseg, medseg_process, model, scans, tmp_path, number, code):
    from medseg.io.read import read
    from medseg.io.write import write

    for copy in range(6):
        write(read(scans / "a.nii.gz"), scans / f"copy_{copy}.nii.gz")
    out = tmp_path / "out"
    process = medseg_process("segment", scans, "-o", out, "-m", model, "--device", "cpu")
    deadline = time.monotonic() + PATIENCE
    while not list(out.glob("*.medseg.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert medseg("verify", out).code == 0
    found = states(out)
    assert len(found) == 10
    assert "not_started" in found.values()
    assert segmented(medseg, model, scans, out, "--resume").code == 3  # the broken scan stays broken
    assert "not_started" not in states(out).values()


@pytest.mark.slow
def test_a_reader_that_leaves_changes_neither_the_exit_code_nor_the_results(medseg_process, model, scans, tmp_path):
    out = tmp_path / "out"
    process = medseg_process("segment", scans / "a.nii.gz", "-o", out, "-m", model, "--device", "cpu")
    process.stdout.close()
    process.wait(timeout=PATIENCE)
    err = process.stderr.read()
    process.stderr.close()
    assert process.returncode == 0, err
    assert (out / "a.medseg.json").is_file()
    assert "BrokenPipe" not in err
