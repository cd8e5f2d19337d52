"""The page of a count stands alone, shows what needs eyes first, and holds whatever a file may be called."""

import re
import sys
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from medseg.grid import image_grid
from medseg.io.write import write
from medseg.progress import finish
from medseg.report.histogram import histogram_svg
from medseg.report.page import Page, Shown
from medseg.volume import Volume
from medseg.workflow.count_page import PAGE_NAME, reasons_by_case
from medseg.workflow.options import RunOptions
from medseg.workflow.run import run_steps
from medseg.workflow.summary import CaseRow

_spec = spec_from_file_location("disc_counter", Path(__file__).parents[1] / "workflow" / "disc_counter.py")
toy = sys.modules["disc_counter"] = module_from_spec(_spec)
_spec.loader.exec_module(toy)


class Checked(HTMLParser):
    """Collects references and text, and insists that every element is closed."""

    VOID = ("meta", "img", "line", "br", "rect")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.links, self.words = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    (root / "in").mkdir()
    write(toy.discs(0.5), root / "in" / "well & <A1>.tif")
    write(Volume(np.zeros((1, 30, 30), np.uint8), image_grid((30, 30), (0.5, 0.5), "um")), root / "in" / "z_empty.tif")
    (root / "in" / "broken.tif").write_bytes(b"II*\0" + b"\0" * 50)
    options = RunOptions(model="threshold", counts=True)
    finish(run_steps([root / "in"], root / "out", options=options, segmenter=toy.DiscCounter()))
    return root / "out"


def test_the_page_is_well_formed_and_refers_to_nothing_outside(counted):
    text = (counted / PAGE_NAME).read_text(encoding="utf-8")
    page = Checked(text)
    assert not re.search(r"https?://|<script|@import|url\(", text)
    local = [link for link in page.links if not link.startswith("data:image/jpeg;base64,")]
    assert local
    assert all(link.endswith("_overlay.png") and "/" not in link and "<" not in link for link in local)
    assert sum(link.startswith("data:") for link in page.links) == 2


def test_names_are_text_and_never_markup(counted):
    page = Checked((counted / PAGE_NAME).read_text(encoding="utf-8"))
    assert any("well & <A1>" in words for words in page.words)


def test_what_needs_eyes_comes_first(counted):
    text = (counted / PAGE_NAME).read_text(encoding="utf-8")
    heads = re.findall(r"<h3>(.*?)</h3>", text)
    assert [head.split(" — ")[0] for head in heads] == ["broken", "z_empty", "well &amp; &lt;A1&gt;"]
    assert "nothing was found" in text
    assert "refused" in text


def test_the_page_says_how_many_and_how_large(counted):
    text = (counted / PAGE_NAME).read_text(encoding="utf-8")
    assert "<b>5</b>objects" in text
    assert "area µm²" in text
    assert "<svg" in text


def test_an_image_unlike_the_others_is_named():
    rows = [CaseRow(f"c{k}", "", "ok", objects={"count": 100 + k, "mean_area_um2": 50.0 + k}) for k in range(8)]
    rows.append(CaseRow("odd", "", "ok", objects={"count": 6, "mean_area_um2": 900.0}))
    found = reasons_by_case(rows)
    assert len(found["odd"]) == 2
    assert all(found[f"c{k}"] == () for k in range(8))


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0, 2.0], [1.0, float("nan")], [*range(1, 100), 1e6]])
def test_a_histogram_holds_every_finite_value(values):
    svg = histogram_svg(values, label="area")
    assert sum(int(n) for n in re.findall(r": (\d+)</title>", svg)) == sum(v == v for v in values)


def test_nothing_gives_no_histogram_and_a_page_all_the_same():
    assert histogram_svg([], label="area") == ""
    Checked(Page("none", "m 1", (Shown("a\udce9", "refused"),), {}).as_html())
