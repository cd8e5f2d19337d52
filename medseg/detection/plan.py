"""The plan of a detector's training: that of the instance branch, with another network."""

from __future__ import annotations

from collections import Counter
from typing import Literal, cast

import numpy as np
from pydantic import JsonValue

from medseg.errors import UsageError
from medseg.instance.plan import plan_steps as instance_plan_steps
from medseg.instance.scale import REFERENCE_DIAMETER
from medseg.instance.targets import relative_spacing
from medseg.io.dataset import Dataset
from medseg.io.object_classes import read_object_classes
from medseg.io.read import read_labels
from medseg.models.card import Architecture
from medseg.nets.maskrcnn.options import around
from medseg.planning import Plan
from medseg.progress import Pace, Steps

ARCHITECTURE = "maskrcnn"
DIAMETER = {2: REFERENCE_DIAMETER, 3: 16.0}
"""Usual diameter of objects, in voxels of the finest axis, by number of axes: larger ones cost too much in volumes."""
PATCH = {"cpu": {2: (160, 160), 3: (16, 64, 64)}, "gpu": {2: (256, 256), 3: (32, 96, 96)}}
FILTERS_3D = {"cpu": (16, 32, 64, 96), "gpu": (32, 64, 128, 160)}
BATCH = {"cpu": {2: 4, 3: 2}, "gpu": {2: 16, 3: 4}}
STEPS_PER_EPOCH = 200
LEARNING_RATE = 1e-3


def plan_steps(dataset: Dataset, *, name: str, target: Literal["cpu", "gpu"] = "cpu") -> Steps[Plan]:
    """Read every case once and derive a plan; see `medseg.instance.plan.plan_steps`.

    Parameters
    ----------
    dataset : Dataset
        Labels number the objects; ``classes/`` may tell several kinds of them apart.
    name : str
    target : {"cpu", "gpu"}
    """
    plan = yield from instance_plan_steps(dataset, name=name, target=target)
    shares = yield from class_shares_steps(dataset)
    if shares:
        names = {c: dataset.object_classes.get(c, f"class_{c}") for c in shares}
        plan = plan.model_copy(update={"classes": names, "class_share": shares})
    return as_detection(plan, target)


def class_shares_steps(dataset: Dataset) -> Steps[dict[int, float]]:
    """Return which share of the voxels each class of objects fills, of those classes that there are.

    Empty where nothing tells the classes of the objects.

    Raises
    ------
    InputError
        If an object has no class or two, or a class is unknown.
    """
    if not any(case.classes for case in dataset.cases):
        return {}
    counts: Counter[int] = Counter()
    total = 0
    pace = Pace("reading the classes of the objects", len(dataset.cases))
    for done, case in enumerate(dataset.cases, 1):
        labels = read_labels(case.label)
        class_of = read_object_classes(case.classes, labels, dataset.object_classes)
        total += labels.array.size
        for number, n in zip(*np.unique(labels.array, return_counts=True), strict=True):
            if number > 0:
                counts[class_of[int(number)]] += int(n)
        yield pace.at(done)
    return {c: counts[c] / total for c in sorted(counts)}


def as_detection(plan: Plan, target: Literal["cpu", "gpu"] = "cpu") -> Plan:
    """Return the plan of an instance training as one of a detector."""
    old = plan.architecture.options
    strides, filters = cast("list[list[int]]", old["strides"]), cast("list[int]", old["filters"])
    n_axes = len(strides[0])
    if n_axes == 3:
        filters = list(FILTERS_3D[target])
        strides = strides[: len(filters)]
    spacing = np.sqrt(np.array(plan.fingerprint.spacing_low) * np.array(plan.fingerprint.spacing_high))
    options = around(diameters(n_axes, tuple(spacing.tolist())), filters=filters, strides=strides)
    batch = BATCH[target][n_axes]
    training = plan.training.model_copy(
        update={
            "loss": "detection",
            "batch": batch,
            "samples_per_epoch": STEPS_PER_EPOCH * batch,
            "learning_rate": LEARNING_RATE,
        }
    )
    chosen = cast("dict[str, JsonValue]", options.model_dump(mode="json", exclude_defaults=True))
    return plan.model_copy(
        update={
            "task": "detection",
            "input": plan.input.model_copy(update={"patch": PATCH[target][n_axes]}),
            "architecture": Architecture(name=ARCHITECTURE, options=chosen),
            "training": training,
        }
    )


def diameters(n_axes: int, spacing: tuple[float, ...]) -> tuple[float, ...]:
    """Return the usual diameter of an object along each axis, in voxels of the working grid.

    Examples
    --------
    >>> diameters(3, (2.0, 1.0, 1.0))
    (8.0, 16.0, 16.0)
    """
    return tuple(DIAMETER[n_axes] / step for step in relative_spacing(spacing))


def working_diameter(plan: Plan) -> float:
    """Return the diameter, in voxels of the finest axis, that the median object of an image is brought to."""
    return plan.training.object_diameter or DIAMETER[len(plan.input.patch)]


def check_plan(plan: Plan) -> Plan:
    """Return a plan that a detector can be trained by.

    Raises
    ------
    UsageError
        If it is for another task.
    """
    if plan.task == "detection":
        return plan
    raise UsageError(
        "E_USAGE",
        found=f"a plan for {plan.task} segmentation",
        expected="a plan for detection",
        not_done="no training was started",
        remedy="Leave out --plan and a plan is made, or set its task and architecture.",
    )
