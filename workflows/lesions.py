"""Lesions of the brain, one by one: a detector beside a semantic network, each tried on a patient it has never seen.

    python workflows/lesions.py MS_LESIONS OUT [--minutes 20] [--held-out patient19] [--resume]

MS_LESIONS holds two patients with images (mni/) and the lesion outlines of 29 (mni_masks_all30/), all in one space. One
patient is held out; both networks learn from the other, in whose brain lesions of further patients are painted as well
(paint_lesions.py), one after the other and for the same time. What is simply bright stands beside them. Two patients
show how it is done. They prove no accuracy.

OUT/detection and OUT/semantic are the data sets, OUT/detector and OUT/unet the models, OUT/lesions.csv has the figures.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from paint_lesions import SMALLEST, Brain, brain_of, make_datasets, numbered
from scipy import ndimage

from medseg import read, read_labels
from medseg.detection.plan import plan_steps
from medseg.grid import Grid
from medseg.io.dataset import find_pairs
from medseg.labels import Instances
from medseg.metrics.coco import Overlaps, coco_scores, mask_overlaps
from medseg.metrics.instances import instance_scores
from medseg.metrics.lesions import lesion_scores
from medseg.nets.maskrcnn.options import around
from medseg.pipeline import Model, SegmentOptions, load_model, segment_steps
from medseg.prediction import ObjectMask
from medseg.progress import finish
from medseg.volume import Volume

PATIENTS = ("patient07", "patient19")
FAINTEST = 0.2
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
DIAMETER = 4.0
"""Usual diameter of a lesion in voxels of 1 mm; the images keep their size."""
ANCHORED = 8.0
"""Diameter that the middle level of the detector looks for; the others reach from 3 to 18 mm."""
PATCH = (40, 40, 40)
STEPS = 300

Mask = npt.NDArray[np.bool_]
Seen = tuple[float, dict[float, Instances], Sequence[ObjectMask]]
"""The threshold that a user gets, the objects by threshold, and the objects with their scores where they have any."""


def main(options: argparse.Namespace) -> int:
    """Make the data sets, train both, look at the patient who was held out; returns the first exit code but 0."""
    out, held_out = options.out, options.held_out
    if not (out / "semantic" / "split.csv").exists():
        (learned,) = (p for p in PATIENTS if p != held_out)
        make_datasets(options.dataset, out, learned, held_out)
        write_plan(out / "detection", out / "plan.json")
    common = ["--minutes", str(options.minutes), "--threads", str(options.threads)]
    common += ["--resume"] if options.resume else []
    ways = {"detector": ["detection", "--plan", str(out / "plan.json")], "unet": ["semantic"]}
    for name, words in ways.items():
        if (out / name).exists():
            continue
        data = str(out / ("detection" if name == "detector" else "semantic"))
        train = ["train", data, "-o", str(out / name), "--name", f"lesions_{name}", "--task", *words, *common]
        code = subprocess.run([sys.executable, "-m", "medseg.cli", *train], check=False).returncode
        if code:
            return code
    rows = scored(options.dataset, out, held_out)
    with (out / "lesions.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return 0


def scored(dataset: Path, out: Path, patient: str) -> list[dict[str, Any]]:
    """Return and print a row for each method and threshold; ``tuned`` marks those that a user gets."""
    image = read(dataset / "mni" / patient / "FLAIR.nii.gz")
    truth = read_labels(dataset / "mni" / patient / "lesions.nii.gz").array > 0
    rows = []
    for name, ask in (("detector", detected), ("unet", coloured)):
        tuned, found, masks = ask(image, load_model(str(out / name), device="cpu"))
        ap = round(average_precision(masks, truth, image.grid), 3) if masks else ""
        for threshold, objects in found.items():
            row = {"method": name, "threshold": threshold, "tuned": threshold == tuned}
            rows.append(row | figures(objects, truth, image.grid) | {"ap_50": ap})
            print(rows[-1], flush=True)
    (learned,) = (p for p in PATIENTS if p != patient)
    factor = best_factor(brain_of(dataset, learned))
    row = {"method": "brightness alone", "threshold": factor, "tuned": True}
    rows.append(row | figures(bright(image, factor), truth, image.grid) | {"ap_50": ""})
    print(rows[-1], flush=True)
    return rows


def best_factor(brain: Brain) -> float:
    """Return how bright a lesion is in a patient whose lesions are known: the best detection F1 decides."""
    factors = [round(float(f), 2) for f in np.arange(1.1, 2.01, 0.05)]
    grid = brain.image.grid
    return max(factors, key=lambda f: figures(bright(brain.image, f), brain.lesions, grid)["detection_f1"])


def bright(image: Volume, factor: float) -> Instances:
    """Return the connected parts brighter than `factor` times the median of the brain: what needs no network."""
    values = ndimage.gaussian_filter(image.numpy()[0].astype(np.float32), 0.7)
    return numbered(values > factor * float(np.median(values[image.numpy()[0] > 0])), image.grid)


def detected(image: Volume, model: Model) -> Seen:
    """Return the detector's own threshold, its objects at several, and all of them with their scores."""
    tuned = float(model.card.split["score_threshold"])
    # scores as the network gives them, down to the faintest
    faint = {"diameter": model.card.split["diameter"], "score_threshold": FAINTEST}
    asked = replace(model, card=model.card.model_copy(update={"split": faint}))
    options = SegmentOptions(device="cpu", diameter=DIAMETER, overlapping=True)
    masks = finish(segment_steps(image, asked, options)).masks
    return tuned, {t: pasted(masks, image.grid, t) for t in sorted({*THRESHOLDS, tuned})}, masks


def coloured(image: Volume, model: Model) -> Seen:
    """Return the connected parts of what the semantic network colours."""
    labels = finish(segment_steps(image, model, SegmentOptions(device="cpu"))).labels
    return 0.5, {0.5: numbered(labels.array > 0, image.grid)}, ()


def average_precision(masks: Sequence[ObjectMask], truth: Mask, grid: Grid) -> float:
    """Return the average precision at an overlap (IoU) of .5 with the lesions that count."""
    iou, ids = mask_overlaps([(m.start, m.mask) for m in masks], numbered(truth, grid).array)
    ones = [np.ones(n, np.int64) for n in (len(masks), len(ids))]
    return coco_scores([Overlaps(iou, np.array([m.score for m in masks]), *ones)]).at_50


def pasted(masks: Sequence[ObjectMask], grid: Grid, threshold: float) -> Instances:
    """Return the objects from a score on as numbers, better ones above worse ones, without crumbs."""
    array = np.zeros(grid.shape, np.int32)
    kept = sorted((m for m in masks if m.score >= threshold), key=lambda m: m.score)
    for number, own in enumerate(kept, 1):
        array[own.box][own.mask] = number
    sizes = np.bincount(array.ravel())
    return Instances(np.where(sizes[array] >= SMALLEST, array, 0), grid)


def figures(found: Instances, truth: Mask, grid: Grid) -> dict[str, Any]:
    """Return what was seen of the lesions that count, and false alarms: objects that touch no lesion of any size."""
    every, _ = ndimage.label(truth, np.ones((3, 3, 3), bool))
    counted = numbered(truth, grid)
    seen, alarms = lesion_scores(found, counted), lesion_scores(found, Instances(every, grid))
    ids = np.unique(found.array)
    n_found = len(ids[ids > 0])
    precision = 1.0 - alarms.total.n_false / max(n_found, 1)
    sensitivity = seen.sensitivity or 0.0
    mask = found.array > 0
    n_both = int(mask.sum()) + int(truth.sum())
    return {
        "lesions": seen.total.n_reference,
        "seen": seen.total.n_detected,
        "found": n_found,
        "false": alarms.total.n_false,
        "detection_f1": round(2 * precision * sensitivity / max(precision + sensitivity, 1e-9), 3),
        "f1_at_50": round(instance_scores(found, counted).at[0].f1 or 0.0, 3),
        "volume_ml": round(int(mask.sum()) * grid.voxel_volume_ml, 2),
        "true_ml": round(int(truth.sum()) * grid.voxel_volume_ml, 2),
        "dice": round(2.0 * int((mask & truth).sum()) / max(n_both, 1), 3),
    }


def write_plan(dataset: Path, path: Path) -> None:
    """Write the detector's plan: the usual one, for voxels and objects of these scans."""
    plan = finish(plan_steps(find_pairs(dataset), name="lesions"))
    usual = plan.architecture.options["filters"]
    assert isinstance(usual, list)
    options = around((ANCHORED,) * 3, filters=[int(str(n)) for n in usual])
    changes = {"samples_per_epoch": STEPS * plan.training.batch, "object_diameter": DIAMETER}
    changed = plan.model_copy(
        update={
            "input": plan.input.model_copy(update={"patch": PATCH}),
            "training": plan.training.model_copy(update=changes),
            "architecture": plan.architecture.model_copy(
                update={"options": options.model_dump(mode="json", exclude_defaults=True)}
            ),
        }
    )
    path.write_text(changed.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("dataset", type=Path)
    given.add_argument("out", type=Path)
    given.add_argument("--minutes", type=float, default=20.0)
    given.add_argument("--held-out", choices=PATIENTS, default=PATIENTS[1])
    given.add_argument("--threads", type=int, default=1)
    given.add_argument("--resume", action="store_true")
    sys.exit(main(given.parse_args()))
