"""``medseg segment`` with several models: recorded one by one, resumed in any order, repeated from a recipe."""

import json

import pytest

from medseg.models.bundle import load_bundle, save_bundle
from medseg.workflow.recipe import load_recipe, run_of_recipe


@pytest.fixture(scope="module")
def other(model, tmp_path_factory):
    """Return a model that differs a little from the trained one."""
    bundle = load_bundle(model)
    tensors = {k: (v * 1.02).astype(v.dtype) if v.dtype.kind == "f" else v for k, v in bundle.tensors.items()}
    card = bundle.card.model_dump(exclude={"weights_sha256"}) | {"name": "other", "probe_output": ()}
    return save_bundle(tmp_path_factory.mktemp("others") / "other", card=card, tensors=tensors)


def together(medseg, scan, out, *models, options=()):
    named = [word for model in models for word in ("-m", model)]
    return medseg("segment", scan, "-o", out, *named, "--device", "cpu", *options)


def test_each_model_is_recorded_and_the_order_does_not_matter_for_resuming(medseg, model, other, scans, tmp_path):
    out, recipe = tmp_path / "out", tmp_path / "again.yaml"
    done = together(medseg, scans / "a.nii.gz", out, model, other, options=("--save-recipe", recipe))
    assert done.code == 0, done.err
    record = out / "a.medseg.json"
    told = json.loads(record.read_text())["model"]
    assert told["name"] == "boxes-and-other"
    assert {m["name"]: m["sha256"] for m in told["members"]} == {
        name: load_bundle(folder).sha256 for name, folder in (("boxes", model), ("other", other))
    }
    before = record.read_bytes()
    assert together(medseg, scans / "a.nii.gz", out, other, model, options=["--resume"]).code == 0
    assert record.read_bytes() == before
    assert together(medseg, scans / "a.nii.gz", out, model, options=["--resume"]).code == 0
    alone = json.loads(record.read_text())["model"]
    assert (alone["name"], alone["members"]) == ("boxes", [])
    assert medseg("verify", out).code == 0
    _, _, options = run_of_recipe(load_recipe(recipe))
    assert options.model == (str(model), str(other))


def test_models_that_do_not_fit_segment_nothing(medseg, model, scans, tmp_path):
    done = together(medseg, scans / "a.nii.gz", tmp_path / "out", model, "hippocampus")
    assert done.code == 2
    assert "which differ in" in done.err
    assert not (tmp_path / "out").exists()
    done = medseg("count", scans / "a.nii.gz", "-o", tmp_path / "out", "-m", "nuclei_maskrcnn", "-m", "nuclei")
    assert done.code == 2
    assert "differ in the task" in done.err or "detector" in done.err
