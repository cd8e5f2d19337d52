"""A loss that counts how far away an error lies, in the image's own spacing."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

Spacing = tuple[float, ...]


class Hausdorff(nn.Module):
    """Squared errors, weighted by their squared distance from both outlines; the logarithm of 1 + their mean.

    MONAI's loss measures distances in voxels, so that an error of one thick slice counts like one of a fine voxel. Here
    they are in units of the finest axis. The logarithm keeps the loss of a first, wild answer near that of Dice. Where
    an answer is sure and wrong there is hardly a slope: use it together with cross-entropy (Karimi et al. 2019).

    Parameters
    ----------
    spacing : tuple of float, optional
        Of the axes of the images; equal when not given. It can be set later.
    """

    def __init__(self, spacing: Spacing | None = None) -> None:
        from monai.losses.hausdorff_loss import LogHausdorffDTLoss

        super().__init__()
        self.spacing = spacing
        self.inner = LogHausdorffDTLoss(include_background=False, to_onehot_y=True, softmax=True)
        self.inner.distance_field = self.distances

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (b, c, *s) logits against (b, 1, *s) class numbers."""
        loss: Tensor = self.inner(logits, labels)
        return loss

    @torch.no_grad()
    def distances(self, shares: Tensor) -> Tensor:
        """Return each voxel's distance to the outline of (b, 1, *s) shares at one half; 0 where there is no outline."""
        masks = (shares > 0.5).cpu().numpy()
        sampling = None if self.spacing is None else np.array(self.spacing) / min(self.spacing)
        field = np.zeros(masks.shape, np.float32)
        for index in np.ndindex(*masks.shape[:2]):
            mask = masks[index]
            if mask.any() and not mask.all():
                inside, outside = (ndimage.distance_transform_edt(m, sampling=sampling) for m in (mask, ~mask))
                field[index] = inside + outside
        return torch.from_numpy(field).to(shares.device)
