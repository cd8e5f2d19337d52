"""What each loss costs in a training step, and what it thinks of two outlines that are wrong by a known distance.

Run: ``PYTHONPATH=. python benchmarks/losses.py [--rounds 3]``. The first table is the processor time of a loss and its
gradient alone, for two patches of 40 x 56 x 40 voxels with three classes and for one of 96 x 96 x 96, on one thread.
The second is a cube in an image of slices five times as thick as their pixels are wide: once it reaches one slice too
far (5 mm), once three pixels (3 mm). A loss that thinks in millimetres minds the first more.
"""

from __future__ import annotations

import argparse
from time import process_time
from typing import Any

from side_by_side import describe, set_threads

SHAPES = ((2, 40, 56, 40), (1, 96, 96, 96))
SPACING = (1.0, 1.0, 5.0)
N_CLASSES = 3
SURE = 6.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    set_threads(1)
    describe(1, "medseg", "torch", "monai")
    import torch

    torch.set_num_threads(1)
    from medseg.nets.losses import LOSSES, loss_of

    print(f"\n{'loss':<22}" + "".join(f"{' x '.join(map(str, shape)):>20}" for shape in SHAPES))
    for name in LOSSES:
        spent = (min(step(loss_of(name, SPACING), shape) for _ in range(options.rounds)) for shape in SHAPES)
        print(f"{name:<22}" + "".join(f"{1000 * seconds:>17.0f} ms" for seconds in spent), flush=True)
    far = outlines()
    print(f"\n{'loss':<22}{'1 slice, 5 mm':>20}{'3 pixels, 3 mm':>20}")
    for name, loss in ours_and_monais(loss_of).items():
        print(f"{name:<22}" + "".join(f"{float(loss(answer, truth)):>20.4f}" for answer, truth in far))


def step(loss: Any, shape: tuple[int, ...]) -> float:
    import torch

    torch.manual_seed(0)
    coarse = torch.randn(shape[0], N_CLASSES, *(n // 8 for n in shape[1:]))
    logits = torch.nn.functional.interpolate(coarse, shape[1:], mode="trilinear").requires_grad_()
    truth = torch.nn.functional.interpolate(coarse.roll(1, 2), shape[1:], mode="trilinear").argmax(1, keepdim=True)
    begin = process_time()
    loss(logits, truth.to(torch.uint8)).backward()
    return process_time() - begin


def outlines() -> list[tuple[Any, Any]]:
    """Return logits that reach too far along one axis, with the truth: by a thick slice, and by three fine voxels."""
    import torch

    truth = torch.zeros(1, 1, 40, 40, 16, dtype=torch.uint8)
    truth[..., 10:30, 10:30, 4:12] = 1
    found = []
    for axis, far in ((4, 1), (2, 3)):
        wrong = truth.clone()
        box = [slice(None), slice(None), slice(10, 30), slice(10, 30), slice(4, 12)]
        box[axis] = slice(box[axis].start, box[axis].stop + far)
        wrong[tuple(box)] = 1
        answer = SURE * (2 * wrong.float() - 1)
        found.append((torch.cat([-answer, answer], dim=1), truth))
    return found


def ours_and_monais(loss_of: Any) -> dict[str, Any]:
    from monai.losses.hausdorff_loss import LogHausdorffDTLoss

    from medseg.nets.hausdorff import Hausdorff

    ours = next(part for part in loss_of("hausdorff_dice_ce", SPACING).modules() if isinstance(part, Hausdorff))
    monais = LogHausdorffDTLoss(include_background=False, to_onehot_y=True, softmax=True)
    return {"ours, in mm": ours, "MONAI's, in voxels": monais, "dice_ce": loss_of("dice_ce", SPACING)}


if __name__ == "__main__":
    main()
