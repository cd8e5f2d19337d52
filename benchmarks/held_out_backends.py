"""What another backend does to the score: the held-out cases of a data set, segmented by each, and their Dice.

Run: ``PYTHONPATH=. python benchmarks/held_out_backends.py DATASET SPLIT.csv [--model hippocampus] [--cases 42]``.
SPLIT.csv names the cases that no training saw (column split: test). One model, the same scans, one thread; processor
seconds are those of the segmentation without reading.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from time import process_time
from typing import Any

from side_by_side import describe, set_threads

WAYS = ("torch", "openvino", "openvino-bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("--model", default="hippocampus")
    parser.add_argument("--cases", type=int, default=1000)
    options = parser.parse_args()
    set_threads(1)
    import torch

    from medseg.errors import UsageError
    from medseg.pipeline import load_model

    torch.set_num_threads(1)
    describe(1, "torch", "openvino", "monai")
    pairs = held_out(options.dataset, options.split)[: options.cases]
    print(f"{len(pairs)} cases of {options.dataset.name}, model {options.model}")
    scores = {}
    for way in WAYS:
        try:
            model = load_model(options.model, device="cpu", backend=way)
        except UsageError as problem:
            print(f"{way:<15} not here: {problem.found}")
            continue
        seconds, scores[way] = scored(pairs, model)
        means = "  ".join(f"{name} {value:.5f}" for name, value in scores[way].items())
        print(f"{way:<15}{seconds:>9.1f} s  {means}  {model.computed_by}")
    for way, found in scores.items():
        gap = max(abs(value - scores["torch"][name]) for name, value in found.items())
        print(f"{way:<15} largest difference of a mean Dice from torch: {gap:.6f}")


def held_out(dataset: Path, split: Path) -> list[Any]:
    from medseg.io.dataset import find_pairs

    with split.open(newline="", encoding="utf-8") as file:
        names = {row["id"] for row in csv.DictReader(file) if row["split"] == "test"}
    return [case for case in find_pairs(dataset).cases if case.id in names]


def scored(pairs: list[Any], model: Any) -> tuple[float, dict[str, float]]:
    """Return processor seconds, and the mean Dice of each class."""
    import numpy as np

    from medseg.io.read import read, read_labels
    from medseg.pipeline import segment_steps
    from medseg.progress import finish

    spent = 0.0
    found: dict[str, list[float]] = {name: [] for name in model.card.classes.values()}
    for case in pairs:
        volume, truth = read(case.images[0]), read_labels(case.label).array
        begin = process_time()
        labels = finish(segment_steps(volume, model)).labels.array
        spent += process_time() - begin
        for class_id, name in model.card.classes.items():
            a, b = labels == class_id, truth == class_id
            found[name].append(2.0 * float((a & b).sum()) / float(a.sum() + b.sum()))
    return spent, {name: float(np.mean(values)) for name, values in found.items()}


if __name__ == "__main__":
    main()
