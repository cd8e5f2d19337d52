"""Several models that answer as one: the mean by brute force, whatever their order, the tiling or the task."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from segmenting import long_scan, sample

from medseg.errors import ResourceError
from medseg.grid import image_grid
from medseg.learn.weights import load_network
from medseg.models.bundle import load_bundle, save_bundle
from medseg.models.registry import find
from medseg.nets.ensemble import Ensemble
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.pipeline import SegmentOptions, load_model, segment_steps
from medseg.progress import finish
from medseg.semantic import memory
from medseg.volume import Volume


def relative_of(name, folder, seed):
    """Return a model whose weights are a little unlike those of a model that comes with medseg."""
    bundle = load_bundle(find(name))
    rng = np.random.default_rng(seed)
    tensors = {
        key: (value * rng.normal(1.0, 0.05, value.shape)).astype(value.dtype) if value.dtype.kind == "f" else value
        for key, value in bundle.tensors.items()
    }
    card = bundle.card.model_dump(exclude={"weights_sha256"}) | {"name": folder.name, "probe_output": ()}
    return str(save_bundle(folder, card=card, tensors=tensors))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("relatives")
    return {name: relative_of(name, root / f"{name}_b", 1) for name in ("hippocampus", "nuclei")}


def cells():
    places = np.indices((96, 120)).astype(float)
    picture = np.zeros((96, 120), np.float32)
    for row, column, radius in ((20, 22, 11), (24, 44, 12), (70, 30, 14), (60, 80, 10), (30, 96, 13)):
        picture[(places[0] - row) ** 2 + 1.3 * (places[1] - column) ** 2 < radius**2] = 0.8
    picture += np.random.default_rng(0).normal(0, 0.02, picture.shape).astype(np.float32)
    return Volume(picture[None], image_grid(picture.shape, (0.5, 0.4), "um"))


IMAGES = {"hippocampus": sample, "nuclei": cells}
BOTH = pytest.mark.parametrize("name", sorted(IMAGES))


def segmented(volume, names, **options):
    return finish(segment_steps(volume, load_model(names, device="cpu"), SegmentOptions(save_maps=True, **options)))


@BOTH
def test_a_model_with_itself_answers_as_it_does_alone(name):
    image = IMAGES[name]()
    alone, twice = segmented(image, name), segmented(image, [name, name])
    np.testing.assert_array_equal(twice.labels.array, alone.labels.array)
    np.testing.assert_array_equal(twice.maps.array, alone.maps.array)
    assert twice.warnings == alone.warnings


@BOTH
def test_the_order_of_the_models_changes_no_digit_and_no_identity(name, folders):
    image, one, other = IMAGES[name](), name, folders[name]
    a, b = segmented(image, [one, other]), segmented(image, [other, one])
    np.testing.assert_array_equal(a.maps.array, b.maps.array)
    np.testing.assert_array_equal(a.labels.array, b.labels.array)
    first, second = load_model([one, other], device="cpu"), load_model([other, one], device="cpu")
    assert first.folder_sha256 == second.folder_sha256 != load_model(one, device="cpu").folder_sha256
    assert [sha for _, sha in first.members] == sorted(load_bundle(find(n)).sha256 for n in (one, other))


@pytest.mark.parametrize("mirror_axes", [(), (0, 2)])
def test_the_answer_is_the_mean_of_the_members_answers_by_brute_force(folders, mirror_axes):
    networks = [load_network(load_bundle(find(n))) for n in ("hippocampus", folders["hippocampus"])]
    image = np.random.default_rng(2).normal(size=(1, 40, 36, 50)).astype(np.float32)
    tiles = TileOptions((32, 32, 32), 3, overlap=0.25, batch=2, mirror_axes=mirror_axes)
    cpu = torch.device("cpu")
    single = [finish(predict_maps(network, image, options=tiles, device=cpu))[0] for network in networks]
    together, _ = finish(predict_maps(Ensemble(networks), image, options=tiles, device=cpu))
    assert np.abs(single[0] - single[1]).max() > 0.1
    np.testing.assert_allclose(together, (single[0] + single[1]) / 2, atol=2e-4)


def test_objects_of_two_models_lie_on_the_image_and_split_as_objects_of_one(folders):
    image = cells()
    found = segmented(image, ["nuclei", folders["nuclei"]], diameter=11.0)
    assert found.instances.grid.same_as(image.grid)
    assert len(found.instances.segments) == 5


def test_a_box_and_mirrored_views_work_as_with_one_model(folders):
    names, scan = ["hippocampus", folders["hippocampus"]], sample()
    box = ((3, 33), (2, 40), (4, 30))
    labels = segmented(scan, names, tta=True, roi=box).labels
    assert labels.grid.same_as(scan.grid)
    assert labels.array.any()
    outside = labels.array.copy()
    outside[tuple(slice(*b) for b in box)] = 0
    assert not outside.any()


def test_a_scan_unlike_the_training_of_any_member_is_told_once(folders, tmp_path):
    strange = replace(sample(), array=np.flip(sample().array, axis=3).copy())
    alone, together = (
        # what one model can expect of its results was not learned for several
        [notice for notice in segmented(strange, model).warnings if notice.code != "W_LOW_CONFIDENCE"]
        for model in ("hippocampus", ["hippocampus", folders["hippocampus"]])
    )
    assert any(n.code == "W_OUT_OF_DISTRIBUTION" for n in alone)
    assert together == alone
    bundle = load_bundle(find("hippocampus"))
    narrow = bundle.card.fingerprint.model_copy(update={"spacing_high": (0.1, 0.1, 0.1)})
    card = bundle.card.model_dump(exclude={"weights_sha256"}) | {"name": "narrow", "fingerprint": narrow.model_dump()}
    folder = save_bundle(tmp_path / "narrow", card=card, tensors=bundle.tensors)
    told = [n.text for n in segmented(sample(), ["hippocampus", str(folder)]).warnings]
    assert len(told) == len(set(told)) == 1
    assert "0.1" in told[0]


def test_too_little_memory_is_refused_before_anything_is_computed(folders, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1_000_000)
    with pytest.raises(ResourceError, match="what is free now"):
        next(segment_steps(long_scan(), load_model(["hippocampus", folders["hippocampus"]], device="cpu")))
