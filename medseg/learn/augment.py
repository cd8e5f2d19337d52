"""Random changes that a network should not care about, by MONAI's transforms, each replayable from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Pair = tuple[npt.NDArray[np.float32], npt.NDArray[Any]]


class Augmenter:
    """Turn, scale, mirror and disturb patches.

    Parameters
    ----------
    n_axes : {2, 3}
    mirror_axes : tuple of int
        Spatial axes that may be mirrored.
    thick_axis : int, optional
        Axis with much larger spacing: only turned within the plane across it.
    """

    def __init__(self, n_axes: int, *, mirror_axes: tuple[int, ...], thick_axis: int | None = None) -> None:
        self._shape = _shape_changes(n_axes, mirror_axes, thick_axis)
        self._values = _value_changes()

    def __call__(self, pair: Pair, *, seed: int) -> Pair:
        """Return a changed (c, *s) image and (*s) labels; equal seeds give equal results."""
        image, labels = pair
        data: dict[str, Any] = {
            "image": torch.from_numpy(image),
            "labels": torch.from_numpy(labels[None].astype(np.float32)),
        }
        for i, change in enumerate((*self._shape, *self._values)):
            change.set_random_state(seed=(seed * 31 + i) % 2**32)
            data = change(data)
        image = np.ascontiguousarray(np.asarray(data["image"]), dtype=np.float32)
        return image, np.asarray(data["labels"])[0].astype(labels.dtype)


def _shape_changes(n_axes: int, mirror_axes: tuple[int, ...], thick_axis: int | None) -> list[Any]:
    from monai.transforms.spatial.dictionary import RandAffined, RandFlipd

    keys = ("image", "labels")
    turn: Any = np.pi / 12 if n_axes == 3 else np.pi
    if n_axes == 3 and thick_axis is not None:
        turn = tuple(np.pi / 6 if axis == thick_axis else 0.0 for axis in range(3))
    elif n_axes == 3:
        turn = (turn, turn, turn)
    affine = RandAffined(
        keys=keys,
        prob=0.7,
        rotate_range=turn,
        scale_range=(0.15,) * n_axes,
        translate_range=None,
        mode=("bilinear", "nearest"),
        padding_mode="zeros",
    )
    return [affine, *(RandFlipd(keys=keys, prob=0.5, spatial_axis=axis) for axis in mirror_axes)]


def _value_changes() -> list[Any]:
    from monai.transforms.intensity.dictionary import (
        RandAdjustContrastd,
        RandGaussianNoised,
        RandGaussianSmoothd,
        RandScaleIntensityd,
        RandShiftIntensityd,
    )

    smooth = (0.4, 0.9)
    return [
        RandGaussianSmoothd(keys="image", prob=0.15, sigma_x=smooth, sigma_y=smooth, sigma_z=smooth),
        RandScaleIntensityd(keys="image", prob=0.3, factors=0.25),
        RandShiftIntensityd(keys="image", prob=0.3, offsets=0.25),
        RandAdjustContrastd(keys="image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
        RandGaussianNoised(keys="image", prob=0.2, std=0.15),
    ]
