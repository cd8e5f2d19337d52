"""What a detector learns from and what it answers: boxes, classes, masks on small grids over the boxes.

A box is [start_1 .. start_n, stop_1 .. stop_n] in voxels with half-open edges: a single voxel i has the box [i, i + 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

NO_CLASS = -1
"""Class of voxels that belong to no named object: they neither teach nor count."""


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of one image; their masks stay in the label image and are read box by box.

    Parameters
    ----------
    boxes : (k, 2n) float32 tensor
        In voxels.
    classes : (k,) long tensor
        From 1.
    labels : (*s) long tensor
        0 is background, other numbers are objects. A number that is not in `ids` is an object of no class.
    ids : (k,) long tensor
        Number of each object in `labels`; need not be consecutive.
    """

    boxes: Tensor
    classes: Tensor
    labels: Tensor
    ids: Tensor

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of(cls, labels: Tensor, class_of: Mapping[int, int] | None = None) -> Self:
        """Return the objects of a label image.

        Parameters
        ----------
        labels : (*s) integer tensor
        class_of : mapping, optional
            Object number → class, from 1. Without it every object has class 1; objects that it lacks have no class.

        Examples
        --------
        >>> Truth.of(torch.tensor([[0, 7, 7], [0, 0, 7]])).boxes
        tensor([[0., 1., 2., 3.]])
        """
        labels = labels.long()
        places = labels.nonzero()
        ids, which = torch.unique(labels[tuple(places.T)], return_inverse=True)
        shape = (len(ids), labels.ndim)
        index = which[:, None].expand(-1, labels.ndim)
        starts = places.new_zeros(shape).scatter_reduce(0, index, places, "amin", include_self=False)
        stops = places.new_zeros(shape).scatter_reduce(0, index, places + 1, "amax", include_self=False)
        boxes = torch.cat([starts, stops], dim=1).float()
        if class_of is None:
            return cls(boxes, torch.ones_like(ids), labels, ids)
        classes = torch.tensor([class_of.get(i, 0) for i in ids.tolist()], dtype=torch.long, device=ids.device)
        named = classes > 0
        return cls(boxes[named], classes[named], labels, ids[named])

    def to(self, device: torch.device) -> Truth:
        """Return the same on a device."""
        parts = (self.boxes, self.classes, self.labels, self.ids)
        return Truth(*(part.to(device) for part in parts))

    def class_map(self) -> Tensor:
        """Return the (*s) long classes of the voxels: 0 background, `NO_CLASS` where an object has none."""
        if not len(self.ids):
            return torch.where(self.labels == 0, 0, NO_CLASS)
        order = self.ids.argsort()
        place = torch.searchsorted(self.ids[order], self.labels).clamp(max=len(self.ids) - 1)
        known = self.ids[order][place] == self.labels
        classes = torch.where(known, self.classes[order][place], NO_CLASS)
        return torch.where(self.labels == 0, 0, classes)


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in one image, best first.

    Parameters
    ----------
    boxes : (k, 2n) float32 tensor
        In voxels, inside the image.
    scores : (k,) float32 tensor
        Probability of the class.
    classes : (k,) long tensor
        From 1.
    masks : (k, m, ..., m) float32 tensor
        Probability that a cell of a regular grid over the box belongs to the object.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.boxes)
