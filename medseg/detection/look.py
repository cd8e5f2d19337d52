"""A detector looks at an image tile by tile: a generator that reports every tile and may stop there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
import torch

from medseg.detection.found import Found, Part, flipped, in_rank, moved
from medseg.detection.merge import Box, MergeRule, Tile, merged_steps
from medseg.detection.views import agreed
from medseg.errors import Notice, OutputError
from medseg.nets.maskrcnn.network import MaskRCNN
from medseg.nets.maskrcnn.options import DetectSettings
from medseg.nets.maskrcnn.values import Detections
from medseg.nets.tiled import stopped_notice
from medseg.ops.tiles import starts
from medseg.progress import FinishEarly, Pace, Steps, to_the_end

Floats = npt.NDArray[np.float32]

TILE_GROWTH = {2: 3, 3: 2}
"""Tiles are at most this many times as long as the training patch, by number of axes: fewer seams."""
MOST_OVERLAP = 0.5
FAINTEST_LOOK = 0.4
"""A mirrored look counts objects from this share of the wanted score on: the average decides."""


@dataclass(frozen=True, eq=False, slots=True)
class Looker:
    """A network with everything that it takes to ask it.

    Parameters
    ----------
    network : MaskRCNN
        In evaluation mode, on `device`.
    patch : tuple of int
        Of the training.
    diameter : tuple of float
        Usual diameter of an object along each axis, in voxels: tiles share two of them at least.
    device : torch.device
    threshold : float
        Least score.
    mirror_axes : tuple of int
        Axes along which mirrored tiles are looked at, too.
    half : bool
        Compute in float16 (CUDA) or bfloat16.
    by_class : tuple of float
        Least score of each class, none below `threshold`; empty where that holds for all.
    """

    network: MaskRCNN
    patch: tuple[int, ...]
    diameter: tuple[float, ...]
    device: torch.device
    threshold: float = 0.5
    mirror_axes: tuple[int, ...] = ()
    half: bool = False
    by_class: tuple[float, ...] = ()

    def wants(self, found: Found) -> bool:
        """Tell whether an object's score is high enough for its class."""
        least = self.by_class[found.class_id - 1] if self.by_class else self.threshold
        return found.score >= least


def look_steps(
    image: Floats, looker: Looker, *, rule: MergeRule | None = None
) -> Steps[tuple[list[Found], tuple[Notice, ...]]]:
    """Return the objects of a (c, *s) float32 image of any size, best first.

    After `FinishEarly` these are the objects of the tiles that were done.

    Raises
    ------
    OutputError
        If the network answers with values that are not numbers.
    """
    shape = image.shape[1:]
    boxes = tile_boxes(shape, looker)
    source = torch.from_numpy(np.ascontiguousarray(image))
    notices: tuple[Notice, ...] = ()
    done: list[Tile] = []
    pace = Pace("looking for objects", len(boxes))
    try:
        yield pace.at(0)
        for box in boxes:
            try:
                found = _seen(source[(slice(None), *box)], looker)
            except torch.OutOfMemoryError:
                looker, notices = _on_cpu(looker), (*notices, _moved_notice())
                found = _seen(source[(slice(None), *box)], looker)
            offset = [b.start for b in box]
            done.append(Tile(box, tuple(moved(f, offset=offset) for f in found)))
            yield pace.at(len(done))
    except FinishEarly:
        notices = (*notices, stopped_notice(len(done), len(boxes), "tiles"))
    objects = yield from to_the_end(merged_steps(done, shape, rule))
    return objects, notices


def tile_boxes(shape: tuple[int, ...], looker: Looker) -> list[Box]:
    """Return the places of the tiles, which share two usual diameters, and a quarter of themselves at least."""
    growth = TILE_GROWTH[len(shape)]
    axes = []
    for n, patch, diameter, unit in zip(shape, looker.patch, looker.diameter, looker.network.unit, strict=True):
        length = min(growth * patch, -(-n // unit) * unit)
        overlap = min(MOST_OVERLAP, max(0.25, 2.0 * diameter / length))
        axes.append([slice(a, min(a + length, n)) for a in starts(n, length, overlap)])
    return list(product(*axes))


@torch.inference_mode()
def _seen(tile: torch.Tensor, looker: Looker) -> list[Found]:
    views = list(_flips(looker.mirror_axes))
    least = looker.threshold * (FAINTEST_LOOK if len(views) > 1 else 1.0)
    settings = DetectSettings(score_threshold=least)
    kind = torch.float16 if looker.device.type == "cuda" else torch.bfloat16
    looks = []
    for axes in views:
        turned = tile.flip([a + 1 for a in axes]) if axes else tile
        with torch.autocast(looker.device.type, dtype=kind, enabled=looker.half):
            answer = looker.network.detect(turned[None].to(looker.device), settings=settings)[0]
        looks.append([flipped(f, axes, tile.shape[1:]) if axes else f for f in found_of(answer)])
    return [f for f in agreed(looks, threshold=looker.threshold) if looker.wants(f)]


def found_of(answer: Detections) -> list[Found]:
    """Return detections as plain values, best first.

    Raises
    ------
    OutputError
        If they hold values that are not numbers.
    """
    parts = [t.float().cpu().numpy() for t in (answer.boxes, answer.scores, answer.masks)]
    if not all(np.isfinite(p).all() for p in parts):
        raise OutputError(
            "E_OUTPUT_NONFINITE",
            found="an answer of the network that is not a number",
            expected="finite values",
            not_done="no objects were made",
            remedy="Look for extreme values in the image; if there are none, the model is damaged.",
        )
    boxes, scores, masks = parts[0].astype(np.float64), parts[1], parts[2].astype(np.float16)
    n = boxes.shape[1] // 2
    classes = answer.classes.cpu().tolist()
    return in_rank(
        [
            Found((Part(box[:n], box[n:], mask),), kind, float(score))
            for box, score, mask, kind in zip(boxes, scores, masks, classes, strict=True)
        ]
    )


def _flips(axes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for chosen in product((False, True), repeat=len(axes)):
        yield tuple(a for a, on in zip(axes, chosen, strict=True) if on)


def _on_cpu(looker: Looker) -> Looker:
    if looker.device.type == "cpu":
        raise MemoryError("not enough memory for one tile")
    torch.cuda.empty_cache()
    cpu = torch.device("cpu")
    return replace(looker, network=looker.network.to(cpu), device=cpu, half=False)


def _moved_notice() -> Notice:
    return Notice("W_DEVICE_FALLBACK", "not enough graphics memory; computed on the CPU")
