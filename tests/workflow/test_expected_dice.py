"""What a model says about how good its results are reaches tables, record, report and page, the worst case first."""

import csv
import json
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from medseg.errors import Notice
from medseg.io.write import write
from medseg.prediction import Expectation
from medseg.progress import finish
from medseg.workflow.options import RunOptions
from medseg.workflow.pages import PAGE_NAME
from medseg.workflow.run import run_steps

_spec = spec_from_file_location("mean_segmenter", Path(__file__).parent / "mean_segmenter.py")
mean = sys.modules["mean_segmenter"] = module_from_spec(_spec)
_spec.loader.exec_module(mean)

OPTIONS = RunOptions(model="mean")
DICE = {1: (0.91, 0.85), 2: (0.42, 0.1), 3: (0.88, 0.8), 4: (0.65, 0.5)}


class TellingSegmenter(mean.MeanSegmenter):
    """Says how good each result is, by its number; the third is of another kind, too."""

    def segment_steps(self, volume):
        found = yield from super().segment_steps(volume)
        dice, low = DICE[self.n_segmented]
        notices = [Notice("W_LOW_CONFIDENCE", f"number {self.n_segmented} is bad")] * (dice < 0.8)
        notices += [Notice("W_OUT_OF_DISTRIBUTION", "another kind")] * (self.n_segmented == 3)
        return replace(found, confidence=(Expectation(1, dice, low),), warnings=tuple(notices))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    scans, out = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("runs") / "out"
    for name in "abcd":
        write(mean.scan(mean.grid(), 1), scans / f"{name}.nii.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medseg.report.overlay.write_overlay", mean.small_overlay)
        finish(run_steps([scans], out, options=OPTIONS, segmenter=TellingSegmenter()))
    return out


def rows(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_table_of_structures_has_the_number_where_it_is_known(out):
    bright, very_bright = rows(out / "b_structures.csv")
    assert (float(bright["expected_dice"]), float(bright["expected_dice_low"])) == (0.42, 0.1)
    assert very_bright["expected_dice"] == very_bright["expected_dice_low"] == ""


def test_summary_report_and_record_have_the_least_one_of_each_case(out):
    worst_first = ["0.42", "0.65", "0.88", "0.91"]
    assert [row["expected_dice"] for row in rows(out / "summary.csv")] == worst_first
    lines = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    assert [line["expected_dice"] for line in lines] == [0.91, 0.42, 0.88, 0.65]
    record = json.loads((out / "d.medseg.json").read_text())
    assert record["structures"][0]["expected_dice_low"] == 0.5
    assert "W_LOW_CONFIDENCE" in record["codes"]


def test_the_page_shows_urgent_warnings_first_then_the_worst_expected_results(out):
    page = (out / PAGE_NAME).read_text(encoding="utf-8")
    table = page[page.index("<h2>All scans") :]
    assert sorted("abcd", key=lambda name: table.index(f"<b>{name}</b>")) == ["c", "b", "d", "a"]
    assert "<th>expected Dice</th>" in table
    assert "<td>0.42</td>" in table


def test_resumed_runs_say_the_same(out, tmp_path):
    before = {name: (out / name).read_bytes() for name in ("b_structures.csv", PAGE_NAME)}
    scans = tmp_path
    for name in "abcd":
        write(mean.scan(mean.grid(), 1), scans / f"{name}.nii.gz")
    summary = finish(run_steps([scans], out, options=replace(OPTIONS, resume=True), segmenter=TellingSegmenter()))
    assert [row.expected_dice for row in summary.rows] == [0.91, 0.42, 0.88, 0.65]
    assert (out / "b_structures.csv").read_bytes() == before["b_structures.csv"]


def test_a_model_that_does_not_tell_makes_no_column(tmp_path):
    write(mean.scan(mean.grid(), 1), tmp_path / "a.nii.gz")
    finish(run_steps([tmp_path / "a.nii.gz"], tmp_path / "out", options=OPTIONS, segmenter=mean.MeanSegmenter()))
    assert "expected_dice" not in rows(tmp_path / "out" / "summary.csv")[0]
    assert "expected_dice" not in rows(tmp_path / "out" / "a_structures.csv")[0]
    assert "expected_dice" not in json.loads((tmp_path / "out" / "report.jsonl").read_text())
    assert "xpected Dice" not in (tmp_path / "out" / PAGE_NAME).read_text(encoding="utf-8")
