"""Verifying re-hashes every result and names what is missing, changed, damaged or orphaned."""

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from medseg.errors import InputError
from medseg.io.write import write
from medseg.progress import finish
from medseg.workflow.options import RunOptions
from medseg.workflow.run import run_steps
from medseg.workflow.verify import verify

_spec = spec_from_file_location("mean_segmenter", Path(__file__).parent / "mean_segmenter.py")
mean = sys.modules["mean_segmenter"] = module_from_spec(_spec)
_spec.loader.exec_module(mean)


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write(mean.scan(mean.grid()), tmp_path / "in" / f"{name}.nii.gz")
    options = RunOptions(save_maps=True)
    finish(
        run_steps([tmp_path / "in"], tmp_path / "out", options=options, segmenter=mean.MeanSegmenter(save_maps=True))
    )
    return tmp_path / "out"


def test_an_untouched_folder_is_sound(out):
    report = verify(out)
    assert report.is_sound
    assert (report.records, report.outputs) == (2, 8)


def test_each_kind_of_fault_is_named(out):
    (out / "a_overlay.png").unlink()
    chunk = next(path for path in sorted((out / "a_maps.ome.zarr").rglob("*")) if path.is_file())
    chunk.write_bytes(chunk.read_bytes() + b"x")
    (out / "b.medseg.json").write_text("{}")
    (out / "c_labels.nii.gz").write_bytes(b"by another tool")
    report = verify(out)
    assert not report.is_sound
    assert report.missing == ("a_overlay.png",)
    assert report.changed == ("a_maps.ome.zarr",)
    assert report.damaged == ("b.medseg.json",)
    assert report.orphans == (
        "b_labels.nii.gz",
        "b_maps.ome.zarr",
        "b_overlay.png",
        "b_structures.csv",
        "c_labels.nii.gz",
    )
    assert report.as_dict()["is_sound"] is False


def test_a_record_under_another_name_proves_nothing(out):
    os.rename(out / "a.medseg.json", out / "z.medseg.json")
    report = verify(out)
    assert report.damaged == ("z.medseg.json",)
    assert "a_labels.nii.gz" in report.orphans


def test_files_that_are_no_results_are_left_alone(out):
    (out / "my_notes.txt").write_text("x")
    assert verify(out).is_sound


def test_a_folder_without_results_is_no_success(tmp_path):
    with pytest.raises(InputError, match="E_INPUT_EMPTY"):
        verify(tmp_path)
    with pytest.raises(InputError, match="E_INPUT_UNREADABLE"):
        verify(tmp_path / "gone")
