"""A run of segmentations ends with a page, and a scan of another kind ends with a reason that a person understands."""

import json
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np

from medseg.grid import Grid
from medseg.io.write import write
from medseg.progress import finish
from medseg.volume import Volume
from medseg.workflow.options import RunOptions
from medseg.workflow.pages import PAGE_NAME
from medseg.workflow.run import run_steps

_spec = spec_from_file_location("mean_segmenter", Path(__file__).parent / "mean_segmenter.py")
mean = sys.modules["mean_segmenter"] = module_from_spec(_spec)
_spec.loader.exec_module(mean)

OPTIONS = RunOptions(model="mean")


def test_a_run_ends_with_a_page_that_names_the_refused_scan_first_and_stays_equal_when_resumed(tmp_path):
    scans, out = tmp_path / "in", tmp_path / "out"
    scans.mkdir()
    for name in ("a", "c"):
        write(mean.scan(mean.grid(), 1), scans / f"{name}.nii.gz")
    (scans / "b.nii.gz").write_bytes((scans / "a.nii.gz").read_bytes()[:400])
    finish(run_steps([scans], out, options=OPTIONS, segmenter=mean.MeanSegmenter(warn=True)))
    page = (out / PAGE_NAME).read_text(encoding="utf-8")
    table = page[page.index('<table class="rows">') :]
    assert table.index("<b>b</b>") < table.index("<b>a</b>") < table.index("<b>c</b>")
    assert "the image is small" in page
    again = replace(OPTIONS, resume=True)
    finish(run_steps([scans], out, options=again, segmenter=mean.MeanSegmenter(warn=True)))
    assert "the image is small" in (out / PAGE_NAME).read_text(encoding="utf-8")


def test_a_ct_for_the_hippocampus_model_ends_with_a_warning_in_words(tmp_path):
    shape = (36, 50, 36)
    i, j, k = (axis / n - 0.5 for axis, n in zip(np.indices(shape), shape, strict=True))
    body = np.where(i**2 + j**2 < 0.16, 40 + 60 * k, -1000)
    ct = np.rint(body + np.random.default_rng(0).normal(0, 12, shape)).astype(np.int16)
    write(Volume(ct[None], Grid(shape, np.eye(4))), tmp_path / "ct.nii.gz")
    options = RunOptions(model="hippocampus", device="cpu")
    summary = finish(run_steps([tmp_path / "ct.nii.gz"], tmp_path / "out", options=options))
    (row,) = summary.rows
    assert row.state == "ok_with_warnings"
    assert row.message.startswith("the values look like CT (Hounsfield units), the model was trained on MR")
    record = json.loads((tmp_path / "out" / "ct.medseg.json").read_text())
    assert "W_OUT_OF_DISTRIBUTION" in record["codes"]
    assert "Hounsfield" in (tmp_path / "out" / PAGE_NAME).read_text(encoding="utf-8")
