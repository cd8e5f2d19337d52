"""Average many aligned training crops into one image in which no person can be recognised.

    python workflows/average_sample.py DATASET SPLIT.csv OUT.nii.gz

Only cases whose split is ``train`` are used. Each is turned so that the line between the centres of its first two
classes agrees with the others, scaled to the mean size, moved to a common centre, and normalised; then the voxel-wise
mean is taken where at least two thirds of the cases have a value.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import affine_transform, center_of_mass

from medseg.grid import Grid
from medseg.io.dataset import find_pairs
from medseg.io.read import read, read_labels
from medseg.io.write import write
from medseg.ops.intensity import normalised
from medseg.ops.reorient import reoriented
from medseg.volume import Volume

SHARE = 2 / 3
MARGIN = 1.3
"""Size of the averaging grid, in mean image sizes."""


def main(dataset: Path, split_file: Path, out: Path) -> None:
    """Average the training cases of `dataset` and write the image to `out`."""
    with split_file.open(newline="") as file:
        chosen = {row["id"] for row in csv.DictReader(file) if row["split"] == "train"}
    cases = [_load(case) for case in find_pairs(dataset).cases if case.id in chosen]
    line = np.mean([c["line"] for c in cases], axis=0)
    size = np.mean([c["size"] for c in cases])
    shape = tuple(int(MARGIN * n) for n in np.mean([c["image"].shape for c in cases], axis=0))
    total, count = np.zeros(shape), np.zeros(shape)
    for case in cases:
        matrix = _rotation(line, case["line"]) * case["size"] / size
        offset = case["centre"] - matrix @ ((np.array(shape) - 1) / 2)
        moved = affine_transform(case["image"], matrix, offset, shape, order=1, cval=np.nan)
        inside = np.isfinite(moved)
        total[inside] += moved[inside]
        count += inside
    enough = count >= SHARE * len(cases)
    box = tuple(slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(enough))
    mean = np.where(enough, total / np.maximum(count, 1), (total / np.maximum(count, 1))[enough].min())[box]
    low, high = mean.min(), mean.max()
    stored = np.round((mean - low) / (high - low) * 1000).astype(np.int16)
    affine = np.diag([*cases[0]["spacing"], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(stored.shape) - 1) / 2)
    write(Volume(stored[None], Grid(stored.shape, affine)), out)
    print(f"{len(cases)} cases averaged: {out}, {'x'.join(str(n) for n in stored.shape)} voxels")


def _load(case) -> dict:
    volume, labels = reoriented(read(case.images[0]), "RAS"), reoriented(read_labels(case.label), "RAS")
    first, second = (np.array(center_of_mass(labels.array == c)) for c in np.unique(labels.array)[1:3])
    return {
        "image": normalised(volume.numpy(), scheme="zscore")[0],
        "centre": np.array(center_of_mass(labels.array > 0)),
        "line": first - second,
        "size": np.cbrt((labels.array > 0).sum()),
        "spacing": volume.grid.spacing,
    }


def _rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the smallest turn that brings the direction of `start` to that of `end` (Rodrigues' formula)."""
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    x, y, z = np.cross(a, b)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + cross + cross @ cross / (1 + a @ b)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
