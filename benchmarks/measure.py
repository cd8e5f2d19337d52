"""Measuring many objects: ours against scikit-image's regionprops_table, the basic columns and those of shape.

    python benchmarks/measure.py [--shapes 2048x2048,64x256x256] [--rounds 3] [--threads 1]

The basic columns are number, size, box, centroid, longest diameter, equivalent diameter, and mean intensity; ours adds
standard deviation, minimum, maximum, nearest neighbour and touching neighbours, which regionprops has not. Shape adds
perimeter (2-D), solidity and eccentricity. The longest diameter is left out of regionprops in 3-D, where it takes
minutes; in 2-D it is measured there along the outer edges of the pixels, here between their centres, and solidity is
there against a hull of the pixels' edge middles, here of their centres: those two differ by definition. Times are those
of the processor, so that a busy machine tells the same.
"""

from __future__ import annotations

import argparse
import sys
from time import process_time
from typing import Any

from side_by_side import compare, describe, set_threads
from splitting import cells, ours

BASIC = ("label", "num_pixels", "bbox", "centroid", "equivalent_diameter_area", "intensity_mean")


def run(shape: tuple[int, ...], rounds: int) -> None:
    import numpy as np
    from skimage.measure import regionprops_table

    from medseg.grid import image_grid
    from medseg.labels import Instances, Segment
    from medseg.measure import measure
    from medseg.measure import table as room
    from medseg.volume import Volume

    spacing = (1.0,) * len(shape)
    array = ours(cells(shape), spacing)
    grid = image_grid(shape, spacing, "px")
    light = np.random.default_rng(0).normal(100, 20, shape).astype(np.float32)
    objects = Instances(array, grid, tuple(Segment(int(i)) for i in range(1, int(array.max()) + 1)))
    image = Volume(light[None], grid)
    name = f"{int(array.max())} objects in {'x'.join(map(str, shape))}"
    flat = len(shape) == 2
    shapes = room.shape_columns

    def basic() -> Any:
        room.shape_columns = lambda *_: {}
        try:
            return measure(objects, image)
        finally:
            room.shape_columns = shapes

    def peer(*more: str) -> Any:
        longest = ("feret_diameter_max",) if flat else ()
        return regionprops_table(array, light, properties=(*BASIC, *longest, *more))

    def alike(a: Any, b: Any) -> str:
        columns = {
            f"centroid_{'y' if flat else 'z'}_px": "centroid-0",
            "longest_diameter_px": "feret_diameter_max",
            "intensity_mean": "intensity_mean",
            "perimeter_px": "perimeter_crofton",
            "solidity": "solidity",
            "eccentricity": "eccentricity",
        }
        gaps = [
            f"{y} {np.nanmax(np.abs(np.asarray(a[x]) - np.asarray(b[y]))):.1e}"
            for x, y in columns.items()
            if x in a and y in b
        ]
        return "largest differences: " + ", ".join(gaps)

    ways = {"medseg, basic": basic, "regionprops_table, basic": peer}
    if flat:
        ways["regionprops_table, no longest diameter"] = lambda: regionprops_table(array, light, properties=BASIC)
    compare(f"basic columns, {name}", ways, alike, rounds, clock=process_time)
    more = ("perimeter_crofton", "solidity", "eccentricity") if flat else ("solidity",)
    ways = {
        "medseg, all": lambda: measure(objects, image),
        f"regionprops_table, {', '.join(more)}": lambda: peer(*more),
    }
    compare(f"with shape, {name}", ways, alike, rounds, clock=process_time)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="2048x2048,64x256x256")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(sys.argv[1:])
    set_threads(given.threads)
    describe(given.threads, "numpy", "scikit-image", "numba", "pandas")
    for shape in given.shapes.split(","):
        run(tuple(int(n) for n in shape.split("x")), given.rounds)


if __name__ == "__main__":
    main()
