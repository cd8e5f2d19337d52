"""Find the nuclei of three-dimensional stacks by a model and compare them with their references, stack by stack.

    python workflows/score_cells3d.py DATASET MODEL OUT [--only NAME,NAME] [--true-size] [--cache FOLDER]

DATASET holds images/, labels/ and meta.csv with the voxel spacing of each stack (``z:y:x``, or ? where nobody knows;
then the voxels count as cubes). Flat items, and stacks whose references leave cells out or are cell walls instead of
nuclei, are left out. A model that was trained on flat pictures sees each stack slice by slice in three directions; a
detector of stacks gets each one resampled to the shape of the voxels that it was trained on, and always its true size.
Prints a row per stack and writes OUT/scores.csv and OUT/NAME_instances.tif. --true-size tells the model the median
diameter of the references, to see what a wrong estimate costs. TUNED names the stacks on which the numbers for stacks
were chosen.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

TUNED = ("stardist_3d", "plantseg_1135")
HEADS = (
    "stack", "tuned_on", "references", "found", "f1_50", "f1_50_lenient", "ap_50", "mean_ap", "merges", "splits",
    "diameter_true", "diameter_seen", "seconds",
)  # fmt: skip


def main(arguments: list[str]) -> list[dict[str, Any]]:
    """Score the stacks; return a row for each."""
    given = _parsed(arguments)
    from medseg.io.write import write
    from medseg.learn.weights import load_network
    from medseg.models.bundle import load_bundle
    from medseg.models.registry import find

    bundle = load_bundle(Path(given.model) if Path(given.model).is_dir() else find(given.model))
    network = load_network(bundle)
    given.out.mkdir(parents=True, exist_ok=True)
    rows = []
    print(f"| {' | '.join(HEADS)} |\n|{' --- |' * len(HEADS)}")
    for item in stacks(given.dataset / "meta.csv"):
        if given.only and item["id"] not in given.only.split(","):
            continue
        start = perf_counter()
        volume, truth = pair(given.dataset, item)
        size = true_diameter(truth)
        if bundle.card.task == "detection":
            found, step = detected(volume, network, bundle.card, size, given.true_size)
        else:
            maps = maps_of(volume, network, bundle.card, size if given.true_size else None, given.cache)
            found, step = objects(maps, truth.grid, bundle.card), min(maps.grid.spacing)
        write(found, given.out / f"{item['id']}_instances.tif")
        rows.append(row_of(item["id"], found, truth, step, size) | {"seconds": round(perf_counter() - start)})
        if bundle.card.task == "detection":
            rows[-1]["tuned_on"] = "no"
        print(f"| {' | '.join(str(rows[-1][name]) for name in HEADS)} |", flush=True)
    with (given.out / "scores.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, HEADS)
        table.writeheader()
        table.writerows(rows)
    return rows


def stacks(meta: Path) -> list[dict[str, str]]:
    """Return the rows of stacks of nuclei whose references are complete."""
    with meta.open(newline="") as file:
        items = list(csv.DictReader(file))
    return [
        item
        for item in items
        if item["kind"].startswith("3D nuclei") and item["n_objects"] and "crop" not in item["kind"]
        and len(item["shape"].split("x")) == 3
    ]  # fmt: skip


def pair(dataset: Path, item: dict[str, str]) -> tuple[Any, Any]:
    """Read an image and its reference, both with the spacing of the table."""
    from medseg.grid import image_grid
    from medseg.io.read import read, read_labels
    from medseg.labels import Instances
    from medseg.volume import Volume

    image = read(dataset / "images" / f"{item['id']}.tif")
    labels = read_labels(dataset / "labels" / f"{item['id']}.tif")
    numbers = item["spacing_zyx_um"].split(" ")[0].split(":")
    spacing = tuple(float(n) for n in numbers) if len(numbers) == 3 else (1.0, 1.0, 1.0)
    in_um = len(numbers) == 3 and "relative" not in item["spacing_zyx_um"]
    grid = image_grid(image.grid.shape, spacing, "um" if in_um else "px")
    return Volume(image.numpy(), grid, image.channels), Instances(labels.array, grid)


def true_diameter(truth: Any) -> float:
    """Return the median diameter of the references in the unit of the grid."""
    from medseg.instance.scale import equivalent_diameters

    return float(np.median(equivalent_diameters(truth.array, truth.grid.spacing)))


def maps_of(volume: Any, network: Any, card: Any, diameter: float | None, cache: Path | None) -> Any:
    """Return the maps of a stack, from the cache where they lie there."""
    import torch

    from medseg.instance.predict import MapOptions, predict_maps_steps
    from medseg.progress import finish
    from medseg.volume import Volume

    text = f"{card.weights_sha256[:12]}_{volume.grid.shape}_{float(volume.numpy().mean()):.6g}_{diameter or 0:.4g}"
    kept = None if cache is None else cache / f"{text.replace(', ', 'x')}.npz"
    if kept is not None and kept.exists():
        with np.load(kept, allow_pickle=False) as held:
            array, names = held["maps"].astype(np.float32), tuple(held["names"].tolist())
        return Volume(array, volume.grid.reshaped(array.shape[1:]), names)
    options = MapOptions(diameter=diameter)
    maps = finish(predict_maps_steps(volume, network, card, options=options, device=torch.device("cpu")))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, maps=maps.numpy().astype(np.float16), names=np.array(maps.channels))
    return maps


def objects(maps: Any, grid: Any, card: Any) -> Any:
    """Return the objects of a stack, split as the model's card says for stacks."""
    from medseg.instance.segment import card_split, instances_on_steps
    from medseg.progress import finish

    return finish(instances_on_steps(maps, grid, card_split(card, maps.grid)))


def detected(volume: Any, network: Any, card: Any, diameter: float, known: bool) -> tuple[Any, float]:
    """Return what a detector finds in a stack, on the stack's grid, and the finest step that it worked at."""
    import torch

    from medseg.detection.segment import DetectOptions, segment_detections_steps
    from medseg.labels import Instances, LabelMap
    from medseg.ops.resample import resampled, resampled_labels
    from medseg.progress import finish

    flat = len(card.input.patch) < volume.grid.ndim
    grid = volume.grid if flat else volume.grid.resampled(trained_shape(card, diameter))
    options = DetectOptions(diameter=diameter if known or not flat else None)
    given = volume if flat else resampled(volume, grid, order=1)
    found = finish(segment_detections_steps(given, network, card, options=options, device=torch.device("cpu")))
    assert found.instances is not None
    array = found.instances.array
    array = array if flat else resampled_labels(LabelMap(array, grid), volume.grid).array
    return Instances(array, volume.grid, found.instances.segments, found.instances.classes), min(grid.spacing)


def trained_shape(card: Any, diameter: float) -> tuple[float, ...]:
    """Return the voxels at which objects of a diameter look to a detector as those of its training."""
    shape = np.sqrt(np.array(card.fingerprint.spacing_low) * np.array(card.fingerprint.spacing_high))
    wanted = diameter / float(card.split["diameter"])
    return tuple((shape / shape.min() * wanted).tolist())


def row_of(name: str, found: Any, truth: Any, working: float, size: float) -> dict[str, Any]:
    """Return the scores of a stack, found at a finest step of `working`.

    ``f1_50_lenient`` forgives what is missed or found without a partner and smaller than a tenth of the median
    reference: slivers at the edges of a crop. ``diameter_true`` is that of the median reference in voxels of the
    finest axis, ``diameter_seen`` the same in voxels of the working grid: where it is far from what the model likes,
    the size was misjudged.
    """
    from medseg.metrics.instances import instance_scores

    scores = instance_scores(found, truth)
    at = scores.at[0]
    step = min(truth.grid.spacing)
    seen = size / working
    return {
        "stack": name,
        "tuned_on": "yes" if name in TUNED else "no",
        "references": scores.n_reference,
        "found": scores.n_prediction,
        "f1_50": round(at.f1 or 0.0, 3),
        "f1_50_lenient": round(lenient(found, truth), 3),
        "ap_50": round(at.ap or 0.0, 3),
        "mean_ap": round(scores.mean_ap or 0.0, 3),
        "merges": scores.merges,
        "splits": scores.splits,
        "diameter_true": round(size / step, 1),
        "diameter_seen": round(seen, 1),
    }


def lenient(found: Any, truth: Any) -> float:
    """Return F1 at IoU .5 with slivers on either side left out."""
    from medseg.metrics.instances import instance_scores

    sizes = np.bincount(truth.array.ravel())[1:]
    least = 0.1 * float(np.median(sizes[sizes > 0]))
    return instance_scores(_without_slivers(found, least), _without_slivers(truth, least)).at[0].f1 or 0.0


def _without_slivers(objects: Any, least: float) -> Any:
    from medseg.labels import Instances

    kept = np.bincount(objects.array.ravel()) >= least
    kept[0] = False
    return Instances(np.where(kept[objects.array], objects.array, 0), objects.grid)


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--true-size", action="store_true")
    parser.add_argument("--cache", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
