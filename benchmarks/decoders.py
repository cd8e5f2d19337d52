"""Ways to turn the same maps of a network into objects, compared and tuned on cases that did not train.

    python benchmarks/decoders.py MODEL_FOLDER DATASET SPLIT_CSV [--part val] [--decoders combined,distance,offsets]
        [--table DATASET/split.csv --column modality] [--fixed '{"min_depth": 0.1}'] [--diameter estimated|native|true]

The maps of every image are computed once. Each decoder's numbers are then tuned one after the other, twice around, for
the mean over images of (AP at IoU .5 + mean AP over .5:.05:.95) / 2. Lengths are in voxels of the working grid, where
all objects are about equally large. With --fixed nothing is tuned: so scores on test cases are printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

START = {"seed_threshold": 0.4, "min_depth": 0.1, "smoothing": 1.0, "min_distance": 0.0, "min_size": 20.0}
CHOICES: dict[str, tuple[float, ...]] = {
    "foreground_threshold": (0.35, 0.4, 0.45, 0.5, 0.55, 0.6),
    "seed_threshold": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    "min_depth": (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4),
    "smoothing": (0.0, 0.75, 1.0, 1.5, 2.0, 3.0),
    "min_distance": (0.0, 4.0, 6.0, 8.0),
    "min_size": (0.0, 10.0, 20.0, 40.0, 60.0, 90.0),
}
OFFSETS_START = {"smoothing": 1.5, "min_distance": 3.0, "votes": 1.0, "min_size": 20.0}
OFFSETS_CHOICES: dict[str, tuple[float, ...]] = {
    "foreground_threshold": CHOICES["foreground_threshold"],
    "smoothing": (0.75, 1.0, 1.5, 2.0, 3.0),
    "min_distance": (2.0, 3.0, 4.0, 6.0),
    "votes": (0.3, 0.5, 1.0, 2.0, 3.0),
    "min_size": CHOICES["min_size"],
}
Numbers = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Seen:
    """The maps of one image, its kind, and its true objects."""

    kind: str
    maps: Any
    truth: Any


def look(model: Path, data: Path, ids: list[str], kinds: dict[str, str], diameter: str) -> list[Seen]:
    import torch

    from medseg.instance.predict import MapOptions, predict_maps_steps
    from medseg.instance.scale import REFERENCE_DIAMETER, equivalent_diameters
    from medseg.io.read import read, read_labels
    from medseg.labels import Instances
    from medseg.learn.weights import load_network
    from medseg.models.bundle import load_bundle
    from medseg.progress import finish

    bundle = load_bundle(model)
    network = load_network(bundle)
    seen = []
    for name in ids:
        volume = read(next((data / "images").glob(f"{name}.*")))
        labels = read_labels(next((data / "labels").glob(f"{name}.*")))
        true = float(np.median(equivalent_diameters(labels.array, volume.grid.spacing)))
        given = {"estimated": None, "native": REFERENCE_DIAMETER * min(volume.grid.spacing), "true": true}[diameter]
        steps = predict_maps_steps(
            volume, network, bundle.card, options=MapOptions(diameter=given), device=torch.device("cpu")
        )
        maps = finish(steps)
        seen.append(Seen(kinds.get(name, "all"), maps, Instances(labels.array, volume.grid)))
    return seen


def objects(seen: Seen, numbers: Numbers) -> Any:
    from medseg.instance.options import SplitOptions
    from medseg.instance.segment import instances_on_steps
    from medseg.progress import finish

    if numbers["decoder"] == "offsets":
        return by_offsets(seen, numbers)
    step = min(seen.maps.grid.spacing)
    units = {"min_distance": step, "smoothing": step, "min_size": step**seen.maps.grid.ndim}
    options = SplitOptions.from_dict({k: v * units[k] if k in units else v for k, v in numbers.items()})
    return finish(instances_on_steps(seen.maps, seen.truth.grid, options))


def by_offsets(seen: Seen, numbers: Numbers) -> Any:
    """Let every voxel vote for its centre; summits of the votes are objects, each voxel belongs to the next one."""
    from scipy import ndimage

    from medseg.labels import Instances, LabelMap
    from medseg.ops.resample import resampled_labels

    maps = seen.maps
    inside = 1.0 - maps.array[0] >= numbers.get("foreground_threshold", 0.5)
    places = np.argwhere(inside)
    reached = np.rint(places + maps.array[4:, inside].T).astype(int)
    reached = tuple(np.clip(reached, 0, np.array(inside.shape) - 1).T)
    votes = np.zeros(inside.shape, np.float32)
    np.add.at(votes, reached, 1.0)
    votes = ndimage.gaussian_filter(votes, numbers["smoothing"])
    tops = (votes == ndimage.maximum_filter(votes, 2 * int(numbers["min_distance"]) + 1)) & (votes > numbers["votes"])
    seeds, n = ndimage.label(tops, np.ones((3,) * inside.ndim))
    found = np.zeros(inside.shape, np.int32)
    if n:
        nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
        found[inside] = seeds[tuple(nearest)][reached]
        found[(np.bincount(found.ravel()) < numbers["min_size"])[found]] = 0
    grid = seen.truth.grid
    array = found if maps.grid.shape == grid.shape else resampled_labels(LabelMap(found, maps.grid), grid).array
    return Instances(array, grid)


def scores(cases: list[Seen], numbers: Numbers) -> list[Any]:
    from medseg.metrics.instances import instance_scores

    return [instance_scores(objects(case, numbers), case.truth) for case in cases]


def goal(found: list[Any]) -> float:
    return float(np.mean([((s.at[0].ap or 0.0) + (s.mean_ap or 0.0)) / 2 for s in found]))


def tuned(cases: list[Seen], decoder: str) -> Numbers:
    start, choices = (OFFSETS_START, OFFSETS_CHOICES) if decoder == "offsets" else (START, CHOICES)
    best = {"decoder": decoder, "foreground_threshold": 0.5, **start}
    height = goal(scores(cases, best))
    for _ in range(2):
        before = height
        for name, values in choices.items():
            for value in values:
                trial = {**best, name: value}
                if trial != best and (own := goal(scores(cases, trial))) > height + 1e-4:
                    best, height = trial, own
        if height - before < 5e-4:
            break
    return best


def print_table(cases: list[Seen], numbers: Numbers) -> None:
    from medseg.metrics.instances import pooled

    found = scores(cases, numbers)
    print(f"\n{numbers['decoder']}: {json.dumps({k: v for k, v in numbers.items() if k != 'decoder'})}")
    heads = (
        "AP.5 image-mean",
        "mean AP image-mean",
        "AP.5 pooled",
        "mean AP pooled",
        "count error",
        "merges",
        "splits",
    )
    print(f"| kind | images | {' | '.join(heads)} |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --: |")
    for kind in ("all", *sorted({case.kind for case in cases} - {"all"})):
        own = [s for s, case in zip(found, cases, strict=True) if kind in ("all", case.kind)]
        whole = pooled(own)
        means = (np.mean([s.at[0].ap or 0.0 for s in own]), np.mean([s.mean_ap or 0.0 for s in own]))
        numbers_shown = (*means, whole.at[0].ap or 0.0, whole.mean_ap or 0.0, whole.relative_count_error or 0.0)
        row = " | ".join(f"{v:.3f}" for v in numbers_shown)
        print(f"| {kind} | {len(own)} | {row} | {whole.merges} | {whole.splits} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("--part", default="val")
    parser.add_argument("--decoders", default="combined,distance,boundary,offsets")
    parser.add_argument("--diameter", default="estimated", choices=("estimated", "native", "true"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--column", default="modality")
    parser.add_argument("--fixed", type=json.loads)
    chosen = parser.parse_args()
    with chosen.split.open(newline="") as file:
        ids = sorted(row["id"] for row in csv.DictReader(file) if row["split"] == chosen.part)
    kinds: dict[str, str] = {}
    if chosen.table:
        with chosen.table.open(newline="") as file:
            kinds = {row["id"]: row[chosen.column] for row in csv.DictReader(file)}
    start = process_time()
    cases = look(chosen.model, chosen.data, ids, kinds, chosen.diameter)
    print(f"maps of {len(cases)} images ({chosen.part}) in {process_time() - start:.0f} s of one core", flush=True)
    for decoder in chosen.decoders.split(","):
        numbers = {"decoder": decoder, **chosen.fixed} if chosen.fixed else tuned(cases, decoder)
        print_table(cases, numbers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
