"""Slow, plain references that several tests compare with."""

import os

import numpy as np
import pytest


def dice(found: np.ndarray, truth: np.ndarray, class_id: int) -> float:
    """Return the Dice of one class, by the definition."""
    a, b = found == class_id, truth == class_id
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


two_devices = pytest.mark.skipif(_cores() < 2, reason="two processes want two cores")
"""Marks tests that train with two processes."""
