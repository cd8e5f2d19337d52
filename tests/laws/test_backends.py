"""The same labels and objects whichever library computes, and a record that says which it was."""

import json

import numpy as np
import pytest
from openvino_there import needs_openvino
from segmenting import sample

from medseg.cli.app import build
from medseg.io.write import write
from medseg.nets import openvino_network
from medseg.nets.backend import openvino_version
from medseg.nets.device import fast_half
from medseg.pipeline import load_model, segment_steps
from medseg.progress import finish
from medseg.samples.cells import nuclei
from medseg.workflow.options import RunOptions
from medseg.workflow.recipe import recipe_of_run, run_of_recipe

pytestmark = needs_openvino


def segmented(volume, name, backend):
    model = load_model(name, device="cpu", backend=backend)
    return model, finish(segment_steps(volume, model))


def dice(found, reference):
    values = [
        2 * np.count_nonzero((found == c) & (reference == c))
        / (np.count_nonzero(found == c) + np.count_nonzero(reference == c))
        for c in np.unique(reference)[1:]
    ]  # fmt: skip
    return min(values)


def test_a_scan_has_the_same_labels_from_both():
    volume = sample()
    _, by_torch = segmented(volume, "hippocampus", "torch")
    model, by_openvino = segmented(volume, "hippocampus", "auto")
    assert model.computed_by.name == "openvino"
    assert by_torch.labels.array.max() == 2
    assert np.mean(by_torch.labels.array != by_openvino.labels.array) < 1e-5
    assert by_openvino.warnings == by_torch.warnings
    again = finish(segment_steps(volume, load_model("hippocampus", device="cpu", backend="openvino")))
    assert np.array_equal(again.labels.array, by_openvino.labels.array)


def test_bfloat16_gives_labels_that_overlap_by_more_than_99_percent():
    import torch

    if not fast_half(torch.device("cpu")):
        pytest.skip("this processor has no bfloat16")
    volume = sample()
    _, by_torch = segmented(volume, "hippocampus", "torch")
    model, by_openvino = segmented(volume, "hippocampus", "openvino-bf16")
    assert model.computed_by.precision == "bf16"
    assert dice(by_openvino.labels.array, by_torch.labels.array) > 0.99


def test_a_picture_has_the_same_objects_from_both():
    volume = nuclei(seed=3, n=20).volume
    _, by_torch = segmented(volume, "nuclei", "torch")
    model, by_openvino = segmented(volume, "nuclei", "auto")
    assert model.computed_by.name == "openvino"
    found, wanted = by_openvino.instances, by_torch.instances
    assert len(found.segments) == len(wanted.segments) > 10
    assert np.mean(found.array != wanted.array) < 1e-4


def ran(*words):
    with pytest.raises(SystemExit) as left:
        build()(args=[str(word) for word in words], prog_name="medseg")
    return int(left.value.code or 0)


def test_record_summary_and_output_name_what_computed(tmp_path, capsys):
    write(sample(), tmp_path / "scan.nii.gz")
    out = tmp_path / "out"
    assert ran("segment", tmp_path / "scan.nii.gz", "-o", out, "--device", "cpu", "--backend", "openvino") == 0
    record = json.loads((out / "scan.medseg.json").read_text())
    assert record["device"]["backend"] == "openvino"
    assert record["device"]["version"] == openvino_version()
    assert "of the labels equal" in record["device"]["reason"]
    assert record["options"]["backend"] == "openvino"
    told = f"OpenVINO {openvino_version()} (f32) on cpu"
    assert json.loads((out / "summary.json").read_text())["computed_by"] == told
    assert f"Computed by {told}." in capsys.readouterr().out


def test_a_run_that_fell_back_tells_it_once_and_its_cases_are_ok(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(openvino_network.LIMITS, "f32", (1.1, 0.0))
    write(sample(), tmp_path / "scan.nii.gz")
    out = tmp_path / "out"
    assert ran("segment", tmp_path / "scan.nii.gz", "-o", out, "--device", "cpu") == 0
    record = json.loads((out / "scan.medseg.json").read_text())
    assert record["device"]["backend"] == "torch"
    assert "W_BACKEND_FALLBACK" in record["told_once"]
    assert record["state"] == "ok"
    assert "backend" not in record["options"]
    assert "[W_BACKEND_FALLBACK]" in capsys.readouterr().err


def test_a_recipe_keeps_the_backend():
    recipe = recipe_of_run(["a"], "b", RunOptions(backend="torch"))
    assert recipe.options["backend"] == "torch"
    assert run_of_recipe(recipe)[2].backend == "torch"
    assert "backend" not in recipe_of_run(["a"], "b", RunOptions()).options
