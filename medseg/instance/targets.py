"""What a network learns in order to separate touching objects, from label images of two or three axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

BOUNDARY_WIDTH = 2.0
"""Thickness of the boundary class inside the outline, in voxels of the finest axis of the working grid."""
OFFSET_UNIT = 24.0
"""Voxels of the finest axis that are 1 in the network's answer for the way to the centre."""
RIM = 0.5
"""Distance of a voxel at the outline from the outline itself."""


@dataclass(frozen=True, eq=False, slots=True)
class ObjectMaps:
    """Where every voxel lies within its object; lengths are in voxels of the finest axis.

    Parameters
    ----------
    distance : (*s) float32 array
        Distance to the object's own outline; 0 outside.
    relative : (*s) float32 array
        The same as a share of the object's largest distance, 0 to 1.
    offsets : (n, *s) float32 array
        Way to the object's centre of mass along each axis; 0 outside.
    """

    distance: npt.NDArray[np.float32]
    relative: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]


def relative_spacing(spacing: tuple[float, ...]) -> tuple[float, ...]:
    """Return the spacing in units of the finest axis.

    Examples
    --------
    >>> relative_spacing((2.0, 0.5, 0.5))
    (4.0, 1.0, 1.0)
    """
    return tuple(s / min(spacing) for s in spacing)


def object_maps(labels: npt.NDArray[Any], spacing: tuple[float, ...]) -> ObjectMaps:
    """Return distances and centres of all objects at once.

    One distance transform serves all objects: the nearest outline voxel of any object belongs to one's own, since every
    way out of an object crosses its own outline first. The border of the image is no outline.

    Parameters
    ----------
    labels : (*s) integer array
        0 is background, equal numbers are one object.
    spacing : (n,) floats
        Distances between voxels, in any unit; only their ratios matter.

    Examples
    --------
    >>> labels = np.zeros((1, 7), int)
    >>> labels[0, 1:4], labels[0, 4:7] = 1, 2
    >>> object_maps(labels, (1.0, 1.0)).distance[0].tolist()
    [0.0, 0.5, 1.5, 0.5, 0.5, 1.5, 2.5]
    """
    steps = relative_spacing(spacing)
    inside = labels > 0
    rim = outlines(labels)
    distance = np.zeros(labels.shape, np.float32)
    if rim.any():
        distance[inside] = ndimage.distance_transform_edt(~rim, sampling=steps)[inside] + RIM
    elif inside.any():  # one object fills the image: every voxel is as deep as the next
        distance[inside] = float(max(labels.shape))
    ids, compact = np.unique(labels, return_inverse=True)
    compact = compact.reshape(labels.shape)
    index = np.arange(len(ids))
    largest = np.asarray(ndimage.maximum(distance, compact, index), np.float32)
    relative = (distance / np.maximum(largest, RIM)[compact]).astype(np.float32)
    return ObjectMaps(distance, relative, _offsets(compact, index, inside, steps))


def outlines(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return the object voxels that have a face neighbour of another number."""
    rim = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(labels.ndim))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(labels.ndim))
        differ = labels[low] != labels[high]
        rim[low] |= differ
        rim[high] |= differ
    return rim & (labels > 0)


def classes_of(labels: npt.NDArray[Any], distance: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return 0 for background, 1 for the interior of objects, 2 for the boundary inside their outline."""
    classes = (labels > 0).astype(np.uint8)
    classes[(labels > 0) & (distance < BOUNDARY_WIDTH)] = 2
    return classes


def _offsets(
    compact: npt.NDArray[np.intp],
    index: npt.NDArray[np.intp],
    inside: npt.NDArray[np.bool_],
    steps: tuple[float, ...],
) -> npt.NDArray[np.float32]:
    offsets = np.zeros((compact.ndim, *compact.shape), np.float32)
    places = np.ogrid[tuple(slice(0, n) for n in compact.shape)]
    counts = np.bincount(compact.ravel(), minlength=len(index))
    for axis, (place, step) in enumerate(zip(places, steps, strict=True)):
        along = np.broadcast_to(place, compact.shape)
        centre = np.bincount(compact.ravel(), along.ravel(), minlength=len(index)) / np.maximum(counts, 1)
        offsets[axis] = np.where(inside, (centre[compact] - along) * step, 0.0)
    return offsets
