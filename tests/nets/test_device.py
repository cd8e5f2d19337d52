"""Where to compute: what is asked for, or a sentence."""

import numpy as np
import pytest
import torch

from medseg.errors import UsageError
from medseg.nets.device import choose, fast_half
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.progress import finish


def test_auto_always_finds_a_device_and_cpu_is_always_there():
    assert choose("auto").type in ("cpu", "cuda", "mps")
    assert choose("cpu") == torch.device("cpu")
    assert isinstance(fast_half(choose("cpu")), bool)


@pytest.mark.parametrize("name", ["gpu9000", ""])
def test_a_device_that_is_not_there_is_refused_with_the_choices(name):
    with pytest.raises(UsageError, match="auto"):
        choose(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_is_never_silently_replaced():
    with pytest.raises(UsageError, match="not there"):
        choose("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize(("half", "share"), [(False, 0.999), (True, 0.995)])
def test_cpu_and_gpu_agree(half, share):
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv3d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(8, 3, 3, padding=1)
    )
    image = np.random.default_rng(0).normal(size=(1, 48, 40, 40)).astype(np.float32)
    slow, _ = finish(predict_maps(network, image, options=TileOptions((32, 32, 32), 3), device=choose("cpu")))
    options = TileOptions((32, 32, 32), 3, half=half)
    quick, _ = finish(predict_maps(network, image, options=options, device=choose("cuda")))
    assert (slow.argmax(0) == quick.argmax(0)).mean() >= share
