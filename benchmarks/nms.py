"""Non-maximum suppression: ours, compiled and in plain torch, against MONAI's.

    python benchmarks/nms.py [--boxes 4000] [--axes 2,3] [--overlap 0.5] [--rounds 3] [--threads 1]

Boxes of 10 to 40 voxels lie at random, so densely that about half are dropped ("crowded") or hardly any ("sparse", as
cells side by side). Every way answers with the boxes that stay, best first, and must name the same ones.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from side_by_side import compare, describe, set_threads


def boxes(count: int, n_axes: int, extent: float) -> tuple[Any, Any]:
    import torch

    generator = torch.Generator().manual_seed(count + n_axes)
    middles = torch.rand(count, n_axes, generator=generator) * extent
    halves = 5 + torch.rand(count, n_axes, generator=generator) * 15
    return torch.cat([middles - halves, middles + halves], dim=1), torch.rand(count, generator=generator)


def in_torch(given: Any, scores: Any, overlap: float) -> Any:
    """Ours as it runs without a compiler and on graphics cards."""
    from unittest.mock import patch

    from medseg.nets.maskrcnn import nms as module

    with patch.object(module, "_compiled", lambda: None):
        return module.nms(given, scores, overlap)


def agreement(found: Any, expected: Any) -> str:
    import torch

    if torch.equal(found, expected):
        return f"the same {len(found)} boxes stay"
    return f"DIFFERENT: {len(set(found.tolist()) ^ set(expected.tolist()))} boxes"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=4000)
    parser.add_argument("--axes", default="2,3")
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    set_threads(chosen.threads)
    import torch
    from monai.data.box_utils import non_max_suppression

    from medseg.nets.maskrcnn.nms import nms

    torch.set_num_threads(chosen.threads)
    describe(chosen.threads, "torch", "monai", "numba")
    for n_axes in map(int, chosen.axes.split(",")):
        for name, room in (("crowded", 60.0), ("sparse", 1000.0)):
            extent = room * (chosen.boxes / 4000) ** (1 / n_axes) * (3.3 if n_axes == 2 and name == "crowded" else 1)
            given = boxes(chosen.boxes, n_axes, extent)
            ways = {
                "ours, compiled": lambda given=given: nms(*given, chosen.overlap),
                "MONAI": lambda given=given: non_max_suppression(*given, chosen.overlap),
                "ours, plain torch": lambda given=given: in_torch(*given, chosen.overlap),
            }
            compare(f"{chosen.boxes} boxes, {n_axes}-D, {name}", ways, agreement, chosen.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
