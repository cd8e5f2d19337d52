"""A training case on the working grid: normalised image, labels, and where the foreground is. Kept as plain .npy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_POINTS = 20_000


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """One image with its labels, ready to sample patches from.

    Parameters
    ----------
    name : str
    image : (c, *s) float32 array
        Normalised; may be memory-mapped.
    labels : (*s) uint8 or uint16 array
    points : dict of int to (k, n) int32 array
        Voxel indices of each foreground class, at most `MAX_POINTS`, to centre patches on.
    """

    name: str
    image: npt.NDArray[np.float32]
    labels: npt.NDArray[Any]
    points: dict[int, npt.NDArray[np.int32]]


def make_case(name: str, image: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> Case:
    """Return a case with the foreground points of `labels`; the points depend only on the labels."""
    rng = np.random.default_rng(0)
    points = {}
    for class_id in np.unique(labels):
        if class_id == 0:
            continue
        found = np.argwhere(labels == class_id).astype(np.int32)
        if len(found) > MAX_POINTS:
            found = found[np.sort(rng.choice(len(found), MAX_POINTS, replace=False))]
        points[int(class_id)] = found
    return Case(name, image, labels, points)


def store(case: Case, folder: Path) -> None:
    """Write a case as NAME.image.npy and NAME.labels.npy."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{case.name}.image.npy", case.image, allow_pickle=False)
    np.save(folder / f"{case.name}.labels.npy", case.labels, allow_pickle=False)


def load(name: str, folder: Path) -> Case:
    """Read a stored case; the image stays on disk until patches are cut from it."""
    image = np.load(folder / f"{name}.image.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / f"{name}.labels.npy", allow_pickle=False)
    return make_case(name, image, labels)


def load_part(split: Mapping[str, str], part: str, folder: Path) -> list[Case]:
    """Open the stored cases of one part of a split, in the order of their names."""
    return [load(name, folder) for name, own in sorted(split.items()) if own == part]
