"""Training cases of the instance branch: canonical image, object maps and a list of the objects, kept as plain .npy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.instance.scale import Look, canonical, equivalent_diameters, look_of, usual_diameter
from medseg.instance.targets import object_maps, relative_spacing
from medseg.io.dataset import CasePaths
from medseg.io.object_classes import read_object_classes
from medseg.io.read import read_labels
from medseg.labels import smallest_integer_type
from medseg.models.card import InputSpec
from medseg.ops.intensity import inspect
from medseg.planning import read_case
from medseg.progress import Pace, Steps

PARTS = ("image", "labels", "maps", "objects", "classes")


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
        Objects are numbered from 1 without gaps.
    maps : (1 + 1 + n, *s) float16 array
        Distance to the outline, its share of the object's largest, and the way to the object's centre.
    objects : (m, n + 1) float32 array
        Centre (voxel indices) and diameter (voxels of the finest axis) of each object.
    classes : (m,) integer array
        Class of each object, as its place among the classes of the plan, from 1.
    """

    name: str
    look: Look
    image: npt.NDArray[np.float16]
    labels: npt.NDArray[Any]
    maps: npt.NDArray[np.float16]
    objects: npt.NDArray[np.float32]
    classes: npt.NDArray[Any]

    @property
    def diameter(self) -> float:
        """Median diameter of the objects; not a number where there are none.

        Of several classes, whose sizes may differ much, objects count by their width as when an image is looked at.
        """
        if not len(self.objects):
            return float("nan")
        widths = self.objects[:, -1]
        return usual_diameter(widths) if np.any(self.classes != self.classes[0]) else float(np.median(widths))


def prepare_steps(
    cases: tuple[CasePaths, ...],
    spec: InputSpec,
    folder: Path,
    classes: Mapping[int, str] | None = None,
    *,
    resume: bool = False,
) -> Steps[dict[str, Look]]:
    """Prepare every case and return the look of each.

    What an earlier training has left in `folder` may be of other labels, classes or another plan.

    Parameters
    ----------
    cases : tuple of CasePaths
    spec : InputSpec
    folder : Path
    classes : mapping of int to str, optional
        Number and name of the classes that objects are told apart by; without it all are of one.
    resume : bool
        Go on with that training: only what is not yet in `folder` is prepared.
    """
    pace = Pace("preparing the cases", len(cases))
    looks: dict[str, Look] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for done, paths in enumerate(cases, 1):
        parts = (f"{paths.id}.look.txt", f"{paths.id}.classes.npy")
        if not resume or not all((folder / part).exists() for part in parts):
            store(prepared(paths, spec, classes), folder)
        looks[paths.id] = _look(paths.id, folder)
        yield pace.at(done)
    return looks


def prepared(paths: CasePaths, spec: InputSpec, classes: Mapping[int, str] | None = None) -> InstanceCase:
    """Read one case and derive its maps."""
    finite, _ = inspect(read_case(paths))
    labels = read_labels(paths.label)
    class_of = None
    if classes is not None and len(classes) > 1:
        places = {number: place for place, number in enumerate(sorted(classes), 1)}
        class_of = {i: places[c] for i, c in read_object_classes(paths.classes, labels, classes).items()}
    image = canonical(finite, spec.normalisation.percentiles).numpy()
    return make_case(paths.id, image, labels.array, finite.grid.spacing, look_of(finite.numpy()), class_of)


def make_case(
    name: str,
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    spacing: tuple[float, ...],
    look: Look,
    class_of: Mapping[int, int] | None = None,
) -> InstanceCase:
    """Return the case of a canonical (3, *s) image and its (*s) labels, whose objects are of class 1 or `class_of`."""
    given, labels = _without_gaps(labels)
    maps = object_maps(labels, spacing)
    stacked = np.concatenate([maps.distance[None], maps.relative[None], maps.offsets]).astype(np.float16)
    ids = np.arange(1, len(given) + 1)
    objects = np.zeros((len(ids), labels.ndim + 1), np.float32)
    if len(ids):
        objects[:, :-1] = np.array(ndimage.center_of_mass(labels > 0, labels, ids))
        objects[:, -1] = equivalent_diameters(labels, relative_spacing(spacing))
    kinds = np.array([1 if class_of is None else class_of[int(i)] for i in given], np.int32)
    return InstanceCase(name, look, image.astype(np.float16), labels, stacked, objects, kinds)


def _without_gaps(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the numbers of the objects, and the labels with numbers from 1 on: patches hold them as float32."""
    numbers, places = np.unique(labels, return_inverse=True)
    n_ground = int(np.count_nonzero(numbers <= 0))
    ranks = np.maximum(np.arange(len(numbers)) - n_ground + 1, 0)
    kind = smallest_integer_type(len(numbers))
    return numbers[n_ground:], ranks.astype(kind)[places.reshape(labels.shape)]


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
