"""Training cases of the instance branch: canonical image, object maps and a list of the objects, kept as plain .npy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.instance.scale import Look, canonical, equivalent_diameters, look_of
from medseg.instance.targets import object_maps, relative_spacing
from medseg.io.dataset import CasePaths
from medseg.io.read import read_labels
from medseg.models.card import InputSpec
from medseg.ops.intensity import inspect
from medseg.planning import read_case
from medseg.progress import Pace, Steps

PARTS = ("image", "labels", "maps", "objects")


@dataclass(frozen=True, eq=False, slots=True)
class InstanceCase:
    """One image with its objects, ready to sample from; large arrays stay on disk.

    Parameters
    ----------
    name : str
    look : str
        Kind of picture, for balance.
    image : (3, *s) float16 array
        Normalised, objects bright.
    labels : (*s) integer array
    maps : (1 + 1 + n, *s) float16 array
        Distance to the outline, its share of the object's largest, and the way to the object's centre.
    objects : (m, n + 1) float32 array
        Centre (voxel indices) and diameter (voxels of the finest axis) of each object.
    """

    name: str
    look: Look
    image: npt.NDArray[np.float16]
    labels: npt.NDArray[Any]
    maps: npt.NDArray[np.float16]
    objects: npt.NDArray[np.float32]

    @property
    def diameter(self) -> float:
        """Median diameter of the objects; not a number where there are none."""
        return float(np.median(self.objects[:, -1])) if len(self.objects) else float("nan")


def prepare_steps(cases: tuple[CasePaths, ...], spec: InputSpec, folder: Path) -> Steps[dict[str, Look]]:
    """Prepare every case that is not yet in `folder`; return the look of each."""
    pace = Pace("preparing the cases", len(cases))
    looks: dict[str, Look] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for done, paths in enumerate(cases, 1):
        if not (folder / f"{paths.id}.look.txt").exists():
            store(prepared(paths, spec), folder)
        looks[paths.id] = _look(paths.id, folder)
        yield pace.at(done)
    return looks


def prepared(paths: CasePaths, spec: InputSpec) -> InstanceCase:
    """Read one case and derive its maps."""
    finite, _ = inspect(read_case(paths))
    labels = read_labels(paths.label).array
    image = canonical(finite, spec.normalisation.percentiles).numpy()
    return make_case(paths.id, image, labels, finite.grid.spacing, look_of(finite.numpy()))


def make_case(
    name: str, image: npt.NDArray[Any], labels: npt.NDArray[Any], spacing: tuple[float, ...], look: Look
) -> InstanceCase:
    """Return the case of a canonical (3, *s) image and its (*s) labels."""
    maps = object_maps(labels, spacing)
    stacked = np.concatenate([maps.distance[None], maps.relative[None], maps.offsets]).astype(np.float16)
    ids = np.unique(labels)
    ids = ids[ids > 0]
    objects = np.zeros((len(ids), labels.ndim + 1), np.float32)
    if len(ids):
        objects[:, :-1] = np.array(ndimage.center_of_mass(labels > 0, labels, ids))
        objects[:, -1] = equivalent_diameters(labels, relative_spacing(spacing))
    return InstanceCase(name, look, image.astype(np.float16), labels, stacked, objects)


def store(case: InstanceCase, folder: Path) -> None:
    """Write a case; the small text with its look comes last and marks it as complete."""
    for part in PARTS:
        np.save(folder / f"{case.name}.{part}.npy", getattr(case, part), allow_pickle=False)
    (folder / f"{case.name}.look.txt").write_text(case.look)


def load(name: str, folder: Path) -> InstanceCase:
    """Open a stored case; only what is cut from it is read."""
    arrays = [np.load(folder / f"{name}.{part}.npy", mmap_mode="r", allow_pickle=False) for part in PARTS]
    return InstanceCase(name, _look(name, folder), *arrays)


def _look(name: str, folder: Path) -> Look:
    text = (folder / f"{name}.look.txt").read_text()
    return "colour" if text == "colour" else "light ground" if text == "light ground" else "dark ground"
