"""What a detector learns from a patch: the objects of its label image, without the slivers at its faces."""

from __future__ import annotations

import torch
from torch import Tensor

from medseg.nets.maskrcnn.values import Truth

FEWEST_VOXELS = 12
"""Objects of which a patch shows fewer voxels, because its face cuts them or they are dust, neither teach nor count."""


def truth_of(labels: Tensor, classes: Tensor | None = None, *, fewest: int = FEWEST_VOXELS) -> Truth:
    """Return the objects of a (*s) label image as boxes; numbers need not be consecutive.

    Parameters
    ----------
    labels : (*s) integer tensor
        0 is background.
    classes : (*s) integer tensor, optional
        Class of each object in all of its voxels, from 1; without it all are of class 1.
    fewest : int
        Smaller objects stay in the image as objects of no class.

    Examples
    --------
    >>> truth = truth_of(torch.tensor([[0, 90, 90], [0, 90, 5]]), fewest=2)
    >>> truth.boxes.tolist(), truth.ids.tolist()
    ([[0.0, 1.0, 2.0, 3.0]], [90])
    """
    truth = Truth.of(labels)
    if not len(truth):
        return truth
    inside = truth.labels > 0
    places = torch.searchsorted(truth.ids, truth.labels[inside])
    kinds = truth.classes.clone()
    if classes is not None:
        kinds[places] = classes.long()[inside]
    large = torch.bincount(places, minlength=len(truth)) >= fewest
    return Truth(truth.boxes[large], kinds[large], truth.labels, truth.ids[large])
