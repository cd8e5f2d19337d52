"""Names, links, litter and arguments that harm a careless run: each ends as the manifest says."""

import json
import logging
import os
import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from medseg.errors import MedsegError
from medseg.io.read import read, read_labels
from medseg.progress import finish
from medseg.workflow.options import RunOptions
from medseg.workflow.run import run_steps
from medseg.workflow.verify import verify

_DOUBLE = Path(__file__).resolve().parents[1] / "workflow" / "mean_segmenter.py"
_spec = spec_from_file_location("mean_segmenter", _DOUBLE)
mean = sys.modules["mean_segmenter"] = module_from_spec(_spec)
_spec.loader.exec_module(mean)


@pytest.fixture
def corpus(hostile, tmp_path):
    """Return a copy of the path cases with the links and empty folders that some tools drop."""
    folder, cases = hostile
    copy = tmp_path / "corpus"
    shutil.copytree(folder / "pth", copy / "pth", symlinks=True)
    links = copy / "pth" / "links"
    for name, target in (("dangling.nii.gz", "../real/nope.nii.gz"), ("loop.nii.gz", "loop.nii.gz")):
        (links / name).unlink(missing_ok=True)
        os.symlink(target, links / name)
    for name in ("dir_named.nii.gz", "empty_dir"):
        (copy / "pth" / name).mkdir(exist_ok=True)
    return copy, [case for case in cases if case["group"] in ("path", "batch")]


@pytest.fixture(autouse=True)
def quick_drawing(monkeypatch):
    """Draw small pictures: these tests are about names."""
    monkeypatch.setattr("medseg.report.overlay.write_overlay", mean.small_overlay)


def run(path: Path, out: Path):
    return finish(run_steps([path], out, options=RunOptions(model="mean"), segmenter=mean.MeanSegmenter()))


def in_words(message: str) -> bool:
    """Tell whether a message says what was found and expected, what was not done and what to do, on one line."""
    parts = ("found ", ", expected ", "; ", " [E_")
    return all(part in message for part in parts) and "\n" not in message and "Traceback" not in message


def test_every_file_of_the_path_group_ends_as_the_manifest_says(corpus, tmp_path, caplog):
    folder, cases = corpus
    caplog.set_level(logging.INFO, logger="medseg")
    tried = [case for case in cases if case["kind"] == "file"]
    assert len(tried) >= 8
    for number, case in enumerate(tried):
        source, out, expect = folder / case["path"], tmp_path / f"out{number}", case["expect"]
        caplog.clear()
        summary = run(source, out)
        (row,) = summary.rows
        if expect["action"] == "refuse":
            assert (row.state, row.codes, summary.exit_code) == ("refused", (expect["code"],), 4), case["id"]
            assert in_words(row.message), case["id"]
            assert not list(out.glob("*_labels*")), case["id"]
            continue
        assert (row.state, summary.exit_code) == ("ok", 0), (case["id"], row)
        volume = read(source)
        assert volume.grid.shape == tuple(expect["shape"])
        assert np.allclose(volume.grid.spacing, expect["spacing_mm"])
        labels = read_labels(out / row.outputs[0])
        assert labels.grid.same_as(volume.grid)
        for *place, value in expect["value_at_ras"]:
            index = tuple(np.rint(labels.grid.index(place)).astype(int))
            assert volume.array[(0, *index)] == value, case["id"]
        assert verify(out).is_sound
        assert all(len(os.fsencode(path.name)) <= 255 for path in out.iterdir())
        record = json.loads(next(out.glob("*.medseg.json")).read_text())
        assert record["full_name"] == source.name.removesuffix(".nii.gz")
        assert all("\n" not in r.getMessage() and "\x1b" not in r.getMessage() for r in caplog.records)
        assert len((out / "report.jsonl").read_text().splitlines()) == 1


def test_names_that_collide_are_refused_before_anything_is_written(corpus, tmp_path):
    folder, _ = corpus
    with pytest.raises(MedsegError) as caught:
        run(folder / "pth" / "collide", tmp_path / "out")
    assert caught.value.code == "E_OUTPUT_COLLISION"
    assert in_words(str(caught.value))
    assert not (tmp_path / "out").exists()


def test_among_litter_the_one_scan_is_segmented_and_the_rest_is_listed(corpus, tmp_path):
    folder, _ = corpus
    summary = run(folder / "pth" / "junk", tmp_path / "out")
    assert summary.exit_code == 0
    assert [row.input for row in summary.rows if row.state == "ok"] == ["good.nii.gz"]
    left_out = {row.input for row in summary.rows if row.state == "skipped"}
    assert left_out == {path.name for path in (folder / "pth" / "junk").iterdir()} - {"good.nii.gz"}


def test_an_empty_folder_is_no_success(corpus, tmp_path):
    folder, _ = corpus
    summary = run(folder / "pth" / "empty_dir", tmp_path / "out")
    assert (summary.exit_code, summary.rows[0].state, summary.rows[0].codes) == (4, "refused", ("E_INPUT_EMPTY",))
    assert in_words(summary.rows[0].message)


def test_a_folder_named_like_an_image_that_holds_images_is_searched(corpus, tmp_path):
    folder, _ = corpus
    named = folder / "pth" / "dir_named.nii.gz"
    shutil.copy(folder / "pth" / "pat.01.v2.nii.gz", named)
    assert run(named, tmp_path / "out").exit_code == 0


def test_bad_arguments_are_refused_with_their_codes(corpus, tmp_path):
    folder, cases = corpus
    scan = folder / "pth" / "pat.01.v2.nii.gz"
    tried = {case["id"]: case for case in cases if case["kind"] == "argument"}
    assert len(tried) >= 3

    def attempt(case):
        if "model" in case["id"]:
            return run_steps([scan], tmp_path / "out", options=RunOptions(model=case["argument"]))
        junk = folder / "pth" / "junk"
        return run_steps([junk], junk, options=RunOptions(model="mean"), segmenter=mean.MeanSegmenter())

    for name, case in tried.items():
        with pytest.raises(MedsegError) as caught:
            finish(attempt(case))
        assert caught.value.code == case["expect"]["code"], name
        assert in_words(str(caught.value)), name
    assert not (tmp_path / "out").exists()


def test_the_whole_folder_of_names_runs_in_one_go_and_touches_no_input(corpus, tmp_path, hostile):
    folder, _ = corpus
    shutil.rmtree(folder / "pth" / "collide")
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    summary = run(folder / "pth", folder / "pth" / "out")
    assert summary.exit_code == 3
    assert summary.counts["ok"] == 6
    assert summary.counts["refused"] == 3
    assert {p: p.read_bytes() for p in before} == before
    words = json.loads((hostile[0].parent / "manifest.json").read_text())["phi_strings"]
    for path in (folder / "pth" / "out").iterdir():
        assert not any(word.encode() in path.read_bytes() for word in words if len(word) > 4), path
    options = RunOptions(model="mean", resume=True)
    segmenter = mean.MeanSegmenter()
    again = finish(run_steps([folder / "pth"], folder / "pth" / "out", options=options, segmenter=segmenter))
    assert (again.counts["ok"], segmenter.n_segmented) == (6, 0)
