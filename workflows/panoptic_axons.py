"""Axons as things, myelin as stuff: one panoptic map per image, and its panoptic quality.

    python workflows/panoptic_axons.py FOLDER

FOLDER holds ``semantic/NAME.png`` (1 axon, 2 myelin) and ``axon_instances/NAME.tif`` (one number per axon). The classes
come from the reference and only the axons are split anew, by the distance transform: the figures tell how well the
splitting parts axons of one mask, nothing about a network.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from medseg import LabelMap, read_labels
from medseg.grid import image_grid
from medseg.instance.options import SplitOptions
from medseg.instance.watershed import split_mask
from medseg.labels import Instances, Segment
from medseg.metrics.instances import PanopticScores, panoptic_scores, pooled_panoptic
from medseg.panoptic import merge

NAMES = {1: "axon", 2: "myelin"}


def main(folder: Path) -> dict[int, PanopticScores]:
    """Print PQ, SQ and RQ of both classes per image and pooled; returns the pooled scores."""
    print(f"{'image':<28}{'class':<10}{'PQ':>7}{'SQ':>7}{'RQ':>7}{'objects':>9}")
    everything: dict[int, list[PanopticScores]] = {1: [], 2: []}
    for path in sorted((folder / "semantic").glob("*.png")):
        tissue = in_pixels(read_labels(path))
        truth = in_pixels(read_labels(folder / "axon_instances" / f"{path.stem}.tif"))
        ids = [int(i) for i in np.unique(truth.array) if i]
        axons = Instances(truth.array, tissue.grid, tuple(Segment(i, class_id=1) for i in ids), {1: "axon"})
        only_axons = replace(tissue, array=np.where(tissue.array == 1, tissue.array, 0), classes={1: "axon"})
        found = merge(tissue, split_mask(only_axons, options=SplitOptions()), stuff=[2])
        for class_id, scores in panoptic_scores(found, merge(tissue, axons, stuff=[2])).items():
            everything[class_id].append(scores)
            show(path.stem, class_id, scores)
    total = {class_id: pooled_panoptic(scores) for class_id, scores in everything.items()}
    for class_id, scores in total.items():
        show("all, pooled", class_id, scores)
    return total


def in_pixels(labels: LabelMap) -> LabelMap:
    """Return the labels on a plain pixel grid: two files of one image may differ in what they say of the pixel size."""
    return replace(labels, grid=image_grid(labels.array.shape, (1.0,) * labels.array.ndim, "px"))


def show(name: str, class_id: int, scores: PanopticScores) -> None:
    """Print one line of the table."""
    figures = "".join("      -" if v is None else f"{v:>7.3f}" for v in (scores.pq, scores.sq, scores.rq))
    print(f"{name:<28}{NAMES[class_id]:<10}{figures}{scores.true_positives + scores.false_negatives:>9}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
