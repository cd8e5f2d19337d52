"""A training step and a prediction of our Mask R-CNN against MONAI's RetinaNet detector with the same backbone.

    python benchmarks/detector_step.py [--axes 2,3] [--rounds 5] [--threads 1] [--stacks MODEL]

Both get the same encoder, pyramid, anchors per cell, images and objects, in float32; a step is forward, losses and
backward, a prediction one batch by a trained network: `nuclei_maskrcnn`, and for stacks the one that
`workflows/touching_cells.py` makes. Ours also samples boxes, classifies them again and draws masks; theirs has longer
heads (4 + 4 convolutions where ours has one) and, as nobody trained it, finds nothing, so that its suppression has
nothing to do. A step of theirs needs torchvision, see `torchvision_alone.py`. The figures are processor time.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from time import process_time
from typing import Any

from side_by_side import compare, describe, set_threads
from torchvision_alone import torchvision_there

NETWORK: dict[int, dict[str, Any]] = {
    2: {"diameter": (32.0, 32.0), "filters": (24, 48, 96, 128, 160), "strides": None},
    3: {
        "diameter": (8.0, 16.0, 16.0),
        "filters": (16, 32, 64, 96),
        "strides": ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)),
    },
}
"""As `medseg train --task detection` plans them on a CPU: for nuclei, and for stacks with slices 2 pixels apart."""
PATCH = {2: (160, 160), 3: (16, 64, 64)}
BATCH = {2: 4, 3: 2}
SMALLEST_TAUGHT = 12
OURS = "ours, with boxes and masks"


@dataclass(frozen=True, eq=False)
class Case:
    """The two detectors and what both are shown."""

    ours: Any
    theirs: Any
    images: Any
    truths: list[Any]
    settings: Any = None

    def our_step(self) -> float:
        import torch

        self.ours.zero_grad()
        losses = self.ours.losses(self.images, self.truths, generator=torch.Generator().manual_seed(0))
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        return float(total.detach())

    def their_step(self) -> float:
        import torch

        self.theirs.zero_grad()
        targets = [{"boxes": t.boxes, "labels": t.classes - 1} for t in self.truths]
        losses = self.theirs(list(self.images), targets)
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        return float(total.detach())

    def our_answer(self) -> int:
        return sum(len(found) for found in self.ours.detect(self.images, settings=self.settings))

    def their_answer(self) -> int:
        import torch

        with torch.no_grad():
            return sum(len(found["boxes"]) for found in self.theirs(list(self.images)))


def untrained(n_axes: int) -> Any:
    import torch

    from medseg.nets.maskrcnn.network import MaskRCNN
    from medseg.nets.maskrcnn.options import around

    torch.manual_seed(0)
    given = NETWORK[n_axes]
    options = around(given["diameter"], filters=given["filters"], strides=given["strides"])
    return MaskRCNN(n_axes, 3, 2, options)


def trained(model: str) -> tuple[Any, Any]:
    """Return a network and how its card asks for objects."""
    from pathlib import Path

    from medseg.detection.scores import threshold_of
    from medseg.learn.weights import load_network
    from medseg.models.bundle import load_bundle
    from medseg.models.registry import find
    from medseg.nets.maskrcnn.options import DetectSettings

    bundle = load_bundle(Path(model) if Path(model).is_dir() else find(model))
    return load_network(bundle), DetectSettings(score_threshold=threshold_of(bundle.card))


def case(ours: Any, settings: Any = None) -> Case:
    return Case(ours, retinanet(ours), *shown(ours.options.n_axes), settings)


def shown(n_axes: int) -> tuple[Any, list[Any]]:
    """Return the (b, 3, *patch) images of computed cells and their objects."""
    import numpy as np
    import torch

    from medseg.instance.scale import canonical
    from medseg.nets.maskrcnn.values import Truth
    from medseg.samples.cells import nuclei
    from medseg.samples.ellipsoids import touching_cells

    images, truths = [], []
    for seed in range(BATCH[n_axes]):
        if n_axes == 2:
            sample = nuclei(seed=seed, n=60, shape=PATCH[2])
            volume, found = sample.volume, sample.instances
        else:
            volume, found = touching_cells(seed, PATCH[3], n=40)
        images.append(torch.from_numpy(canonical(volume, (1.0, 99.8)).numpy()))
        labels = found.array.astype(np.int64)
        labels[np.bincount(labels.ravel())[labels] < SMALLEST_TAUGHT] = 0
        truths.append(Truth.of(torch.from_numpy(labels)))
    return torch.stack(images), truths


def retinanet(ours: Any) -> Any:
    """Return MONAI's detector over a copy of our encoder and pyramid, with as many anchors of the same sizes."""
    from copy import deepcopy

    from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
    from monai.apps.detection.networks.retinanet_network import RetinaNet
    from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape

    options = ours.options
    network = RetinaNet(
        options.n_axes, 1, len(options.anchor_sizes[0]), backbone_of(deepcopy(ours)), size_divisible=ours.unit
    )
    # the sizes of the first level, in cells of it, grow with the levels' strides as ours do
    finest = ours.strides[options.anchor_levels[0] - options.finest]
    shapes = [[length / stride for length, stride in zip(s, finest, strict=True)] for s in options.anchor_sizes[0]]
    scales = tuple(2**i for i in range(len(options.anchor_levels)))
    detector = RetinaNetDetector(network, AnchorGeneratorWithAnchorShape(scales, shapes))
    detector.set_atss_matcher(num_candidates=4, center_in_gt=False)
    detector.set_hard_negative_sampler(options.anchors_per_image, positive_fraction=0.5, pool_size=20, min_neg=16)
    return detector


def backbone_of(ours: Any) -> Any:
    """Return encoder and pyramid as RetinaNet wants them: the levels that propose, and their number of channels."""
    from torch import nn

    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.neck, self.out_channels = ours.encoder, ours.neck, ours.options.width

        def forward(self, images: Any) -> list[Any]:
            pyramid = self.neck(self.encoder(images))
            return [pyramid[i - ours.options.finest] for i in ours.options.anchor_levels]

    return Backbone()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", default="2,3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stacks", help="a detector of stacks, for the prediction in 3-D")
    chosen = parser.parse_args()
    set_threads(chosen.threads)
    import torch

    torch.set_num_threads(chosen.threads)
    both = torchvision_there()
    describe(chosen.threads, "torch", "monai")
    print("torchvision is there" if both else "torchvision is not there: no training step of MONAI's")
    models = {2: "nuclei_maskrcnn", 3: chosen.stacks}
    for n_axes in map(int, chosen.axes.split(",")):
        compared("training step", case(untrained(n_axes)), True, both, chosen.rounds)
        if models[n_axes] is not None:
            compared("prediction", case(*trained(models[n_axes])), False, True, chosen.rounds)
    return 0


def compared(what: str, given: Case, learning: bool, both: bool, rounds: int) -> None:
    n_axes = given.images.ndim - 2
    for detector in (given.ours, given.theirs):
        detector.train(learning)
    ways = {OURS: given.our_step if learning else given.our_answer}
    if both:
        ways["MONAI"] = given.their_step if learning else given.their_answer
    objects = sum(len(t) for t in given.truths)
    compare(
        f"{what}, {n_axes}-D, batch of {BATCH[n_axes]} x {PATCH[n_axes]}, {objects} objects",
        ways,
        said,
        rounds,
        clock=process_time,
    )


def said(found: Any, expected: Any) -> str:
    return f"{found:.4g} beside {expected:.4g}"


if __name__ == "__main__":
    sys.exit(main())
