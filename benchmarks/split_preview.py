"""How soon a slider of the Split widget is answered: the first look at what is in view, and all of it.

    python benchmarks/split_preview.py [--rounds 5] [--threads 1]

The scene is a crowd of touching cells that fills the image, the hardest case. Times are of the work off the window's
thread, from the wish to the objects; drawing them is napari's. The goal is a first answer within 200 ms on one core.
The processor's time is printed beside the clock's: on a busy machine the clock tells about the others.
"""

from __future__ import annotations

import argparse
import sys
from time import perf_counter, process_time
from typing import Any

from side_by_side import describe, set_threads
from splitting import cells

GOAL_MS = 200.0
SCENES = {
    "image 1024x1024, all of it": ((1024, 1024), None),
    "stack 256x512x512, one slice": ((256, 512, 512), (slice(128, 129), slice(0, 512), slice(0, 512))),
    "stack 256x512x512, zoomed in": ((256, 512, 512), (slice(128, 129), slice(156, 356), slice(156, 356))),
    "stack 256x512x512, in 3-D": ((256, 512, 512), None),
}


def maps_of(mask: Any) -> Any:
    """Return maps as a network would make them of a mask."""
    import numpy as np

    from medseg.grid import image_grid
    from medseg.instance.distance import distances
    from medseg.volume import Volume

    deep = distances(mask, (1.0,) * mask.ndim)
    edge = mask & (deep <= 1.5)
    interior, boundary = 0.9 * (mask & ~edge), 0.85 * edge
    array = np.stack([1 - interior - boundary, interior, boundary, np.clip(deep / 12, 0, 1)]).astype(np.float32)
    names = ("background", "interior", "boundary", "distance")
    return Volume(array, image_grid(mask.shape, (1.0,) * mask.ndim, "px"), names)


def timed(source: Any, box: Any, most: int, rounds: int) -> tuple[float, float, int, tuple[int, ...]]:
    """Return the median clock and processor times of a look in ms, its count and the shape of its box."""
    import numpy as np

    from medseg.instance.look import box_within, look_steps
    from medseg.instance.options import SplitOptions
    from medseg.progress import finish

    clock, work, count = [], [], 0
    part = box
    for k in range(rounds + 1):
        options = SplitOptions(min_depth=0.1 + 0.02 * k)
        start, used = perf_counter(), process_time()
        part = box_within(source, options, box, most_voxels=most)
        count = finish(look_steps(source, "watershed", options, part)).count
        clock.append(1e3 * (perf_counter() - start))
        work.append(1e3 * (process_time() - used))
    # the first round compiles
    return float(np.median(clock[1:])), float(np.median(work[1:])), count, tuple(b.stop - b.start for b in part)


def main() -> int:
    """Print the time of the first and of the whole answer for every scene; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    set_threads(chosen.threads)
    describe(chosen.threads)
    import numpy as np

    from medseg.instance.look import AT_MOST, AT_ONCE
    from medseg.instance.retune import SplitSource
    from medseg.labels import LabelMap

    missed = False
    made: dict[tuple[int, ...], list[tuple[str, Any]]] = {}
    for name, (shape, wanted) in SCENES.items():
        if shape not in made:
            mask = cells(shape)
            maps = maps_of(mask)
            bare = LabelMap(mask.astype(np.uint8), maps.grid)
            made = {shape: [("maps", SplitSource.of_maps(maps)), ("mask", SplitSource.of_labels(bare))]}
        for kind, source in made[shape]:
            box = wanted or tuple(slice(0, n) for n in shape)
            for answer, most in (("first", AT_ONCE), ("whole", AT_MOST)):
                clock, work, count, seen = timed(source, box, most, chosen.rounds)
                print(
                    f"{name:30} {kind:5} {answer} answer {clock:7.0f} ms by the clock {work:7.0f} ms of the core"
                    f"  {count:5d} objects in {'x'.join(map(str, seen))}"
                )
                missed |= answer == "first" and work > GOAL_MS
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
