"""A small generated data set: bright balls of two classes in noise, on an anisotropic, oblique grid."""

import csv
from pathlib import Path

import numpy as np
import pytest

from medseg.grid import Grid
from medseg.io.write import write
from medseg.labels import LabelMap
from medseg.volume import Volume


def phantom(seed: int, grid: Grid) -> tuple[Volume, LabelMap]:
    rng = np.random.default_rng(seed)
    index = np.indices(grid.shape).astype(float)
    labels = np.zeros(grid.shape, np.uint8)
    for class_id, radius in ((1, 0.34), (2, 0.24)):
        centre = [rng.uniform(0.4, 0.6) * n for n in grid.shape]
        near = sum(((i - c) / (radius * n)) ** 2 for i, c, n in zip(index, centre, grid.shape, strict=True)) < 1
        labels[near] = class_id
    image = 100.0 * labels + rng.normal(0, 8, grid.shape)
    names = {1: "shell", 2: "core"}
    return Volume(image[None].astype(np.float32), grid), LabelMap(labels, grid, names)


@pytest.fixture(scope="session")
def patient_grid() -> Grid:
    turn = np.deg2rad(10.0)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([-1.0, 1.2, 2.0])
    affine[:3, 3] = (12.0, -30.0, 7.5)
    return Grid((20, 18, 14), affine)


@pytest.fixture(scope="session")
def data_set(tmp_path_factory, patient_grid) -> Path:
    root = tmp_path_factory.mktemp("balls")
    (root / "images").mkdir()
    (root / "labels").mkdir()
    for case in range(6):
        volume, labels = phantom(case, patient_grid)
        write(volume, root / "images" / f"case_{case}.nii.gz")
        write(labels, root / "labels" / f"case_{case}.nii.gz")
    with (root / "split.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "split"])
        rows.writerows([f"case_{i}", part] for i, part in enumerate(["train"] * 4 + ["val", "test"]))
    return root


@pytest.fixture(scope="session")
def trained(tmp_path_factory, data_set) -> Path:
    """Return the folder of a model that was trained for a few epochs on the small data set."""
    from medseg.io.dataset import find_pairs
    from medseg.progress import finish
    from medseg.semantic.train import train_steps
    from medseg.training.options import TrainOptions

    out = tmp_path_factory.mktemp("models") / "balls"
    options = TrainOptions("balls", epochs=12, device="cpu", threads=1, plan=small_plan(data_set))
    return finish(train_steps(find_pairs(data_set), out, options=options))


def small_plan(data_set: Path):
    from medseg.io.dataset import find_pairs
    from medseg.planning import PlanOptions, plan_steps
    from medseg.progress import finish

    plan = finish(plan_steps(find_pairs(data_set), options=PlanOptions("balls")))
    options = {**plan.architecture.options, "filters": [8, 16, 16][: len(plan.architecture.options["strides"])]}
    architecture = plan.architecture.model_copy(update={"options": options})
    training = plan.training.model_copy(update={"samples_per_epoch": 16, "learning_rate": 0.01, "average": 0.8})
    return plan.model_copy(update={"architecture": architecture, "training": training})
