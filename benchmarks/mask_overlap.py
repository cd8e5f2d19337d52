"""How much masks overlap, each on a small grid over its own box: compiled loops against plain torch.

    python benchmarks/mask_overlap.py [--masks 120] [--rounds 3]

Boxes crowd so that most share something. Both look at the same points; one thread, processor time.
"""

from __future__ import annotations

import argparse
import os
import sys
from time import process_time
from typing import Any

from side_by_side import compare, describe, set_threads


def crowd(n_axes: int, count: int) -> tuple[Any, Any, Any]:
    """Return boxes, soft and uneven balls in them, and all pairs."""
    import torch

    generator = torch.Generator().manual_seed(n_axes)
    middles = torch.rand(count, n_axes, generator=generator) * 25
    halves = 4 + torch.rand(count, n_axes, generator=generator) * 6
    cells = 28 if n_axes == 2 else 16
    at = (torch.arange(cells) + 0.5) / cells * 2 - 1
    away = torch.stack(torch.meshgrid(*(at for _ in range(n_axes)), indexing="ij")).square().sum(0).sqrt()
    noise = torch.rand(count, *away.shape, generator=generator)
    masks = (1.1 - 0.6 * away[None] + 0.2 * (noise - 0.5)).clamp(0, 1)
    return torch.cat([middles - halves, middles + halves], 1), masks, torch.combinations(torch.arange(count))


def plain(given: tuple[Any, Any, Any]) -> Any:
    from medseg.nets.maskrcnn.masks import mask_overlaps

    os.environ["NUMBA_DISABLE_JIT"] = "1"
    try:
        return mask_overlaps(*given)
    finally:
        del os.environ["NUMBA_DISABLE_JIT"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    set_threads(1)
    import torch

    from medseg.nets.maskrcnn.masks import mask_overlaps

    torch.set_num_threads(1)
    describe(1, "torch", "numba")
    for n_axes in (2, 3):
        given = crowd(n_axes, chosen.masks)
        ways = {
            "ours, compiled": lambda given=given: mask_overlaps(*given),
            "plain torch": lambda given=given: plain(given),
        }
        title = f"{len(given[2])} pairs of masks of {tuple(given[1].shape[1:])} cells, {n_axes}-D"
        compare(title, ways, agreement, chosen.rounds, clock=process_time)
    return 0


def agreement(found: Any, expected: Any) -> str:
    return f"differs by {float((found - expected).abs().max()):.0e}"


if __name__ == "__main__":
    sys.exit(main())
