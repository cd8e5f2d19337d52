"""From maps per class to labels on the native grid: ours against enlarging the maps and taking the argmax.

Run: ``PYTHONPATH=. python benchmarks/logits_to_labels.py [--classes 25] [--planes 100] [--rounds 3] [--threads 2]``.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from side_by_side import compare, describe, set_threads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=25)
    parser.add_argument("--planes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skimage", action="store_true", help="also nnU-Net's default way, which takes minutes")
    options = parser.parse_args()
    set_threads(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    describe(options.threads, "numpy", "numba", "torch", "scikit-image")
    maps = organs(options.classes, (options.planes, 182, 182))
    shape = (options.planes, 341, 341)
    print(f"{maps.shape} float32 to labels {shape}")
    compare("logits to labels", ways(maps, shape, with_skimage=options.skimage), unequal, options.rounds)


def organs(n_classes: int, shape: tuple[int, ...]) -> Any:
    """Return logits of blobs: minus the distance to a centre, in units of the blob's size; class 0 is the rest."""
    import numpy as np

    rng = np.random.default_rng(11)
    axes = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    maps = np.zeros((n_classes, *shape), dtype=np.float32)
    for c in range(1, n_classes):
        centre = rng.random(3) * shape
        size = rng.uniform(0.08, 0.2) * np.array(shape)
        away = sum(((a - m) / s) ** 2 for a, m, s in zip(axes, centre, size, strict=True))
        maps[c] = 4 * (1 - np.sqrt(away))
    maps += rng.normal(size=maps.shape, scale=0.05).astype(np.float32)
    return maps


def ways(maps: Any, shape: tuple[int, ...], *, with_skimage: bool) -> dict[str, Any]:
    import numpy as np
    import torch
    from skimage.transform import resize

    from medseg.ops.argmax import labels_from_maps

    batch = torch.from_numpy(maps)[None]
    interpolate = torch.nn.functional.interpolate

    def whole() -> Any:
        return interpolate(batch, size=shape, mode="trilinear")[0].argmax(0).to(torch.uint8).numpy()

    def class_by_class() -> Any:
        best = interpolate(batch[:, :1], size=shape, mode="trilinear")[0, 0]
        labels = torch.zeros(shape, dtype=torch.uint8)
        for c in range(1, maps.shape[0]):
            value = interpolate(batch[:, c : c + 1], size=shape, mode="trilinear")[0, 0]
            better = value > best
            labels[better] = c
            best = torch.maximum(best, value)
        return labels.numpy()

    def by_skimage() -> Any:
        grown = [resize(m.astype(np.float64), shape, 1, mode="edge", anti_aliasing=False) for m in maps]
        return np.stack(grown).argmax(0).astype(np.uint8)

    def uncompiled() -> Any:
        os.environ["NUMBA_DISABLE_JIT"] = "1"
        try:
            return labels_from_maps(maps, shape)
        finally:
            del os.environ["NUMBA_DISABLE_JIT"]

    found = {
        "ours": lambda: labels_from_maps(maps, shape),
        "F.interpolate, then argmax (nnU-Net, torch)": whole,
        "F.interpolate class by class": class_by_class,
        "ours without the compiler": uncompiled,
    }
    return found | ({"scikit-image, then argmax (nnU-Net default)": by_skimage} if with_skimage else {})


def unequal(found: Any, reference: Any) -> str:
    return f"{(found != reference).sum()} of {reference.size} voxels differ"


if __name__ == "__main__":
    main()
