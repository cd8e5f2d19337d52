"""Training pictures of lesions from one patient: the patient's own lesions, and those of others painted beside them.

Where images of few patients can be had and outlines of many, as in the MNI space that all share, the outlines tell
where lesions lie, how large they are and what shape they have. Painted ones are computed: brighter than the tissue by a
drawn factor, soft at their edges, with the grain of the tissue under them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg import LabelMap, Volume, read, read_labels, write
from medseg.grid import Grid
from medseg.labels import Instances, Segment, smallest_integer_type
from medseg.ops.resample import resampled_labels

CONNECTED = np.ones((3, 3, 3), bool)
SMALLEST = 10
"""Smaller lesions, in voxels of 1 mm3, are crumbs of resampling: they are neither taught nor counted."""
LARGEST_PAINTED = 3000
PAINTED_SHARE = 0.7
"""Share of another patient's lesions that are painted."""
BRIGHTNESS = (1.15, 1.6)
"""Of a painted lesion, times that of white matter; the real ones of two patients had 1.38 and 1.51."""
TISSUE = (0.8, 1.25)
"""Mean brightness, times that of white matter, of a place where a lesion may be painted."""
MOVED = 6
"""Voxels along each axis by which the lesions of a patient are moved at most."""
DONORS = 6
"""Patients whose lesions are painted into one picture: rare objects are learned slowly."""
GAP = 3
"""Voxels between a painted lesion and another one."""
LEARNED = 0.62
"""Share of the brain, along its first axis, that is learned from; on the rest the training is tuned."""

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Brain:
    """A patient's FLAIR image and lesion mask on one grid."""

    image: Volume
    lesions: Mask

    @property
    def white(self) -> float:
        """Median brightness of the tissue 3 to 6 voxels around the lesions."""
        far = ndimage.binary_dilation(self.lesions, CONNECTED, 6)
        ring = far & ~ndimage.binary_dilation(self.lesions, CONNECTED, 3) & (self.image.numpy()[0] > 0)
        return float(np.median(self.image.numpy()[0][ring]))


def brain_of(folder: Path, patient: str) -> Brain:
    """Read a patient who has images."""
    home = folder / "mni" / patient
    return Brain(read(home / "FLAIR.nii.gz"), read_labels(home / "lesions.nii.gz").array > 0)


def outlines(folder: Path, grid: Grid, *, without: Sequence[str]) -> dict[str, Mask]:
    """Return the lesion masks of the other patients on a grid, by name."""
    paths = sorted((folder / "mni_masks_all30").glob("*.nii.gz"))
    names = {path.name.removesuffix(".nii.gz"): path for path in paths}
    return {n: resampled_labels(read_labels(p), grid).array > 0 for n, p in names.items() if n not in without}


def painted(brain: Brain, drawn: Sequence[Mask], seed: int) -> Brain:
    """Return the brain with a share of others' lesions painted where there is room and white matter.

    Each patient's lesions are mirrored or not and moved by some voxels first.
    """
    rng = np.random.default_rng(seed)
    white, values = brain.white, brain.image.numpy()[0].astype(np.float32)
    tissue = ndimage.gaussian_filter(values, 1.0)
    strength, mask = np.ones(values.shape, np.float32), np.zeros(values.shape, bool)
    for outline in drawn:
        taken = ndimage.binary_dilation(brain.lesions | mask, CONNECTED, GAP)
        moved = outline[::-1] if rng.random() < 0.5 else outline
        moved = np.roll(moved, rng.integers(-MOVED, MOVED + 1, 3), (0, 1, 2))
        numbers, _ = ndimage.label(moved, CONNECTED)
        for number, box in enumerate(ndimage.find_objects(numbers), 1):
            own = numbers[box] == number
            suits = TISSUE[0] * white <= tissue[box][own].mean() <= TISSUE[1] * white
            small = SMALLEST <= own.sum() <= LARGEST_PAINTED
            if suits and small and not (taken[box] & own).any() and rng.random() < PAINTED_SHARE:
                mask[box] |= own
                strength[box][own] = rng.uniform(*BRIGHTNESS)
    soft = ndimage.gaussian_filter(mask.astype(np.float32), 0.7)
    # the factor of a lesion holds for the soft edge outside of it as well
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    wanted = strength[tuple(nearest)] * white + 0.5 * (values - tissue)
    values = np.where(values > 0, values * (1 - soft) + wanted * soft, 0)
    return Brain(replace(brain.image, array=values[None].astype(np.float32)), brain.lesions | mask)


def part_of(brain: Brain, box: tuple[slice, ...]) -> tuple[Volume, Instances]:
    """Return a part of the brain and its lesions, numbered, without crumbs."""
    array = np.ascontiguousarray(brain.image.numpy()[(slice(None), *box)])
    grid = brain.image.grid.cropped(tuple(b.start or 0 for b in box), array.shape[1:])
    return Volume(array, grid, brain.image.channels), numbered(brain.lesions[box], grid)


def numbered(mask: Mask, grid: Grid) -> Instances:
    """Return every connected lesion under its own number, crumbs left out."""
    found, _ = ndimage.label(mask, CONNECTED)
    sizes = np.bincount(found.ravel())
    sizes[0] = 0
    kept = np.cumsum(sizes >= SMALLEST) * (sizes >= SMALLEST)
    n = int(kept.max())
    segments = tuple(Segment(i) for i in range(1, n + 1))
    return Instances(kept[found].astype(smallest_integer_type(n)), grid, segments, {1: "lesion"})


def make_datasets(folder: Path, out: Path, patient: str, held_out: str, *, n_train: int = 16, n_val: int = 3) -> None:
    """Write OUT/detection and OUT/semantic: the same pictures with numbered lesions, and with lesions as a class.

    The patient who is held out is ``test`` in both, and no training reads a test picture.
    """
    brain = brain_of(folder, patient)
    others = list(outlines(folder, brain.image.grid, without=(patient, held_out)).values())
    rng = np.random.default_rng(0)
    draws = [[others[i] for i in rng.choice(len(others), DONORS, replace=False)] for _ in range(n_train + n_val)]
    brains = [brain, *(painted(brain, drawn, seed) for seed, drawn in enumerate(draws))]
    edge = round(LEARNED * brain.image.grid.shape[0])
    rest = (slice(None), slice(None))
    parts = {"train": (slice(0, edge), *rest), "val": (slice(edge, None), *rest)}
    named = [(f"{patient}_{k:02}_{part}", part, brains[k]) for part, chosen in _shares(n_train, n_val) for k in chosen]
    pictures = [(name, part, *part_of(own, parts[part])) for name, part, own in named]
    unseen = brain_of(folder, held_out)
    pictures.append((held_out, "test", unseen.image, numbered(unseen.lesions, unseen.image.grid)))
    for task in ("detection", "semantic"):
        for name, _, image, truth in pictures:
            for kind, value in (("images", image), ("labels", truth if task == "detection" else as_class(truth))):
                (out / task / kind).mkdir(parents=True, exist_ok=True)
                write(value, out / task / kind / f"{name}.nii.gz")
        rows = "".join(f"{name},{part}\n" for name, part, *_ in pictures)
        (out / task / "split.csv").write_text(f"id,split\n{rows}")


def as_class(truth: Instances) -> LabelMap:
    """Return all lesions as one class."""
    return LabelMap((truth.array > 0).astype(np.uint8), truth.grid, {1: "lesion"})


def _shares(n_train: int, n_val: int) -> list[tuple[str, list[int]]]:
    """Return which brains are learned from and tuned on: the untouched one in both, each in its own part."""
    return [("train", [0, *range(1, n_train + 1)]), ("val", [0, *range(n_train + 1, n_train + n_val + 1)])]
