"""The page of a segmentation stands alone, has a row per case with what needs eyes first, and trusts no name."""

import csv
import io
import re

import pytest
from PIL import Image

from medseg.report.structures_page import MOST_COLUMNS, Amount, Scan, StructuresPage
from medseg.workflow.pages import PAGE_NAME, far_from_the_others
from medseg.workflow.segment_page import reasons_by_case, write_segment_page
from medseg.workflow.summary import CaseRow, RunSummary


def row(name, state="ok", **more):
    return CaseRow(name, f"{name}.nii.gz", state, **more)


def sizes(**values):
    return {name: {"liver": Amount(value, "ml")} for name, value in values.items()}


ALIKE = {"a": 1500.0, "b": 1480.0, "c": 1530.0, "d": 1510.0, "e": 1490.0}


def test_a_structure_far_from_the_others_in_size_is_a_reason():
    rows = [row(name) for name in (*ALIKE, "small", "large")]
    found = reasons_by_case(rows, sizes(**ALIKE, small=200.0, large=9000.0))
    assert found["small"] == ("liver is far smaller than in the others",)
    assert found["large"] == ("liver is far larger than in the others",)
    assert all(found[name] == () for name in ALIKE)


def test_a_structure_that_only_one_case_lacks_is_a_reason_and_so_is_nothing_at_all():
    amounts = sizes(**ALIKE) | {"f": {"liver": Amount(0.0, "ml"), "spleen": Amount(200.0, "ml")}}
    amounts["g"] = {"liver": Amount(0.0, "ml")}
    found = reasons_by_case([row(name) for name in amounts], amounts)
    assert found["f"] == ("liver was not found, unlike in the others",)
    assert found["g"] == ("nothing was found",)


def test_a_warning_is_told_in_its_own_words_and_a_case_without_result_by_its_state():
    rows = [
        row("a", "ok_with_warnings", codes=("W_OUT_OF_DISTRIBUTION",), message="it looks like CT"),
        row("b", "refused"),
    ]
    found = reasons_by_case(rows, {"a": {}, "b": {}})
    assert found == {"a": ("it looks like CT",), "b": ("refused",)}


def test_four_cases_are_too_few_to_call_one_an_outlier():
    assert far_from_the_others([("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 99.0)]) == {}


@pytest.fixture
def page(tmp_path):
    """Write the results of a run of eight cases, one spoilt, one refused, one with a hostile name."""
    rows = []
    for name, volume in (*ALIKE.items(), ("<b>x</b> & y", 1505.0), ("tiny", 3.0)):
        plain = name.replace("/", "_")
        Image.new("RGB", (1200, 500), (40, 40, 60)).save(tmp_path / f"{plain}_overlay.png")
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerows([["class_id", "name", "voxels", "volume_ml"], [1, "liver", 9, volume], [2, "gall", 0, ""]])
        (tmp_path / f"{plain}_structures.csv").write_text(table.getvalue(), encoding="utf-8")
        rows.append(row(name, outputs=(f"{plain}_structures.csv", f"{plain}_overlay.png")))
    rows.append(row("broken", "refused", codes=("E_INPUT_UNREADABLE",), message="The file ends too early."))
    rows.append(CaseRow("", "notes.txt", "skipped", ("W_FILE_SKIPPED",), "no image"))
    summary = RunSummary("out", "id", tuple(rows), 3, None, {"name": "organs", "version": "1.0.0"}, 1.0)
    write_segment_page(summary, tmp_path)
    return (tmp_path / PAGE_NAME).read_text(encoding="utf-8")


def table_of(page):
    return page[page.index('<table class="rows">') :]


def test_every_case_has_one_row_and_what_was_skipped_has_none(page):
    assert table_of(page).count("<tr>") == 1 + len(ALIKE) + 3
    assert "notes.txt" not in page


def test_cases_without_a_result_come_first_with_their_reason_then_outliers(page):
    body = table_of(page)
    places = [body.index(f"<b>{name}</b>") for name in ("broken", "tiny", "a", "e")]
    assert places == sorted(places)
    assert "The file ends too early." in page
    assert "liver is far smaller than in the others" in page


def test_the_page_needs_no_other_file_and_runs_nothing(page):
    assert not re.search(r"<script|<link|<iframe|@import|url\(|src=\"(?!data:)|https?://", page)
    assert 'src="data:image/jpeg;base64,' in page


def test_a_name_that_looks_like_markup_stays_text(page):
    assert "<b>x</b> & y" not in page
    assert "&lt;b&gt;x&lt;/b&gt; &amp; y" in page


def test_sizes_have_units_and_what_is_absent_is_called_so(page):
    assert "liver ml" in page
    assert "1500 ml" in page
    assert "not found" in page


def test_many_structures_are_counted_instead_of_filling_the_table():
    amounts = {f"organ {k}": Amount(float(k % 3), "ml") for k in range(MOST_COLUMNS + 1)}
    text = StructuresPage("t", "m 1", (Scan("a", "ok", amounts=amounts),)).as_html()
    assert "structures found" in text
    assert "6 of 9" in text


def test_a_run_without_any_result_still_has_a_page(tmp_path):
    rows = (row("a", "failed", message="no memory"), row("b", "not_started", message="stopped"))
    write_segment_page(RunSummary("out", "id", rows, 4, None, {"name": "m", "version": "1.0.0"}, 0.0), tmp_path)
    text = (tmp_path / PAGE_NAME).read_text(encoding="utf-8")
    assert "no memory" in text
    assert "not started" in text
