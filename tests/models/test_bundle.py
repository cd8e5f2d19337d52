"""Model folders: data only, checked before they are believed."""

import json
import os
import struct

import numpy as np
import pytest

from medseg.errors import MedsegError, ModelError, UsageError
from medseg.models import registry
from medseg.models.bundle import load_bundle, read_card, save_bundle, with_card

CARD = {
    "name": "toy",
    "version": "1.0.0",
    "task": "semantic",
    "summary": "A toy.",
    "architecture": {"name": "unet", "options": {"filters": [4, 8], "strides": [[2, 2]]}},
    "input": {
        "channels": ["0"],
        "space": "image",
        "unit": "px",
        "patch": [16, 16],
        "normalisation": {"scheme": "zscore"},
    },
    "classes": {1: "thing"},
    "outputs": ["background", "thing"],
    "licence": "CC0-1.0",
    "training_data": {"name": "none", "licence": "CC0-1.0", "attribution": "nobody", "n_cases": 0},
}


@pytest.fixture
def folder(tmp_path):
    return save_bundle(tmp_path / "toy", card=CARD, tensors={"weight": np.ones((2, 3), np.float16)})


def test_a_model_folder_comes_back_as_it_was_written(folder):
    bundle = load_bundle(folder)
    assert bundle.card.classes == {1: "thing"}
    np.testing.assert_array_equal(bundle.tensors["weight"], np.ones((2, 3)))
    assert sorted(p.name for p in folder.iterdir()) == ["card.json", "model.safetensors"]
    assert sorted(p.name for p in folder.parent.iterdir()) == ["toy"]


def test_the_identity_changes_with_the_card_and_with_the_weights(folder, tmp_path):
    first = load_bundle(folder).sha256
    assert load_bundle(with_card(folder, summary="Another toy.")).sha256 != first
    other = save_bundle(tmp_path / "other", card=CARD, tensors={"weight": np.zeros((2, 3), np.float16)})
    assert load_bundle(other).sha256 != first


def edit_card(folder, change):
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))


SPOILED = {
    "python file": (lambda f: (f / "model.py").write_text("1"), "E_BUNDLE_UNSAFE"),
    "pickled weights": (lambda f: (f / "model.pt").write_bytes(b"PK"), "E_BUNDLE_UNSAFE"),
    "code in a folder": (lambda f: ((f / "configs").mkdir(), (f / "configs/x.yaml").write_text("")), "E_BUNDLE_UNSAFE"),
    "stray file": (lambda f: (f / "notes.txt").write_text("x"), "E_BUNDLE_INCOMPATIBLE"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "E_BUNDLE_INCOMPATIBLE"),
    "link": (lambda f: (f / "LICENSE").symlink_to("/etc/hostname"), "E_PATH_UNSAFE"),
    "other weights": (lambda f: (f / "model.safetensors").write_bytes(b"12345678"), "E_BUNDLE_INTEGRITY"),
    "unknown key": (lambda f: edit_card(f, lambda c: c.update(run="x")), "E_BUNDLE_INCOMPATIBLE"),
    "class zero": (lambda f: edit_card(f, lambda c: c.update(classes={"0": "x"})), "E_BUNDLE_INCOMPATIBLE"),
    "odd name": (lambda f: edit_card(f, lambda c: c.update(name="../x")), "E_BUNDLE_INCOMPATIBLE"),
    "no json": (lambda f: (f / "card.json").write_text("{"), "E_BUNDLE_INCOMPATIBLE"),
    "key twice": (lambda f: (f / "card.json").write_text('{"name": "a", "name": "b"}'), "E_BUNDLE_INCOMPATIBLE"),
    "not a number": (lambda f: (f / "card.json").write_text('{"name": NaN}'), "E_BUNDLE_INCOMPATIBLE"),
    "deep json": (lambda f: (f / "card.json").write_text("[" * 10_000 + "]" * 10_000), "E_BUNDLE_INCOMPATIBLE"),
    "a pipe for a card": (lambda f: ((f / "card.json").unlink(), os.mkfifo(f / "card.json")), "E_PATH_UNSAFE"),
    "a folder for a text": (lambda f: (f / "README.md").mkdir(), "E_BUNDLE_INCOMPATIBLE"),
    "a text without end": (lambda f: (f / "LICENSE").write_bytes(bytes(1_000_001)), "E_TOO_LARGE"),
    "a text that steers the terminal": (
        lambda f: edit_card(f, lambda c: c.update(summary="\x1b]0;evil\x07")),
        "E_BUNDLE_INCOMPATIBLE",
    ),
    "a name that turns round": (
        lambda f: edit_card(f, lambda c: c.update(classes={"1": "tumour\u202e"})),
        "E_BUNDLE_INCOMPATIBLE",
    ),
    "large card": (lambda f: (f / "card.json").write_text(" " * 1_000_001), "E_TOO_LARGE"),
}


@pytest.mark.parametrize(("spoil", "code"), SPOILED.values(), ids=SPOILED)
def test_a_spoiled_model_folder_is_refused(folder, spoil, code):
    spoil(folder)
    with pytest.raises(ModelError) as refusal:
        load_bundle(folder)
    assert refusal.value.code == code
    assert "nothing of it was run" in str(refusal.value)


BEYOND_REASON = {
    "a patch of a million": lambda c: c["input"].update(patch=[10**6, 10**6]),
    "a patch of nothing": lambda c: c["input"].update(patch=[]),
    "four axes": lambda c: c["input"].update(patch=[8, 8, 8, 8]),
    "a million classes": lambda c: c.update(classes={str(n): "x" for n in range(1, 50_000)}),
    "a class beyond all": lambda c: c.update(classes={str(2**40): "x"}),
    "a million answers": lambda c: c.update(outputs=["x"] * 100_000),
    "a million channels": lambda c: c["input"].update(channels=["x"] * 100_000),
    "no channel": lambda c: c["input"].update(channels=[]),
    "a spacing of nothing": lambda c: c["input"].update(spacing=[0.0, 1.0]),
    "a negative spacing": lambda c: c["input"].update(spacing=[-1.0, 1.0]),
    "a spacing too few": lambda c: c["input"].update(spacing=[1.0]),
    "an axis twice": lambda c: c["input"].update(orientation="RLS"),
    "a mirror beyond": lambda c: c["input"].update(mirror_axes=[7]),
    "a deviation of nothing": lambda c: c["input"]["normalisation"].update(std=0.0),
    "a percentile beyond": lambda c: c["input"]["normalisation"].update(percentiles=[-5, 100]),
}


@pytest.mark.parametrize("change", BEYOND_REASON.values(), ids=BEYOND_REASON)
def test_a_card_that_asks_beyond_reason_is_refused(folder, change):
    edit_card(folder, change)
    with pytest.raises(ModelError) as refusal:
        read_card(folder)
    assert refusal.value.code == "E_BUNDLE_INCOMPATIBLE"


def test_a_network_larger_than_its_weights_is_refused_before_room_is_made(folder):
    from medseg.learn.weights import load_network

    filters = [2048] * 10
    options = {"filters": filters, "strides": [[1, 1]] * 9}
    edit_card(folder, lambda c: c["architecture"].update(options=options))
    with pytest.raises(ModelError, match="of the card's network") as refusal:
        load_network(load_bundle(folder))
    assert refusal.value.code == "E_BUNDLE_INTEGRITY"


def test_texts_of_a_data_set_do_not_stop_its_training(tmp_path):
    card = {**CARD, "classes": {1: "left\x07 lung"}}
    saved = save_bundle(tmp_path / "toy", card=card, tensors={"weight": np.ones((2, 3), np.float16)})
    assert load_bundle(saved).card.classes == {1: r"left\u0007 lung"}


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    with pytest.raises(ModelError, match="not numbers") as refusal:
        save_bundle(tmp_path / "toy", card=CARD, tensors={"weight": np.full(3, np.nan, np.float16)})
    assert refusal.value.code == "E_BUNDLE_INTEGRITY"
    assert not (tmp_path / "toy").exists()


def test_a_header_of_impossible_length_is_refused(folder):
    import hashlib

    weights = struct.pack("<Q", 2**60) + b"{}"
    (folder / "model.safetensors").write_bytes(weights)
    edit_card(folder, lambda c: c.update(weights_sha256=hashlib.sha256(weights).hexdigest()))
    with pytest.raises(ModelError) as refusal:
        load_bundle(folder)
    assert refusal.value.code == "E_BUNDLE_INTEGRITY"


def test_hostile_model_folders_are_refused_and_nothing_of_them_runs(hostile, tmp_path, monkeypatch):
    corpus, cases = hostile
    monkeypatch.chdir(tmp_path)
    folders = [c for c in cases if c["group"] == "bundle" and c["path"]]
    assert folders
    for case in folders:
        with pytest.raises(MedsegError) as refusal:
            load_bundle(corpus / case["path"])
        assert refusal.value.code == case["expect"]["code"], case["id"]
    assert not list(tmp_path.rglob("medseg_canary"))
    assert not list(corpus.rglob("medseg_canary"))


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_model_is_added_found_listed_and_removed(folder, models):
    assert registry.add(folder).name == "toy"
    assert registry.find("toy") == models / "toy"
    assert "toy" in [c.name for c in registry.listed()]
    with pytest.raises(UsageError) as refusal:
        registry.add(folder)
    assert refusal.value.code == "E_OUTPUT_EXISTS"
    registry.remove("toy")
    with pytest.raises(ModelError):
        registry.find("toy")


NAMES = {
    "http://example.org/model.zip": "E_NETWORK_REFUSED",
    "/srv/evil": "E_PATH_UNSAFE",
    "../evil": "E_PATH_UNSAFE",
    "a b": "E_PATH_UNSAFE",
    "nosuchmodel": "E_BUNDLE_INCOMPATIBLE",
}


@pytest.mark.parametrize(("name", "code"), NAMES.items(), ids=NAMES)
def test_names_that_are_no_models_are_refused(models, name, code):
    with pytest.raises(ModelError) as refusal:
        registry.find(name)
    assert refusal.value.code == code


def test_a_near_name_is_offered(folder, models):
    registry.add(folder)
    with pytest.raises(ModelError, match="Did you mean 'toy'"):
        registry.find("toyy")


def test_the_card_can_be_read_without_the_weights(folder):
    assert read_card(folder).name == "toy"
