"""A detector without weights: every connected bright part is an object. It tests what is around a network."""

import numpy as np
import torch
from scipy import ndimage

from medseg.models.card import ModelCard
from medseg.nets.maskrcnn.values import Detections

CELLS = 24


class BrightParts(torch.nn.Module):
    """Answers as a detector does, with masks on grids of `CELLS` cells along each axis."""

    def __init__(self, n_axes=2, *, spoiled=False):
        super().__init__()
        self.unit = (4,) * n_axes
        self.asked = []
        self._spoiled = spoiled

    def detect(self, images, *, settings):
        self.asked.append(tuple(images.shape[2:]))
        return [self._parts(image) for image in images.float().numpy()]

    def _parts(self, image):
        labels, _ = ndimage.label(image.mean(axis=0) > 0.5)
        boxes, masks, scores = [], [], []
        for number, box in enumerate(ndimage.find_objects(labels), 1):
            mask = (labels[box] == number).astype(np.float32)
            boxes.append([*(s.start for s in box), *(s.stop for s in box)])
            scale = [CELLS / n for n in mask.shape]
            masks.append(ndimage.zoom(mask, scale, order=1, grid_mode=True, mode="nearest"))
            scores.append(0.9)
        n = image.ndim - 1
        score = torch.tensor(scores)
        return Detections(
            torch.tensor(np.array(boxes, np.float32).reshape(-1, 2 * n)),
            score * torch.nan if self._spoiled else score,
            torch.ones(len(boxes), dtype=torch.long),
            torch.tensor(np.array(masks, np.float32).reshape(-1, *(CELLS,) * n)),
        )


def card(n_axes=2, **split):
    """Return the card of such a detector."""
    patch = (64, 64) if n_axes == 2 else (16, 32, 32)
    return ModelCard.model_validate(
        {
            "name": "bright",
            "version": "1.0.0",
            "task": "detection",
            "summary": "Bright parts.",
            "architecture": {"name": "maskrcnn"},
            "input": {
                "channels": ["red", "green", "blue"],
                "space": "image",
                "unit": "px",
                "patch": patch,
                "normalisation": {"scheme": "percentile", "percentiles": [1.0, 99.8]},
                "mirror_axes": list(range(n_axes))[-2:],
            },
            "classes": {1: "disc"},
            "outputs": ["background", "disc"],
            "split": {"diameter": 32.0 if n_axes == 2 else 16.0, "score_threshold": 0.5, **split},
            "weights_sha256": "0" * 64,
            "licence": "CC0-1.0",
            "training_data": {"name": "none", "licence": "none", "attribution": "none", "n_cases": 0},
        }
    )
