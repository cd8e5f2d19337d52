"""Whoever watches a run sees each case as it ends; a journal is no result and is gone in the end."""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from medseg.io.write import write
from medseg.progress import finish
from medseg.workflow.journal import JOURNAL_NAME, Watch, was_stopped
from medseg.workflow.options import RunOptions
from medseg.workflow.run import CASES, run_steps

_spec = spec_from_file_location("mean_segmenter_of_journal", Path(__file__).parent / "mean_segmenter.py")
mean = sys.modules["mean_segmenter_of_journal"] = module_from_spec(_spec)
_spec.loader.exec_module(mean)


@pytest.fixture
def scans(tmp_path):
    for seed, name in enumerate("abc"):
        write(mean.scan(mean.grid(), seed), tmp_path / "scans" / f"{name}.nii.gz")
    (tmp_path / "scans" / "bad.nii.gz").write_bytes(b"no scan")
    return tmp_path / "scans"


@pytest.fixture(autouse=True)
def _folder(tmp_path):
    (tmp_path / "scans").mkdir()


def steps(scans, out, **options):
    chosen = RunOptions(model="mean", **options)
    return run_steps([scans], out, options=chosen, segmenter=mean.MeanSegmenter())


def test_each_case_can_be_seen_as_soon_as_it_ended(scans, tmp_path):
    out = tmp_path / "out"
    watch = Watch(out)
    assert watch.look() == []
    seen = []
    for step in steps(scans, out):
        fresh = watch.look()
        seen += [row["case"] for row in fresh]
        if step.phase == CASES:
            assert len(seen) == step.done
    assert watch.cases == ("a", "b", "bad", "c")
    assert seen == ["a", "b", "bad", "c"]
    assert watch.rows["bad"]["state"] == "refused"
    assert watch.conclude() == []  # the report says nothing that was not seen
    report = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    assert list(watch.rows.values()) == [row for row in report if row["case"]]
    assert not (out / JOURNAL_NAME).exists()
    assert not was_stopped(out)


def test_a_run_that_was_stopped_is_known_as_such_and_its_rest_is_in_the_report(scans, tmp_path):
    out = tmp_path / "out"
    watch, run = Watch(out), steps(scans, out)
    while len(watch.rows) < 2:
        next(run)
        watch.look()
    run.close()
    assert was_stopped(out)
    assert {row["case"]: row["state"] for row in watch.conclude()} == {"bad": "not_started", "c": "not_started"}
    finish(steps(scans, out, resume=True))
    assert not was_stopped(out)


def test_a_run_that_was_killed_is_known_by_the_journal_that_it_left(scans, tmp_path):
    out = tmp_path / "out"
    finish(steps(scans, out))
    (out / JOURNAL_NAME).write_text('{"cases": ["a"]}\n{"case": "a", "sta')
    assert was_stopped(out)
    watch = Watch(out)
    assert watch.look() == []
    assert watch.cases == ("a",)
    finish(steps(scans, out, resume=True))
    assert not (out / JOURNAL_NAME).exists()


def test_a_folder_without_a_run_was_not_stopped(tmp_path):
    assert not was_stopped(tmp_path)
    (tmp_path / "summary.json").write_text("no json")
    assert not was_stopped(tmp_path)
