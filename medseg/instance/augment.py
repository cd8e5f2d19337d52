"""Patches for the instance branch: cut, turned, zoomed to a drawn object size and disturbed, replayable from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from medseg.instance.cases import InstanceCase
from medseg.instance.scale import REFERENCE_DIAMETER
from medseg.instance.targets import OFFSET_UNIT, classes_of

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Drawing:
    """How patches are drawn.

    Parameters
    ----------
    patch : tuple of int
    centred : float
        Share of patches that are centred near an object.
    size_range : float
        The median object diameter is drawn between the reference divided and multiplied by this.
    native : float
        Share of patches near the image's own size instead: the first look at an unknown image sees those.
    turned : float
        Share of patches that are turned by any angle and not by quarters only.
    diameter : float
        The reference: median diameter in voxels of the finest axis.
    """

    patch: tuple[int, ...]
    centred: float = 0.7
    size_range: float = 1.7
    native: float = 0.2
    turned: float = 0.5
    diameter: float = REFERENCE_DIAMETER


def draw(case: InstanceCase, drawing: Drawing, *, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return a (3, *patch) image and its (1 + 1 + n + 1, *patch) targets.

    Targets are the class (0 background, 1 interior, 2 boundary), the relative distance, the way to the centre in
    units of `OFFSET_UNIT`, and the weight of the voxel: more between close neighbours.
    """
    rng = np.random.default_rng(seed)
    zoom, turn = _pose(case, drawing, rng)
    image, labels, maps = _resampled(case, _centre(case, drawing, zoom, rng), turn / zoom, drawing.patch)
    distance, relative, offsets = maps[0] * zoom, maps[1], maps[2:]
    ways = np.tensordot(turn.T, offsets, axes=1) * np.float32(zoom / OFFSET_UNIT)
    target = np.concatenate(
        [classes_of(labels, distance)[None], relative[None], ways, weights(labels)[None]], dtype=np.float32
    )
    return torch.from_numpy(disturbed(image, case.look == "colour", rng)), torch.from_numpy(target)


def draw_objects(case: InstanceCase, drawing: Drawing, *, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the same (3, *patch) image as `draw`, and (2, *patch) int64 numbers and classes of the objects."""
    rng = np.random.default_rng(seed)
    zoom, turn = _pose(case, drawing, rng)
    image, labels, _ = _resampled(case, _centre(case, drawing, zoom, rng), turn / zoom, drawing.patch)
    classes = np.append(0, case.classes)[labels]
    return torch.from_numpy(disturbed(image, case.look == "colour", rng)), torch.from_numpy(np.stack([labels, classes]))


def weights(labels: npt.NDArray[Any], *, reach: int = 2, most: float = 4.0) -> Floats:
    """Return 1, and `most` where two objects lie within `reach` voxels: there neighbours merge."""
    ids = torch.from_numpy(labels.astype(np.float32))[None, None]
    pool = functional.max_pool2d if labels.ndim == 2 else functional.max_pool3d
    size = 2 * reach + 1
    highest = pool(ids, size, stride=1, padding=reach)
    lowest = -pool(torch.where(ids > 0, -ids, -torch.inf), size, stride=1, padding=reach)
    close = (highest > 0) & (highest != lowest)
    return torch.where(close, most, 1.0)[0, 0].numpy()


def disturbed(image: Floats, colour: bool, rng: np.random.Generator) -> Floats:
    """Change brightness, contrast, stain, sharpness and noise as microscopes do."""
    image = _recoloured(image, rng) if colour else image
    if rng.random() < 0.04:
        image = 1.0 - image
    if rng.random() < 0.5:
        gamma = np.exp(rng.uniform(-0.6, 0.6))
        image = np.sign(image) * np.abs(image) ** np.float32(gamma)
    if rng.random() < 0.4:
        image = image * np.float32(np.exp(rng.uniform(-0.5, 0.3))) + np.float32(rng.uniform(-0.1, 0.1))
    if rng.random() < 0.15:
        image = image + _slope(image.shape[1:], rng)
    if rng.random() < 0.2:
        image = _blurred(image, float(rng.uniform(0.4, 1.5)))
    if rng.random() < 0.3:
        shared = rng.random() < 0.7 or not colour
        shape = (1, *image.shape[1:]) if shared else image.shape
        image = image + rng.standard_normal(shape, dtype=np.float32) * np.float32(rng.uniform(0.0, 0.12))
    return np.ascontiguousarray(image, dtype=np.float32)


def _recoloured(image: Floats, rng: np.random.Generator) -> Floats:
    choice = rng.random()
    if choice < 0.15:
        return np.repeat(image.mean(axis=0, keepdims=True), len(image), axis=0)
    if choice < 0.3:
        return image[rng.permutation(len(image))]
    factor = np.exp(rng.uniform(-0.25, 0.25, len(image))).astype(np.float32)
    shift = rng.uniform(-0.08, 0.08, len(image)).astype(np.float32)
    ones = (1,) * (image.ndim - 1)
    return image * factor.reshape(-1, *ones) + shift.reshape(-1, *ones)


def _slope(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    total = np.zeros(shape, np.float32)
    for axis, n in enumerate(shape):
        ramp = np.linspace(-1.0, 1.0, n, dtype=np.float32) * np.float32(rng.uniform(-0.15, 0.15))
        total += ramp.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return total


def _blurred(image: Floats, sigma: float) -> Floats:
    reach = max(1, round(2.5 * sigma))
    x = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = kernel / kernel.sum()
    out = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    for axis in range(1, image.ndim):
        moved = out.movedim(axis, -1)
        flat = functional.pad(moved.reshape(-1, 1, moved.shape[-1]), (reach, reach), mode="replicate")
        out = functional.conv1d(flat, kernel[None, None]).reshape(moved.shape).movedim(-1, axis)
    return out.numpy()


def _pose(case: InstanceCase, drawing: Drawing, rng: np.random.Generator) -> tuple[float, npt.NDArray[np.float64]]:
    zoom = _zoom(case, drawing, rng)
    return zoom, _turn(len(drawing.patch), rng, free=rng.random() < drawing.turned)


def _zoom(case: InstanceCase, drawing: Drawing, rng: np.random.Generator) -> float:
    range_ = np.log(drawing.size_range)
    zoom = float(np.exp(rng.uniform(-range_, range_)))
    if rng.random() >= drawing.native and len(case.objects):
        zoom *= drawing.diameter / case.diameter
    # a patch that is mostly padding teaches nothing
    smallest = 0.75 * max(p / n for p, n in zip(drawing.patch[-2:], case.labels.shape[-2:], strict=True))
    return float(np.clip(zoom, min(smallest, 1.0), 6.0))


def _turn(n_axes: int, rng: np.random.Generator, *, free: bool) -> npt.NDArray[np.float64]:
    """Return an orthogonal matrix: mirrored along any axis, turned within the plane of the last two."""
    angle = rng.uniform(0, 2 * np.pi) if free else rng.integers(4) * np.pi / 2
    turn = np.eye(n_axes)
    turn[-2:, -2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return np.asarray(turn @ np.diag(rng.choice([-1.0, 1.0], n_axes)))


def _centre(case: InstanceCase, drawing: Drawing, zoom: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    shape, half = np.array(case.labels.shape, float), np.array(drawing.patch) / (2.0 * zoom)
    if len(case.objects) and rng.random() < drawing.centred:
        middle = case.objects[rng.integers(len(case.objects)), :-1] + rng.uniform(-0.5, 0.5, len(shape)) * half
    else:
        middle = rng.uniform(0, shape - 1)
    low = np.minimum(half, shape / 2) - 0.5
    return np.clip(middle, low, shape - 1 - low)


def _resampled(
    case: InstanceCase, centre: npt.NDArray[np.float64], matrix: npt.NDArray[np.float64], patch: tuple[int, ...]
) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
    """Read voxel ``centre + matrix @ (index - middle)`` for every index of the patch; outside the image is 0."""
    reach = np.abs(matrix) @ (np.array(patch) / 2.0) + 2.0
    box = tuple(
        slice(max(0, int(c - r)), min(n, int(c + r) + 2))
        for c, r, n in zip(centre, reach, case.labels.shape, strict=True)
    )
    size = np.array([b.stop - b.start for b in box], float)
    local = centre - [b.start for b in box]
    theta = np.concatenate([matrix * np.array(patch) / size[:, None], ((2 * local + 1) / size - 1)[:, None]], axis=1)
    # torch counts axes from the last
    flipped = np.concatenate([theta[::-1, -2::-1], theta[::-1, -1:]], axis=1)
    grid = functional.affine_grid(torch.from_numpy(flipped[None].copy()).float(), [1, 1, *patch], align_corners=False)
    image = torch.from_numpy(case.image[(slice(None), *box)].astype(np.float32))[None]
    rest = np.concatenate(
        [case.labels[box][None].astype(np.float32), case.maps[(slice(None), *box)].astype(np.float32)]
    )
    smooth = functional.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
    exact = functional.grid_sample(torch.from_numpy(rest)[None], grid, mode="nearest", align_corners=False)[0].numpy()
    return smooth.numpy(), exact[0].astype(np.int64), exact[1:]
