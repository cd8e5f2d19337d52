"""RoIAlign: ours against two other ways to the same published definition, with the gradient of the features.

    python benchmarks/roi_align.py [--boxes 384] [--rounds 3] [--threads 1] [--torchvision]

"grid_sample per box" looks up one box after the other. "all corners at once" gathers the features at every corner of
every sample of every box into one array and sums, as implementations without a compiled operator do: its memory is
what makes them unusable on a CPU. --torchvision adds torchvision's own fallback in Python (2-D; `torchvision_alone.py`
tells how to get it; it wants some GB). Boxes lie inside the image, where all conventions of the border agree.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from itertools import product
from typing import Any

from side_by_side import compare, describe, set_threads
from torchvision_alone import torchvision_there

SAMPLES = 2


@dataclass(frozen=True, eq=False)
class Case:
    """Features, boxes, the image of each box, bins and stride."""

    features: Any
    boxes: Any
    which: Any
    size: tuple[int, ...]
    stride: tuple[int, ...]


def case(cells: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], count: int) -> Case:
    import torch

    torch.manual_seed(0)
    n = len(cells)
    extent = torch.tensor([c * s for c, s in zip(cells, stride, strict=True)], dtype=torch.float32)
    sides = extent * (0.1 + 0.25 * torch.rand(count, n))
    starts = torch.rand(count, n) * (extent - sides)
    features = torch.randn(4, 64, *cells, requires_grad=True)
    return Case(features, torch.cat([starts, starts + sides], 1), torch.randint(0, 4, (count,)), size, stride)


def points(given: Case, box: Any) -> list[Any]:
    """Return per axis the places of all samples of a box, in cells."""
    import torch

    n = len(given.size)
    found = []
    for a, (bins, stride) in enumerate(zip(given.size, given.stride, strict=True)):
        share = (torch.arange(bins * SAMPLES) + 0.5) / (bins * SAMPLES)
        found.append((box[a] + share * (box[n + a] - box[a])) / stride - 0.5)
    return found


def with_gradient(given: Case, answer: Any) -> tuple[Any, Any]:
    given.features.grad = None
    answer.square().sum().backward()
    return answer.detach(), given.features.grad


def ours(given: Case) -> Any:
    from medseg.nets.maskrcnn.align import roi_align

    return with_gradient(given, roi_align(given.features, given.boxes, given.which, given.size, given.stride, SAMPLES))


def box_by_box(given: Case) -> Any:
    import torch
    from torch.nn import functional

    n = len(given.size)
    pool = functional.avg_pool2d if n == 2 else functional.avg_pool3d
    cells = torch.tensor(given.features.shape[2:])
    found = []
    for box, i in zip(given.boxes, given.which.tolist(), strict=True):
        places = torch.stack(torch.meshgrid(*points(given, box), indexing="ij"), dim=-1)
        places = ((2 * places + 1) / cells - 1).flip(-1)
        feature = given.features[i : i + 1]
        looked_up = functional.grid_sample(feature, places[None], padding_mode="border", align_corners=False)
        found.append(pool(looked_up, SAMPLES)[0])
    return with_gradient(given, torch.stack(found))


def all_corners(given: Case) -> Any:
    import torch

    n = len(given.size)
    at = [torch.stack(axis) for axis in zip(*(points(given, box) for box in given.boxes), strict=True)]
    total: Any = 0
    for corner in product((0, 1), repeat=n):
        index, weight = [], torch.ones(())
        for axis, (place, high) in enumerate(zip(at, corner, strict=True)):
            last = given.features.shape[2 + axis] - 1
            place = place.clamp(0, last)
            low = place.floor()
            shape = [len(place), *(place.shape[1] if a == axis else 1 for a in range(n))]
            index.append((low + high).clamp(max=last).long().reshape(shape))
            weight = weight * (place - low if high else 1 - (place - low)).reshape(shape)
        which = given.which.reshape(-1, *(1,) * n)
        total = total + given.features.movedim(1, -1)[(which, *index)] * weight[..., None]
    for axis, bins in enumerate(given.size):
        total = total.unflatten(1 + axis, (bins, SAMPLES)).mean(2 + axis)
    return with_gradient(given, total.movedim(-1, 1))


def torchvisions(given: Case) -> Any:
    """Torchvision's fallback without compiled operators; it knows one stride for both axes."""
    import torch
    from torchvision.ops.roi_align import _roi_align

    boxes = given.boxes[:, [1, 0, 3, 2]]  # x before y
    boxes = torch.cat([given.which[:, None].to(boxes.dtype), boxes], dim=1)
    return with_gradient(given, _roi_align(given.features, boxes, 1.0 / given.stride[0], *given.size, SAMPLES, True))


def agreement(found: Any, expected: Any) -> str:
    values, gradients = (float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))
    return f"differs by {values:.0e}, gradient by {gradients:.0e}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--torchvision", action="store_true")
    chosen = parser.parse_args()
    set_threads(chosen.threads)
    import torch

    torch.set_num_threads(chosen.threads)
    with_torchvision = chosen.torchvision and torchvision_there()
    describe(chosen.threads, "torch")
    cases = {
        "2-D, 4 x 64 x 80 x 80, 7 x 7 bins": case((80, 80), (7, 7), (2, 2), chosen.boxes),
        "2-D, 4 x 64 x 80 x 80, 14 x 14 bins": case((80, 80), (14, 14), (2, 2), chosen.boxes // 4),
        "3-D, 4 x 64 x 16 x 32 x 32, 5 x 5 x 5 bins": case((16, 32, 32), (5, 5, 5), (1, 2, 2), chosen.boxes // 4),
    }
    for name, given in cases.items():
        ways = {
            "ours": lambda given=given: ours(given),
            "grid_sample per box": lambda given=given: box_by_box(given),
            "all corners at once": lambda given=given: all_corners(given),
        }
        if with_torchvision and len(given.size) == 2:
            ways["torchvision, plain Python"] = lambda given=given: torchvisions(given)
        compare(f"{len(given.boxes)} boxes, {name}, forward and backward", ways, agreement, chosen.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
