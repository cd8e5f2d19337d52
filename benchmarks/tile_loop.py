"""The tile loop against the bare forwards of the same network, and against MONAI's sliding window.

Run: ``python benchmarks/tile_loop.py [--size 96] [--rounds 5]``. Same network, tiles, overlap and threads; interleaved
rounds, the fastest of each. The ratio to the bare forwards is the price of cutting, blending and reporting; MONAI's
result must agree with ours, or its time does not count.
"""

from __future__ import annotations

import argparse
import platform
import resource
from itertools import product
from time import perf_counter

import monai
import numpy as np
import torch
from monai.inferers import sliding_window_inference

from medseg.models.card import Architecture
from medseg.nets.build import Shape, build
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.ops.tiles import starts
from medseg.progress import finish

PATCH = (40, 56, 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network, image = make_network(), make_image(options.size)
    ways = {"bare forwards": bare, "medseg": ours, "MONAI": peer}
    times: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for _ in range(options.rounds):
        for name, way in ways.items():
            begin = perf_counter()
            results[name] = way(network, image)
            times[name].append(perf_counter() - begin)
    best = {name: min(values) for name, values in times.items()}
    agreement = float((results["medseg"].argmax(0) == results["MONAI"].argmax(0)).mean())
    print(f"{platform.machine()}, {options.threads} thread(s), torch {torch.__version__}, MONAI {monai.__version__}")
    print(f"{'way':<15}{'seconds':>9}{'/ bare':>8}")
    for name, seconds in best.items():
        print(f"{name:<15}{seconds:>9.3f}{seconds / best['bare forwards']:>8.3f}")
    print(f"labels that agree with MONAI: {agreement:.6f}")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def make_network() -> torch.nn.Module:
    """Return the network of the hippocampus model with random weights."""
    torch.manual_seed(0)
    levels = 4
    options = {
        "filters": [16 * 2**i for i in range(levels)],
        "strides": [[1] * 3] + [[2] * 3] * (levels - 1),
        "kernels": [[3] * 3] * levels,
    }
    return build(Architecture(name="dynunet", options=options), shape=Shape(3, 1, 3)).eval()


def make_image(size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, size, size, size)).astype(np.float32)


@torch.inference_mode()
def bare(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    """Run the network on every tile and throw the answers away."""
    source = torch.from_numpy(image)[None]
    answer = source
    for place in product(*(starts(n, p, 0.5) for n, p in zip(image.shape[1:], PATCH, strict=True))):
        box = tuple(slice(s, s + p) for s, p in zip(place, PATCH, strict=True))
        answer = network(source[(slice(None), slice(None), *box)])
    return answer[0].numpy()


def ours(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    maps, _ = finish(predict_maps(network, image, options=TileOptions(PATCH, 3), device=torch.device("cpu")))
    return maps


@torch.inference_mode()
def peer(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    # MONAI clamps the product of the three blending factors, we clamp each factor: at faces of the image MONAI counts
    # the rims of tiles as much as their middles, so labels of a random network differ there
    result = sliding_window_inference(torch.from_numpy(image)[None], PATCH, 1, network, overlap=0.5, mode="gaussian")
    return result[0].numpy()


if __name__ == "__main__":
    main()
