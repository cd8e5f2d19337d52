"""Every network of the visible table, in 2-D and 3-D."""

import pytest
import torch

from medseg.errors import ModelError
from medseg.models.card import Architecture
from medseg.nets.build import ARCHITECTURES, Shape, build


def options_of(name, n_axes):
    strides = [[1] * n_axes, [2] * n_axes, [2] * n_axes]
    if name == "unet":
        return {"filters": [4, 8, 8], "strides": strides[1:]}
    return {"filters": [4, 8, 8], "strides": strides, "kernels": [[3] * n_axes] * 3}


@pytest.mark.parametrize("n_axes", [2, 3])
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_network_learns_from_a_loss_and_answers_on_the_input_grid(name, n_axes):
    network = build(Architecture(name=name, options=options_of(name, n_axes)), shape=Shape(n_axes, 2, 3))
    image = torch.randn(2, 2, *(8,) * n_axes)
    network.train()(image).square().mean().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(g).all() for g in gradients)
    assert any(g.abs().max() > 0 for g in gradients)
    with torch.inference_mode():
        assert network.eval()(image).shape == (2, 3, *(8,) * n_axes)


SPOILED = {
    "unknown name": ("resnet", {}, "resnet"),
    "unknown option": ("unet", {"filters": [4, 8], "strides": [[2, 2]], "import": "os"}, "import"),
    "missing option": ("dynunet", {"filters": [4, 4, 4]}, "strides"),
    "levels that do not fit": (
        "dynunet",
        {"filters": [4, 4, 4], "strides": [[1, 1]], "kernels": [[3, 3]]},
        "per level",
    ),
    "too few levels": ("dynunet", {"filters": [4], "strides": [[1, 1]], "kernels": [[3, 3]]}, "filters"),
    "a network that eats the memory": ("unet", {"filters": [4, 10**9], "strides": [[2, 2]]}, "2048"),
}


@pytest.mark.parametrize(("name", "options", "word"), SPOILED.values(), ids=SPOILED)
def test_a_wrong_architecture_is_refused_in_words(name, options, word):
    with pytest.raises(ModelError, match=word) as refusal:
        build(Architecture(name=name, options=options), shape=Shape(2, 1, 2))
    assert refusal.value.code == "E_BUNDLE_INCOMPATIBLE"
