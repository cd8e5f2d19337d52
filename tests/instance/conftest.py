"""A small generated data set: touching discs, grey on dark ground and violet on light ground."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def discs(seed: int, *, side: int = 96, radius: float = 8.0, n: int = 14) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    labels = np.zeros((side, side), np.uint16)
    for number in range(1, n + 1):
        cy, cx = rng.uniform(radius, side - radius, 2)
        r = radius * rng.uniform(0.85, 1.15)
        own = (y - cy) ** 2 + (x - cx) ** 2 <= r * r
        if not ((labels > 0) & own).sum() > 0.1 * own.sum():
            labels[own & (labels == 0)] = number
    return labels


def picture(labels: np.ndarray, seed: int, *, colour: bool) -> np.ndarray:
    rng = np.random.default_rng(seed + 1000)
    bright = np.zeros(labels.shape)
    for i in np.unique(labels)[1:]:
        bright[labels == i] = rng.uniform(0.6, 1.0)
    from scipy.ndimage import gaussian_filter

    bright = gaussian_filter(bright, 0.7)
    if not colour:
        return np.clip(20 + 180 * bright + rng.normal(0, 5, labels.shape), 0, 255).astype(np.uint8)
    stain = 235 - bright[..., None] * np.array([120, 170, 70])
    return np.clip(stain + rng.normal(0, 4, stain.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def cells(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cells")
    (root / "images").mkdir()
    (root / "labels").mkdir()
    rows = []
    for case in range(14):
        labels = discs(case)
        Image.fromarray(picture(labels, case, colour=case % 3 == 2)).save(root / "images" / f"c{case:02}.png")
        Image.fromarray(labels).save(root / "labels" / f"c{case:02}.png")
        rows.append([f"c{case:02}", "val" if case >= 8 else "train", f"g{case if case >= 8 else case // 2}"])
    with (root / "split.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "split", "group"])
        table.writerows(rows)
    return root


@pytest.fixture(scope="session")
def trained_on_cells(tmp_path_factory, cells) -> Path:
    """Return the folder of a small model, trained for a few seconds."""
    from medseg.instance.train import train_steps
    from medseg.io.dataset import find_pairs
    from medseg.progress import finish
    from medseg.training.options import TrainOptions

    out = tmp_path_factory.mktemp("models") / "discs"
    options = TrainOptions("discs", epochs=4, device="cpu", threads=1, plan=small_plan(cells), licence="CC0-1.0")
    return finish(train_steps(find_pairs(cells), out, options=options))


def small_plan(root: Path):
    from medseg.instance.plan import plan_steps
    from medseg.io.dataset import find_pairs
    from medseg.progress import finish

    plan = finish(plan_steps(find_pairs(root), name="discs"))
    options = {**plan.architecture.options, "filters": [8, 16, 16]}
    options |= {"strides": [[1, 1], [2, 2], [2, 2]], "kernels": [[3, 3]] * 3}
    training = plan.training.model_copy(
        update={"samples_per_epoch": 280, "batch": 4, "learning_rate": 0.01, "average": 0.9}
    )
    return plan.model_copy(
        update={
            "architecture": plan.architecture.model_copy(update={"options": options}),
            "training": training,
            "input": plan.input.model_copy(update={"patch": (64, 64)}),
        }
    )
