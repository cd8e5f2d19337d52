"""Torchvision's Python beside a CPU-only torch, for which its package index has no compiled operators.

Fetch it into a folder of its own, so that nothing else finds it, and name the folder in PYTHONPATH:

    pip install --no-deps --target FOLDER "torchvision==0.28.*"    (for torch 2.13)

Its import fails on operators that do not load; with their names declared it succeeds, and what is written in Python
can be run: the matcher that MONAI's detector wants, and the RoIAlign that torchvision falls back on.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

MISSING = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_DECLARED: list[Any] = []


def torchvision_there() -> bool:
    """Tell whether torchvision can be imported; call before anything that may import it."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    os.environ["TORCHDYNAMO_DISABLE"] = "1"  # its fallback would be compiled, and another thing measured
    import torch

    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in MISSING:
            library.define(operator)
        _DECLARED.append(library)  # the operators live as long as the library
        import torchvision
    return torchvision is not None
