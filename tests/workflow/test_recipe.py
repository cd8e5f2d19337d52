"""A recipe is plain data: what it holds is checked, and what it saves it gives back."""

import pytest

from medseg.errors import UsageError
from medseg.instance.choice import SplitChoice
from medseg.io.options import ReadOptions
from medseg.measure.positive import Positive
from medseg.workflow.options import RunOptions
from medseg.workflow.recipe import (
    MAX_BYTES,
    Recipe,
    load_recipe,
    recipe_of_run,
    recipe_of_split,
    run_of_recipe,
    save_recipe,
    split_of_recipe,
)

GOOD = "verb: segment\noptions:\n  inputs: [scans]\n  out: results\n"


def test_a_run_survives_its_recipe(tmp_path):
    options = RunOptions(
        model="models/mine",
        read=ReadOptions(channel=1, pixel_size=(0.5, 0.25), form="sform"),
        tta=True,
        roi=((0, 5), (2, 9), (1, 3)),
        format="nrrd",
        resume=True,
    )
    inputs = ["scans/*.nii.gz", "new\nline", "caf\udce9"]
    save_recipe(recipe_of_run(inputs, "results", options), tmp_path / "r.yaml")
    again, out, restored = run_of_recipe(load_recipe(tmp_path / "r.yaml"))
    assert (again, str(out), restored) == (inputs, "results", options)


def test_a_count_survives_its_recipe(tmp_path):
    options = RunOptions(
        model="nuclei",
        counts=True,
        split="components",
        diameter=12.5,
        positive=Positive("dab", 0.25),
        splitting=SplitChoice(min_size=3.0),
    )
    save_recipe(recipe_of_run(["images"], "counts", options), tmp_path / "r.yaml")
    loaded = load_recipe(tmp_path / "r.yaml")
    assert loaded.verb == "count"
    assert "model" not in loaded.options
    assert run_of_recipe(loaded)[2] == options


def test_a_list_of_one_model_is_that_model(tmp_path):
    (tmp_path / "r.yaml").write_text(GOOD + "  model: [models/mine]\n")
    assert run_of_recipe(load_recipe(tmp_path / "r.yaml"))[2].model == "models/mine"
    (tmp_path / "r.yaml").write_text(GOOD + "  model: [a, b]\n")
    assert run_of_recipe(load_recipe(tmp_path / "r.yaml"))[2].model == ("a", "b")


def test_a_splitting_survives_its_recipe(tmp_path):
    options = RunOptions(
        model="split-components",
        device="cpu",
        split="components",
        only_objects=True,
        splitting=SplitChoice(min_size=3.0),
    )
    save_recipe(recipe_of_split(["masks"], "objects", options), tmp_path / "r.yaml")
    loaded = load_recipe(tmp_path / "r.yaml")
    assert loaded.options == {"inputs": ["masks"], "out": "objects", "method": "components", "min_size": 3.0}
    assert split_of_recipe(loaded)[2] == options


def test_a_saved_recipe_holds_only_what_differs_from_the_defaults(tmp_path):
    save_recipe(recipe_of_run(["scans"], "results", RunOptions(tta=True)), tmp_path / "r.yaml")
    assert load_recipe(tmp_path / "r.yaml").options == {"inputs": ["scans"], "out": "results", "tta": True}


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("measure", {"labels": "a.nii", "out": "t.csv"}),
        ("evaluate", {"predictions": "p", "references": "r"}),
        ("plan", {"dataset": "d"}),
        ("train", {"dataset": "d", "out": "m", "minutes": 5}),
    ],
)
def test_every_verb_has_its_options(tmp_path, verb, options):
    save_recipe(Recipe(verb=verb, options=options), tmp_path / "r.yaml")
    assert load_recipe(tmp_path / "r.yaml").options == options


SPOILED = {
    "an unknown verb": (GOOD.replace("segment", "fly"), "verb"),
    "an unknown key": (GOOD + "evil: 1\n", "evil"),
    "an unknown option": (GOOD + "  colour: red\n", "colour"),
    "a missing option": (GOOD.replace("  out: results\n", ""), "out: Field required"),
    "a wrong type": (GOOD + "  batch: many\n", "batch"),
    "a number that is none": (GOOD + "  pixel_size: [.nan]\n", "pixel_size"),
    "an option of another verb": (GOOD + "  minutes: 5\n", "minutes"),
    "an alias": ("a: &x [1]\nb: *x\n", "alias"),
    "a key twice": (GOOD + "verb: train\n", "stands twice"),
    "a program": ("!!python/object/apply:os.system [ls]\n", "no plain YAML"),
    "a tag": ("verb: !secret 1\n", "no plain YAML"),
    "a deep list": ("[" * 500, "deep"),
    "broken YAML": ("a: [1, 2\nb: }", "no plain YAML"),
    "two documents": (GOOD + "---\n" + GOOD, "no plain YAML"),
    "bytes that are no text": (b"\xff\xfe\xfa", "no text"),
    "nothing": ("", "Input should be"),
    "too much": ("#" * (MAX_BYTES + 1), "more than"),
}


@pytest.mark.parametrize(("text", "found"), SPOILED.values(), ids=SPOILED)
def test_anything_else_is_refused_and_told(tmp_path, text, found):
    path = tmp_path / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match="E_USAGE") as caught:
        load_recipe(path)
    assert found in caught.value.found


def test_a_bomb_of_aliases_is_refused_at_once(tmp_path):
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    (tmp_path / "r.yaml").write_text("\n".join(lines))
    with pytest.raises(UsageError, match="alias"):
        load_recipe(tmp_path / "r.yaml")


def test_a_recipe_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_recipe(tmp_path / "r.yaml")


def test_a_recipe_for_another_verb_is_not_run_as_a_segmentation():
    with pytest.raises(UsageError, match="a recipe for plan"):
        run_of_recipe(Recipe(verb="plan", options={"dataset": "d"}))
