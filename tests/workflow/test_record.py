"""A record says what a result was made of, in a schema that refuses anything else."""

import json
import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from medseg.errors import InputError
from medseg.io.write import write
from medseg.progress import finish
from medseg.workflow.hashing import digest, digest_of_options
from medseg.workflow.options import RunOptions
from medseg.workflow.record import load_record, outputs_that_differ, record_path
from medseg.workflow.run import run_steps

_spec = spec_from_file_location("mean_segmenter", Path(__file__).parent / "mean_segmenter.py")
mean = sys.modules["mean_segmenter"] = module_from_spec(_spec)
_spec.loader.exec_module(mean)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("record")
    (root / "in" / "sub").mkdir(parents=True)
    write(mean.scan(mean.grid()), root / "in" / "sub" / "a.nii.gz")
    finish(run_steps([root / "in"], root / "out", options=RunOptions(), segmenter=mean.MeanSegmenter()))
    return root / "out"


def test_a_record_holds_what_the_result_was_made_of(out):
    record = load_record(record_path(out, "sub__a"))
    source = out.parent / "in" / "sub" / "a.nii.gz"
    assert [(f.path, f.sha256, f.n_bytes) for f in record.input.files] == [
        ("sub/a.nii.gz", digest(source).sha256, source.stat().st_size)
    ]
    assert record.input.grid["shape"] == [13, 11, 9]
    assert record.input.grid["orientation"] == "LAS"
    assert record.input.values["nonfinite"] == 0
    assert (record.model.name, record.model.sha256) == ("mean", "a" * 64)
    assert record.options["tta"] is False
    assert record.options_sha256 == digest_of_options(RunOptions().as_recorded())
    assert [output.kind for output in record.outputs] == ["labels", "structures", "overlay"]
    assert {row["name"] for row in record.structures} == {"bright", "very bright"}
    assert all(row["volume_ml"] > 0 and row["touches_border"] is False for row in record.structures)
    assert record.label.startswith("RESEARCH USE ONLY")
    assert record.software["numpy"] != "absent"


def test_a_record_knows_no_absolute_path(out):
    text = record_path(out, "sub__a").read_text()
    assert str(out.parent) not in text
    assert os.path.expanduser("~") + os.sep not in text


def test_each_output_matches_its_record_until_a_byte_changes(out, tmp_path):
    record = load_record(record_path(out, "sub__a"))
    for output in record.outputs:
        (tmp_path / output.path).write_bytes((out / output.path).read_bytes())
    assert outputs_that_differ(record, tmp_path) == {}
    labels, table, picture = (output.path for output in record.outputs)
    raw = bytearray((tmp_path / labels).read_bytes())
    raw[-1] ^= 1
    (tmp_path / labels).write_bytes(raw)
    (tmp_path / table).unlink()
    assert outputs_that_differ(record, tmp_path) == {labels: "changed", table: "missing"}
    (tmp_path / picture).unlink()
    (tmp_path / picture).mkdir()
    assert outputs_that_differ(record, tmp_path)[picture] == "changed"


SPOILED = {
    "no JSON": lambda text: text[: len(text) // 2],
    "another schema": lambda text: text.replace("medseg-record/1", "medseg-record/9"),
    "an unknown key": lambda text: text.replace('"label"', '"sticker"'),
    "no number": lambda text: text.replace('"nonfinite": 0', '"nonfinite": NaN'),
    "nothing": lambda text: "",
    "a list": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_damaged_record_is_refused_in_words(out, tmp_path, spoil):
    path = tmp_path / "sub__a.medseg.json"
    path.write_text(spoil(record_path(out, "sub__a").read_text()))
    with pytest.raises(InputError, match="expected a record of the schema"):
        load_record(path)


def test_a_record_speaks_only_of_its_own_folder(out):
    data = json.loads(record_path(out, "sub__a").read_text())
    data["outputs"][0]["path"] = "../in/sub/a.nii.gz"
    record = type(load_record(record_path(out, "sub__a"))).model_validate(data)
    assert outputs_that_differ(record, out) == {"../in/sub/a.nii.gz": "changed"}


def test_a_folder_has_one_hash_that_knows_names_and_contents(tmp_path):
    for folder, name, text in (("a", "x", "1"), ("b", "x", "1"), ("c", "y", "1"), ("d", "x", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    found = {folder: digest(tmp_path / folder).sha256 for folder in "abcd"}
    assert found["a"] == found["b"]
    assert len(set(found.values())) == 3
