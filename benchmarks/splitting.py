"""Touching cells apart: ours against SciPy and scikit-image, step by step and the whole chain, and growth with size.

    python benchmarks/splitting.py [--shapes 1024x1024,64x256x256,256x512x512] [--rounds 3] [--threads 1]

The chain is distance transform -> seeds -> watershed -> numbers. The flood is compared from the same seeds on the same
levels, so that every voxel must be equal; the whole chains choose their own seeds (ours by the depth of the saddle,
scikit-image's by least distance), so there the objects are compared.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from side_by_side import compare, describe, set_threads

PITCH = {2: 26.0, 3: 23.8}
"""Mean distance of neighbouring centres in voxels; in 3-D that of 5000 nuclei in 256x512x512."""


def cells(shape: tuple[int, ...], seed: int = 0) -> Any:
    """Return a mask of balls on a shaken lattice, most of which touch others."""
    import numpy as np

    rng = np.random.default_rng(seed)
    pitch = PITCH[len(shape)]
    axes = [np.arange(pitch / 2, n, pitch) for n in shape]
    centres = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(shape))
    centres += rng.uniform(-0.12, 0.12, centres.shape) * pitch
    mask = np.zeros(shape, bool)
    for centre, radius in zip(centres, pitch / 2 * rng.uniform(0.85, 1.1, len(centres)), strict=True):
        box = tuple(
            slice(max(0, int(c - radius)), min(n, int(c + radius) + 2)) for c, n in zip(centre, shape, strict=True)
        )
        places = np.ogrid[box]
        mask[box] |= sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)) <= radius**2
    return mask


def ours(mask: Any, spacing: tuple[float, ...]) -> Any:
    from medseg.instance.basins import rule_for
    from medseg.instance.options import SplitOptions
    from medseg.instance.stitch import Scene, objects_steps
    from medseg.progress import finish

    rule = rule_for(SplitOptions(), spacing, 1.0, mask=True)
    return finish(objects_steps(Scene(mask.shape, spacing, lambda box: mask[box], None, rule))).array


def theirs(mask: Any, spacing: tuple[float, ...]) -> Any:
    import numpy as np
    from scipy import ndimage
    from skimage.feature import peak_local_max
    from skimage.segmentation import relabel_sequential, watershed

    distance = ndimage.distance_transform_edt(mask, sampling=spacing)
    peaks = peak_local_max(distance, min_distance=5, labels=mask.astype(np.int32), exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return relabel_sequential(watershed(-distance, markers, mask=mask))[0]


def same_seeds(mask: Any) -> tuple[Any, Any]:
    """Return levels of the landscape and one marker per object of ours."""
    import numpy as np
    from scipy import ndimage

    from medseg.instance.distance import distances

    depth = distances(mask, (1.0,) * mask.ndim)
    levels = np.rint(4095 * (1 - depth / depth.max())).astype(np.uint16)
    labels = ours(mask, (1.0,) * mask.ndim)
    markers = np.zeros(mask.shape, np.int32)
    for number, place in enumerate(ndimage.minimum_position(levels, labels, np.arange(1, labels.max() + 1)), start=1):
        markers[place] = number
    return levels, markers


def flood(levels: Any, markers: Any, mask: Any) -> Any:
    """Flood with our loop, every connected part by itself."""
    import numpy as np

    from medseg.instance import flood as loops
    from medseg.instance.basins import find_parts

    parts = find_parts(mask)
    frame, labels = parts.frame, parts.labels
    padded, links = frame.zeros(np.uint16), frame.zeros(np.int32)
    frame.inner(padded)[...] = levels.reshape(frame.nz, frame.ny, frame.nx)
    inner = frame.inner(labels)
    given = markers.reshape(inner.shape)
    flat = np.ravel_multi_index(tuple(np.argwhere(given > 0).T + np.array([[frame.margin], [1], [1]])), frame.padded)
    owner = -labels.reshape(-1)[flat]
    order = np.argsort(owner, kind="stable")
    seeds, owner = flat[order].astype(np.int32), owner[order]
    starts = np.flatnonzero(np.diff(owner, prepend=0))
    bounds = np.append(starts, len(seeds))
    only = np.zeros(parts.count + 1, np.int32)
    numbers = given[given > 0][order]
    alone = np.diff(bounds) == 1
    only[owner[starts[alone]]] = numbers[starts[alone]]
    labels.reshape(-1)[seeds[np.repeat(~alone, np.diff(bounds))]] = numbers[np.repeat(~alone, np.diff(bounds))]
    loops.flood(
        padded.reshape(-1), labels.reshape(-1), links.reshape(-1), frame.offsets, seeds, bounds, -owner[starts],
        0, len(starts),
    )  # fmt: skip
    out = np.zeros(inner.shape, np.int32)
    kept = np.ones(int(markers.max()) + 1, bool)
    kept[0] = False
    loops.renumber(labels, frame.margin, only, kept, np.arange(len(kept)), out, 0)
    return out.reshape(mask.shape)


def run(shape: tuple[int, ...], rounds: int) -> None:
    import numpy as np
    from scipy import ndimage
    from skimage.segmentation import watershed

    from medseg.grid import image_grid
    from medseg.instance.distance import distances
    from medseg.labels import Instances
    from medseg.metrics.instances import instance_scores

    mask = cells(shape)
    spacing = (1.0,) * len(shape)
    grid = image_grid(shape, spacing, "px")
    name = f"{'x'.join(map(str, shape))}, {mask.mean():.0%} foreground"

    def alike(a: Any, b: Any) -> str:
        return f"{100 * np.mean((a == b)[mask]):.4f} % of the foreground equal"

    def close(a: Any, b: Any) -> str:
        return f"largest difference {np.abs(a - b).max():.1e}"

    def matched(a: Any, b: Any) -> str:
        scores = instance_scores(Instances(a, grid), Instances(b, grid))
        return f"{scores.n_prediction} and {scores.n_reference} objects, F1 at IoU .9 {scores.at[8].f1:.4f}"

    scipy_distance = {"SciPy distance transform": lambda: ndimage.distance_transform_edt(mask)}
    compare(f"distance, {name}", {"ours": lambda: distances(mask, spacing), **scipy_distance}, close, rounds)
    levels, markers = same_seeds(mask)
    ways = {
        "ours": lambda: flood(levels, markers, mask),
        "scikit-image watershed": lambda: watershed(levels, markers, mask=mask),
    }
    compare(f"parts and flood from the same seeds, {name}", ways, alike, rounds)
    ways = {"ours": lambda: ours(mask, spacing), "SciPy and scikit-image": lambda: theirs(mask, spacing)}
    compare(f"mask to objects, {name}", ways, matched, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="1024x1024,64x256x256,128x256x512")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(sys.argv[1:])
    set_threads(given.threads)
    describe(given.threads, "numpy", "scipy", "scikit-image", "numba")
    for shape in given.shapes.split(","):
        run(tuple(int(n) for n in shape.split("x")), given.rounds)


if __name__ == "__main__":
    main()
