"""OpenVINO answers as PyTorch does, or is not used."""

import os
import subprocess
import sys

import pytest
import torch
from openvino_there import needs_openvino
from torch import nn

from medseg.models.card import Architecture
from medseg.nets import openvino_network
from medseg.nets.build import build
from medseg.nets.ensemble import Ensemble
from medseg.nets.openvino_network import MOST_SHAPES, DisagreementError, OpenVinoNetwork, agreement, check_tile
from medseg.nets.shape import Shape

pytestmark = needs_openvino

OPTIONS = {
    "unet": {"filters": [4, 8, 8], "strides": [[2, 2], [2, 2]]},
    "dynunet": {
        "filters": [4, 8, 8],
        "strides": [[1, 1], [2, 2], [2, 2]],
        "kernels": [[3, 3]] * 3,
        "norm": "batch",
    },
}


def network_of(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    built = build(Architecture(name=name, options=OPTIONS[name]), shape=Shape(2, 2, 3))
    return built.eval().requires_grad_(requires_grad=False)


class ByShape(nn.Module):
    """Answers otherwise for large tiles, by a decision that tracing freezes."""

    def forward(self, tiles):
        return tiles * 2.0 if tiles.shape[-1] <= 32 else tiles * -3.0


class Fickle(nn.Module):
    """Never answers the same twice."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, tiles):
        self.calls += 1
        return tiles * float(self.calls)


class Unconvertible(nn.Module):
    """Does what OpenVINO has no word for."""

    def forward(self, tiles):
        return torch.special.bessel_j1(tiles)


@pytest.mark.parametrize("name", sorted(OPTIONS))
@pytest.mark.parametrize("shape", [(48, 40), (64, 96)])
def test_tiles_of_any_size_are_answered_as_by_pytorch(name, shape):
    network = network_of(name)
    ours = OpenVinoNetwork(network, n_in=2, patch=(48, 40), n_labels=3)
    tiles = torch.randn(3, 2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found, wanted = ours(tiles), network(tiles)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert not ours.problem


def test_several_networks_as_one_are_converted_together():
    both = Ensemble([network_of("unet", 0), network_of("unet", 1)]).eval()
    tile = check_tile(2, (48, 40))
    with torch.inference_mode():
        found = OpenVinoNetwork(both, n_in=2, patch=(48, 40), n_labels=3)(tile)
        torch.testing.assert_close(found, both(tile), atol=1e-4, rtol=1e-4)


def test_an_answer_outlives_the_next_one():
    ours = OpenVinoNetwork(network_of("unet"), n_in=2, patch=(48, 40), n_labels=3)
    first = ours(check_tile(2, (48, 40)))
    kept = first.clone()
    ours(torch.zeros(1, 2, 48, 40))
    assert torch.equal(first, kept)


def test_what_the_trace_froze_is_noticed_and_the_network_converted_shape_by_shape():
    ours = OpenVinoNetwork(ByShape(), n_in=2, patch=(48, 40), n_labels=2)
    for side in (32, 48, 16, 64, 80, 24):
        with torch.inference_mode():  # as the tile loop asks
            tile = check_tile(2, (side, side))
            torch.testing.assert_close(ours(tile), ByShape()(tile))
    assert not ours.problem
    assert len(ours._by_shape) == MOST_SHAPES


def test_a_network_of_small_patches_is_right_on_large_tiles():
    ours = OpenVinoNetwork(ByShape(), n_in=1, patch=(32, 32), n_labels=1)
    tile = check_tile(1, (64, 64))
    torch.testing.assert_close(ours(tile), tile * -3.0)


def test_another_answer_is_never_used():
    with pytest.raises(DisagreementError, match=r"did not answer as PyTorch does \(.* of the labels equal"):
        OpenVinoNetwork(Fickle(), n_in=1, patch=(48, 40), n_labels=1)


def test_a_network_that_cannot_be_converted_is_left_to_pytorch():
    with pytest.raises(DisagreementError, match="could not be converted: No conversion rule found for operations"):
        OpenVinoNetwork(Unconvertible(), n_in=1, patch=(48, 40), n_labels=1)


@pytest.mark.parametrize("fault", ["raises", "not a number"])
def test_pytorch_goes_on_where_openvino_fails_later(fault, monkeypatch):
    network = network_of("unet")
    ours = OpenVinoNetwork(network, n_in=2, patch=(48, 40), n_labels=3)

    def failing(request, tile):
        if fault == "raises":
            raise RuntimeError("at a long place:\nthe plugin gave up\n")
        return torch.full((1, 3, 48, 40), float("nan"))

    monkeypatch.setattr(openvino_network, "_inferred", failing)
    tile = check_tile(2, (48, 40))
    assert torch.equal(ours(tile), network(tile))
    assert ours.problem == {"raises": "the plugin gave up"}.get(fault, "it answered with values that are not numbers")
    assert torch.equal(ours(tile), network(tile))


def test_agreement_sees_one_other_label_one_other_value_and_no_numbers():
    reference = torch.zeros(1, 2, 100, 100)
    reference[:, 0] = 1.0
    other = reference.clone()
    other[0, 1, :2, 0] = 1.0005
    assert agreement(reference, reference, n_labels=2).suffices("f32")
    assert not agreement(other, reference, n_labels=2).suffices("f32")
    assert agreement(other + 0.0, reference, n_labels=1).share == 1.0
    assert not agreement(reference + 0.01, reference, n_labels=2).suffices("f32")
    assert agreement(reference + 0.01, reference, n_labels=2).suffices("bf16")
    assert not agreement(reference * float("nan"), reference, n_labels=2).suffices("bf16")
    assert not agreement(reference[..., :50], reference, n_labels=2).suffices("bf16")


SCRIPT = """
import socket, sys
def refuse(*a, **k):
    raise AssertionError("a connection was tried")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import torch
from torch import nn
from medseg.nets.openvino_network import OpenVinoNetwork
network = nn.Conv2d(1, 2, 3, padding=1).eval().requires_grad_(False)
OpenVinoNetwork(network, n_in=1, patch=(40, 40), n_labels=2)(torch.zeros(1, 1, 40, 40))
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__, "openvino_telemetry" in sys.modules)
"""


def test_nothing_is_told_to_anybody(tmp_path):
    # by itself OpenVINO reports every import and conversion to a server, unless CI is set
    quiet = {"CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL"}
    environment = {k: v for k, v in os.environ.items() if k not in quiet} | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "False"], done.stderr
    assert not (tmp_path / "intel").exists()
