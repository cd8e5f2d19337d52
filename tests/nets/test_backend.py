"""Which library computes: told plainly, refused in words, and never at the price of the answer."""

import json

import pytest
import torch
from openvino_there import needs_openvino
from torch import nn

from medseg.errors import UsageError
from medseg.models.bundle import load_bundle
from medseg.models.registry import find
from medseg.nets import backend
from medseg.nets.backend import Backend, check_backend, equipped, in_use, openvino_version

CPU = torch.device("cpu")


def card_of(name="hippocampus"):
    return load_bundle(find(name)).card


class Fickle(nn.Module):
    """Never answers the same twice."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, tiles):
        self.calls += 1
        return tiles * float(self.calls)


def computed(network, asked, name="hippocampus"):
    return equipped(network, card_of(name), asked=asked, device=CPU, n_labels=1)


def test_pytorch_is_taken_where_it_is_asked_for():
    network = nn.Identity()
    assert computed(network, "torch") == (network, Backend("torch", torch.__version__, None, "asked for"))


def test_auto_takes_pytorch_silently_where_openvino_is_not_installed(monkeypatch):
    monkeypatch.setattr(backend, "openvino_version", lambda: "")
    _, found = computed(nn.Identity(), "auto")
    assert (found.name, found.reason, found.notices) == ("torch", "OpenVINO is not installed", ())


def test_auto_takes_pytorch_silently_for_a_detector():
    _, found = computed(nn.Identity(), "auto", "nuclei_maskrcnn")
    assert found.name == "torch"
    assert "detector" in found.reason
    assert found.notices == ()


@needs_openvino
def test_auto_takes_openvino_where_it_agrees():
    network, found = computed(nn.Conv3d(1, 3, 3, padding=1).eval(), "auto")
    assert (found.name, found.version, found.precision) == ("openvino", openvino_version(), "f32")
    assert "1.000000 of the labels equal" in found.reason
    assert str(found) == f"OpenVINO {openvino_version()} (f32)"
    assert json.loads(json.dumps(found.as_dict())) == found.as_dict()
    assert in_use(network, found) is found


@needs_openvino
@pytest.mark.parametrize("asked", ["auto", "openvino"])
def test_a_network_that_disagrees_is_computed_by_pytorch_with_a_warning(asked):
    network = Fickle()
    made, found = computed(network, asked)
    assert made is network
    assert found.name == "torch"
    (notice,) = found.notices
    assert notice.code == "W_BACKEND_FALLBACK"
    assert "did not answer as PyTorch does" in notice.text


@needs_openvino
def test_a_failure_while_computing_is_told_afterwards():
    network, found = computed(nn.Conv3d(1, 3, 3, padding=1).eval(), "auto")
    network.problem = "the plugin gave up"
    now = in_use(network, found)
    assert now.name == "torch"
    assert [notice.code for notice in now.notices] == ["W_BACKEND_FALLBACK"]


@pytest.mark.parametrize(
    ("asked", "name", "device", "told"),
    [
        ("tensorrt", "hippocampus", "cpu", "auto or torch or openvino"),
        ("openvino", "nuclei_maskrcnn", "cpu", "a detector answers with objects"),
        ("openvino", "hippocampus", "cuda", "the device is cuda"),
    ],
)
def test_what_cannot_be_is_refused_in_words(asked, name, device, told):
    with pytest.raises(UsageError, match=told):
        check_backend(asked, card_of(name), device)


def test_openvino_that_is_not_installed_is_refused_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(backend, "openvino_version", lambda: "")
    with pytest.raises(UsageError, match=r"OpenVINO is not installed.*pip install \"medseg\[openvino\]\""):
        check_backend("openvino", card_of(), "cpu")


@needs_openvino
def test_bfloat16_is_refused_on_a_processor_without_it(monkeypatch):
    monkeypatch.setattr("medseg.nets.device.fast_half", lambda device: False)
    with pytest.raises(UsageError, match="without bfloat16"):
        check_backend("openvino-bf16", card_of(), "cpu")
    check_backend("openvino", card_of(), "cpu")
