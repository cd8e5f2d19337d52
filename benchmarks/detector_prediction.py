"""The whole prediction of a detector against its bare network on the same tiles, and where the rest of the time goes.

    python benchmarks/detector_prediction.py [MODEL] [--size 512] [--rounds 3] [--threads 1]

MODEL is a detector of flat images (`nuclei_maskrcnn`), or a folder of one of stacks, which sees computed cells that
touch. "Bare" is encoder, pyramid and all heads, box and mask head on features that were sampled before, for as many
boxes as the prediction looks at; the rest is what this package does around it: proposals, sampling, suppression,
merging of tiles, drawing. Nothing is timed but the processor, so that other programs do not count.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any
from unittest.mock import patch

from side_by_side import describe, set_threads

Spent = dict[str, float]
BARE = ("encoder and pyramid", "proposal head", "box head", "mask head")
WHERE = {
    "proposals": ("medseg.nets.maskrcnn.detecting", "propose"),
    "suppression of boxes": ("medseg.nets.maskrcnn.detecting", "nms"),
    "suppression of masks": ("medseg.nets.maskrcnn.detecting", "mask_nms"),
    "sampling (RoIAlign)": ("medseg.nets.maskrcnn.network", "sampled"),
    "merging of tiles": ("medseg.detection.look", "merged_steps"),
    "drawing": ("medseg.detection.segment", "pasted_steps"),
    "bringing to size": ("medseg.detection.size", "zoomed"),
    "look and noise of the image": ("medseg.detection.segment", "prepared_steps"),
    "flags and shapes": ("medseg.detection.segment", "examine"),
}
"""Functions that do no other listed one's work."""


def predicted(case: tuple[Any, ...]) -> int:
    """Find the objects of an image whose typical diameter is known; returns how many there are."""
    import torch

    from medseg.detection.segment import DetectOptions, segment_detections_steps
    from medseg.progress import finish

    volume, network, card, diameter = case
    options = DetectOptions(diameter=diameter)
    found = finish(segment_detections_steps(volume, network, card, options=options, device=torch.device("cpu")))
    return len(found.instances.segments) if found.instances is not None else 0


def split_of_time(case: tuple[Any, ...]) -> Spent:
    """Return the processor time of one prediction, part by part; ``whole`` is all of it."""
    spent: Spent = defaultdict(float)
    with ExitStack() as stack:
        for part, (module, name) in WHERE.items():
            stack.enter_context(clocked(part, module, name, spent))
        network = case[1]
        heads = [(head, "box head") for head in network.box_heads]
        heads += [(network.mask_head, "mask head"), (network.proposal_head, "proposal head")]
        heads += [(network.encoder, BARE[0]), (network.neck, BARE[0])]
        heads += [] if network.semantic_head is None else [(network.semantic_head, BARE[0])]
        for layer, part in heads:
            stack.enter_context(hooked(layer, part, spent))
        start = process_time()
        predicted(case)
        spent["whole"] = process_time() - start
    return dict(spent)


@contextmanager
def clocked(part: str, module: str, name: str, spent: Spent) -> Iterator[None]:
    """Count the time of a function; of a generator the time of all its steps."""
    import importlib

    original = getattr(importlib.import_module(module), name)

    def timed(*arguments: Any, **named: Any) -> Any:
        start = process_time()
        answer = original(*arguments, **named)
        spent[part] += process_time() - start
        return stepwise(answer, part, spent) if hasattr(answer, "send") else answer

    with patch(f"{module}.{name}", timed):
        yield


def stepwise(steps: Any, part: str, spent: Spent) -> Any:
    while True:
        start = process_time()
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        finally:
            spent[part] += process_time() - start
        yield step


@contextmanager
def hooked(layer: Any, part: str, spent: Spent) -> Iterator[None]:
    """Count the time of a layer of the network."""
    begun: list[float] = []
    before = layer.register_forward_pre_hook(lambda *_: begun.append(process_time()))

    def after(*_: Any) -> None:
        spent[part] += process_time() - begun.pop()

    behind = layer.register_forward_hook(after)
    try:
        yield
    finally:
        before.remove()
        behind.remove()


def case_of(model: str, size: int) -> tuple[Any, ...]:
    """Return an image of computed cells, the network, its card and the cells' diameter in the image's unit."""
    from medseg.learn.weights import load_network
    from medseg.models.bundle import load_bundle
    from medseg.models.registry import find
    from medseg.samples.cells import nuclei
    from medseg.samples.ellipsoids import DIAMETER, touching_cells

    bundle = load_bundle(Path(model) if Path(model).is_dir() else find(model))
    network = load_network(bundle).eval()
    if len(bundle.card.input.patch) == 2:
        sample = nuclei(shape=(size, size), n=round(size**2 / 1440))
        return sample.volume, network, bundle.card, median_diameter(sample.instances)
    volume, _ = touching_cells(0, (32, size // 4, size // 4), n=round(120 * (size / 384) ** 2))
    return volume, network, bundle.card, DIAMETER


def median_diameter(objects: Any) -> float:
    import numpy as np

    from medseg.instance.scale import equivalent_diameters

    return float(np.median(equivalent_diameters(objects.array, objects.grid.spacing)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="nuclei_maskrcnn")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    set_threads(chosen.threads)
    import torch

    torch.set_num_threads(chosen.threads)
    describe(chosen.threads, "torch", "monai")
    case = case_of(chosen.model, chosen.size)
    n_objects = predicted(case)  # compiles once, as after the first run ever
    rounds = [split_of_time(case) for _ in range(chosen.rounds)]
    show(f"{chosen.model}, image of {case[0].grid.shape}, {n_objects} objects found", rounds, print)
    return 0


def show(title: str, rounds: list[Spent], say: Callable[[str], None]) -> None:
    """Say the middle time of every part, and the ratio of the whole to the bare network."""
    parts = {name: median(spent.get(name, 0.0) for spent in rounds) for name in (*BARE, *WHERE, "whole")}
    bare = median(sum(spent.get(name, 0.0) for name in BARE) for spent in rounds)
    ratio = median(spent["whole"] / sum(spent.get(name, 0.0) for name in BARE) for spent in rounds)
    rest = parts["whole"] - sum(value for name, value in parts.items() if name != "whole")
    say(f"\n{title}\n  {'part':<28}{'seconds':>10}{'share':>8}")
    for name, value in {**parts, "all else": rest}.items():
        say(f"  {name:<28}{value:>10.3f}{value / parts['whole']:>8.0%}")
    say(f"  bare network {bare:.3f} s; the whole prediction takes {ratio:.2f} times as long")


if __name__ == "__main__":
    sys.exit(main())
