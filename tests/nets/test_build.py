"""Every network of the visible table, in 2-D and 3-D."""

import pytest
import torch

from medseg.errors import ModelError
from medseg.models.card import Architecture
from medseg.nets.build import ARCHITECTURES, build
from medseg.nets.shape import Shape

FIXED = {
    "unetplusplus": {"filters": [4, 4, 8, 8, 8]},
    "vnet": {},
    "segresnet": {"width": 8, "blocks": [1, 1]},
    "swinunetr": {"width": 12},
    "mednext": {"width": 4, "blocks": [1, 1]},
}


def options_of(name, n_axes):
    strides = [[1] * n_axes, [2] * n_axes, [2] * n_axes]
    if name in ("unet", "attentionunet"):
        return {"filters": [4, 8, 8], "strides": strides[1:]}
    if name in FIXED:
        return FIXED[name]
    return {"filters": [4, 8, 8], "strides": strides, "kernels": [[3] * n_axes] * 3}


@pytest.mark.parametrize("n_axes", [2, 3])
@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"maskrcnn"}))  # tests/nets/maskrcnn: answers with objects
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


@pytest.mark.parametrize("name", sorted({"attentionunet", *FIXED} - {"vnet"}))
def test_a_patch_of_any_size_is_padded_and_cut_back_to_its_place(name):
    network = build(Architecture(name=name, options=options_of(name, 2)), shape=Shape(2, 1, 2)).eval()
    image = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    image[..., 52:] = image[..., 51:52]
    image[..., :8] = image[..., 8:9]
    with torch.inference_mode():
        assert network(image[..., :51, 8:52]).shape == (1, 2, 51, 44)
        if network.multiple <= 16:  # the repeated edges are what the smaller image is padded with
            m = network.multiple
            wide = max(2 * m, -(-44 // m) * m)
            before = (wide - 44) // 2
            whole = network.network(image[..., 8 - before : 8 - before + wide])
            whole = whole[0] if isinstance(whole, list) else whole
            torch.testing.assert_close(network(image[..., 8:52]), whole[..., before : before + 44])


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
