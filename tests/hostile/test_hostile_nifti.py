"""Every hostile NIfTI input is refused with its code and sentence, or read right."""

import os
import shutil
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from medseg.errors import MedsegError
from medseg.io.probe import probe
from medseg.io.read import read, read_labels
from medseg.io.write import write

GROUPS = ("geometry", "content", "container", "path")
LATER = ("W_NONFINITE_REPLACED", "W_CONSTANT_IMAGE", "W_INTENSITY_OUT_OF_RANGE", "W_SMALLER_THAN_PATCH")
"""Notices about content or about a model: they come after reading."""


@pytest.fixture
def corpus(hostile, tmp_path) -> tuple[Path, list[dict]]:
    """Return a copy of the folder with its links and empty folders restored, and the cases of our groups."""
    source, cases = hostile
    root = tmp_path / "corpus"
    shutil.copytree(source, root, symlinks=True)
    for name, target in (("dangling.nii.gz", "gone.nii.gz"), ("loop.nii.gz", "loop.nii.gz")):
        link = root / "pth" / "links" / name
        link.parent.chmod(0o755)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    (root / "pth").chmod(0o755)
    for name in ("dir_named.nii.gz", "empty_dir"):
        (root / "pth" / name).mkdir(exist_ok=True)
    return root, [case for case in cases if case["group"] in GROUPS and case["kind"] in ("file", "dir")]


def outcome(path: Path, *, is_label: bool):
    try:
        probe(path)
        return read_labels(path) if is_label else read(path)
    except MedsegError as error:
        return error


def check_refusal(case: dict, found) -> None:
    assert isinstance(found, MedsegError), f"{case['id']} was read"
    assert found.code == case["expect"]["code"], f"{case['id']}: {found}"
    assert all((found.path, found.found, found.expected, found.not_done, found.remedy))
    assert str(found).isprintable()


def check_values(case: dict, found) -> None:
    assert not isinstance(found, MedsegError), f"{case['id']}: {found}"
    expect, array = case["expect"], found.array if found.array.ndim == 3 else found.array[0]
    if "shape" in expect:
        assert list(found.grid.shape) == expect["shape"]
    if "spacing_mm" in expect:
        np.testing.assert_allclose(found.grid.spacing, expect["spacing_mm"], rtol=1e-5)
    if "orientation" in expect:
        assert "".join(found.grid.axis_codes) == expect["orientation"]
    for x, y, z, value in expect.get("value_at_ras", []):
        index = tuple(np.rint(found.grid.index((x, y, z))).astype(int))
        assert array[index] == pytest.approx(value, abs=1e-3), case["id"]


def test_every_case_is_refused_with_its_code_or_read_right(corpus):
    root, cases = corpus
    n_seen = 0
    for case in cases:
        expect = case["expect"]
        if case["kind"] == "dir" and expect.get("code") != "E_INPUT_EMPTY":
            continue  # a folder of several scans is for the run over folders
        found = outcome(root / case["path"], is_label=case["id"].startswith("lab_"))
        n_seen += 1
        if expect["action"] == "refuse":
            check_refusal(case, found)
            continue
        check_values(case, found)
        told = {notice.code for notice in found.warnings}
        if expect["action"] == "read_with_warning" and expect["code"] not in LATER:
            assert expect["code"] in told, case["id"]
        if expect["action"] == "read_with_values":
            assert told <= {"W_UNITS_ASSUMED_MM"}, case["id"]
    assert n_seen >= 45


def test_no_case_takes_more_memory_than_its_file_deserves(corpus):
    root, cases = corpus
    for case in cases:
        if "limits" not in case:
            continue
        tracemalloc.start()
        outcome(root / case["path"], is_label=False)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20e6, case["id"]


def test_what_is_read_can_be_written_on_its_own_grid(corpus, tmp_path):
    root, cases = corpus
    for case in cases:
        if case["kind"] != "file" or case["expect"]["action"] != "read_with_values":
            continue
        is_label = case["id"].startswith("lab_")
        value = read_labels(root / case["path"]) if is_label else read(root / case["path"])
        write(value, tmp_path / "out.nii.gz")
        back = read(tmp_path / "out.nii.gz")
        assert back.grid.same_as(value.grid, tolerance=1e-5), case["id"]
        array = value.array[np.newaxis] if is_label else value.array
        np.testing.assert_array_equal(back.array, array, err_msg=case["id"])
        assert back.warnings == (), case["id"]


def test_label_grids_that_differ_from_their_image_are_told_apart(hostile):
    root, cases = hostile
    image = probe(root / "geo" / "sform_only.nii.gz")
    for case in cases:
        if case["group"] == "pair":
            label = probe(root / case["path"])
            assert not label.grid.same_as(image.grid, tolerance=1e-3), case["id"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes as files are a POSIX feature")
def test_a_pipe_among_the_scans_does_not_hang_the_reader(tmp_path):
    os.mkfifo(tmp_path / "scan.nii.gz")
    found = outcome(tmp_path / "scan.nii.gz", is_label=False)
    assert isinstance(found, MedsegError)
    assert found.code == "E_INPUT_FORMAT"
