"""A small generated data set of touching discs, and a detector that was trained on it for some seconds."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def discs(seed: int, *, side: int = 72, radius: float = 8.0, n: int = 10) -> np.ndarray:
    """Return discs that touch, numbered with gaps."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    labels = np.zeros((side, side), np.uint16)
    for number in range(1, n + 1):
        cy, cx = rng.uniform(radius / 2, side - radius / 2, 2)
        r = radius * rng.uniform(0.85, 1.15)
        own = (y - cy) ** 2 + (x - cx) ** 2 <= r * r
        if (labels[own] > 0).sum() <= 0.1 * own.sum():
            labels[own & (labels == 0)] = 7 * number
    return labels


def picture(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return a grey image of discs, each of its own brightness."""
    rng = np.random.default_rng(seed + 1000)
    bright = np.append(0.0, rng.uniform(0.5, 1.0, int(labels.max())))[labels]
    return np.clip(20 + 180 * bright + rng.normal(0, 5, labels.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def touching_discs(tmp_path_factory) -> Path:
    """Return a data set: 6 images train, 4 tune or are kept; one shows nothing at all."""
    root = tmp_path_factory.mktemp("discs")
    (root / "images").mkdir()
    (root / "labels").mkdir()
    rows = []
    for case in range(10):
        labels = discs(case) if case != 3 else np.zeros((72, 72), np.uint16)
        Image.fromarray(picture(labels, case)).save(root / "images" / f"c{case:02}.png")
        Image.fromarray(labels).save(root / "labels" / f"c{case:02}.png")
        rows.append([f"c{case:02}", "val" if case >= 6 else "train"])
    with (root / "split.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "split"])
        table.writerows(rows)
    return root


def tiny_plan(root: Path, **training):
    """Return a plan for the data set whose network learns in seconds."""
    from medseg.detection.plan import plan_steps
    from medseg.io.dataset import find_pairs
    from medseg.progress import finish

    plan = finish(plan_steps(find_pairs(root), name="discs"))
    options = plan.architecture.options | {
        "filters": [8, 12, 16, 24, 24],
        "width": 24,
        "hidden": 48,
        "mask_width": 16,
        "mask_bins": [8, 8],
        "anchors_per_image": 64,
        "boxes_per_image": 24,
        "proposals_per_image": 100,
    }
    training = {"samples_per_epoch": 60, "batch": 2, "learning_rate": 0.004, "average": 0.9, **training}
    return plan.model_copy(
        update={
            "architecture": plan.architecture.model_copy(update={"options": options}),
            "training": plan.training.model_copy(update=training),
            "input": plan.input.model_copy(update={"patch": (64, 64)}),
        }
    )


@pytest.fixture(scope="session")
def detector_of_discs(tmp_path_factory, touching_discs) -> Path:
    """Return the folder of a small detector."""
    from medseg.detection.train import train_steps
    from medseg.io.dataset import find_pairs
    from medseg.progress import finish
    from medseg.training.options import TrainOptions

    out = tmp_path_factory.mktemp("models") / "finder"
    plan = tiny_plan(touching_discs)
    options = TrainOptions("finder", epochs=4, device="cpu", threads=1, plan=plan, licence="CC0-1.0")
    return finish(train_steps(find_pairs(touching_discs), out, options=options))
