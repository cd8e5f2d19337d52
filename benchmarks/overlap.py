"""What less overlap of the tiles costs and saves: cases that no training saw, segmented with each share; their Dice.

Run: ``PYTHONPATH=. python benchmarks/overlap.py MODEL DATASET SPLIT.csv [--part test] [--cases 42]``.
It tells something of a model whose patch is much smaller than the scans; where one tile holds the scan, all rows are
equal. Tiles are spread evenly, so that two shares may give the same tiles. Processor seconds on one thread, without
reading; the interval holds the middle 90 % of 1000 draws of the cases for the difference from half overlap.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from time import process_time
from typing import Any

from side_by_side import describe, set_threads

SHARES = (0.75, 0.5, 0.25, 0.0)
USUAL = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("--part", default="test")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--backend", default="auto")
    options = parser.parse_args()
    set_threads(1)
    import numpy as np
    import torch

    from medseg.pipeline import load_model

    torch.set_num_threads(1)
    describe(1, "torch", "monai")
    model = load_model(options.model, device="cpu", backend=options.backend)
    pairs = pairs_of(options.dataset, options.split, options.part)[: options.cases]
    print(f"{len(pairs)} cases of {options.dataset.name}, {model.card.name}, patch {model.card.input.patch},"
          f" {model.computed_by}")  # fmt: skip
    rows = {share: [looked_at(pair, model, share) for pair in pairs] for share in SHARES}
    usual = np.array([row[2] for row in rows[USUAL]])
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(pairs), (1000, len(pairs)))
    print(f"\n{'overlap':<9}{'tiles':>8}{'cpu s':>9}{'mean Dice':>11}  less than with half overlap")
    for share, found in rows.items():
        dice = np.array([row[2] for row in found])
        low, high = np.quantile((usual - dice)[draws].mean(axis=1), (0.05, 0.95))
        tiles, seconds = sum(row[0] for row in found), sum(row[1] for row in found)
        print(f"{share:<9}{tiles:>8}{seconds:>9.1f}{dice.mean():>11.4f}  {(usual - dice).mean():+.4f}"
              f" ({low:+.4f} to {high:+.4f})")  # fmt: skip


def pairs_of(dataset: Path, split: Path, part: str) -> list[Any]:
    from medseg.io.dataset import find_pairs

    with split.open(newline="", encoding="utf-8") as file:
        names = {row["id"] for row in csv.DictReader(file) if row["split"] == part}
    return [case for case in find_pairs(dataset).cases if case.id in names]


def looked_at(pair: Any, model: Any, share: float) -> tuple[int, float, float]:
    """Return the number of tiles, processor seconds, and the mean Dice of the structures of one case."""
    import numpy as np

    from medseg.io.read import read, read_labels
    from medseg.pipeline import SegmentOptions, segment_steps
    from medseg.progress import finish

    volume, truth = read(pair.images[0]), read_labels(pair.label)
    tiles = [0]
    begin = process_time()
    found = finish(
        segment_steps(volume, model, SegmentOptions(device="cpu", overlap=share)),
        lambda step: tiles.append(step.total if step.phase == "segmenting" else 0),
    )
    spent = process_time() - begin
    dice = []
    for class_id in model.card.classes:
        a, b = found.labels.array == class_id, truth.array == class_id
        dice.append(2 * np.count_nonzero(a & b) / max(1, np.count_nonzero(a) + np.count_nonzero(b)))
    return max(tiles), spent, float(np.mean(dice))


if __name__ == "__main__":
    main()
