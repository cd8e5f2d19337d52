"""`Volume` -> `LabelMap`: which numbers are labels, and which are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, Notice
from medseg.io.refusals import unsupported_axes
from medseg.labels import LabelMap, smallest_integer_type
from medseg.volume import Volume

LARGEST_ID = 2**53
"""Above this, tools that work in double precision merge different ids."""
ROUNDING = 1e-3


def as_labels(volume: Volume, *, classes: dict[int, str] | None = None) -> LabelMap:
    """Return an image of one channel as labels.

    Parameters
    ----------
    volume : Volume
        Integers, or fractions within 1e-3 of them.
    classes : dict of int to str, optional
        Names by id; other labels than these and 0 are refused. Where they are not given, labels keep the names that
        their file carries.

    Raises
    ------
    InputError
        E_LABELS_INVALID for negative, fractional or too large values; E_DIMENSIONS_UNSUPPORTED for several channels.

    Examples
    --------
    >>> from medseg.grid import Grid
    >>> volume = Volume(np.full((1, 2, 2, 2), 0.99999, np.float32), Grid((2, 2, 2), np.eye(4)))
    >>> labels = as_labels(volume)
    >>> int(labels.array.max()), labels.array.dtype, labels.warnings[0].code
    (1, dtype('uint8'), 'W_LABELS_ROUNDED')
    """
    path = Path(volume.source.path if volume.source else "labels")
    if len(volume.channels) != 1:
        raise unsupported_axes(
            path, f"{len(volume.channels)} channels", "one label per voxel", "Choose one with --channel."
        )
    array, notices = _integers(volume.numpy()[0], path)
    low, high = (int(array.min()), int(array.max()))
    if low < 0 or high > LARGEST_ID:
        raise _invalid(path, f"the label {low if low < 0 else high}", f"labels from 0 to {LARGEST_ID}")
    if classes is not None:
        _check_known(array, high, classes, path)
    told = volume.source.details.get("classes", {}) if volume.source else {}
    return LabelMap(
        array, volume.grid, dict(told if classes is None else classes), volume.source, volume.warnings + notices
    )


def _integers(array: npt.NDArray[Any], path: Path) -> tuple[npt.NDArray[Any], tuple[Notice, ...]]:
    if array.dtype == np.bool_:
        return array.view(np.uint8), ()
    if array.dtype.kind in "iu":
        return array, ()
    if not np.isfinite(array).all():
        raise _invalid(path, f"{int((~np.isfinite(array)).sum())} values that are not numbers", "whole numbers")
    exact = 2**24 if array.dtype.itemsize <= 4 else LARGEST_ID
    if np.abs(array).max() > exact:
        raise _invalid(path, f"labels up to {array.max():g} stored as fractions", f"fractions up to {exact}")
    rounded = np.rint(array)
    gap = float(np.abs(array - rounded).max())
    if gap >= ROUNDING:
        raise _invalid(path, f"fractions that lie up to {gap:.3g} from a whole number", f"less than {ROUNDING:g}")
    low, high = int(rounded.min()), int(rounded.max())
    labels = rounded.astype(np.int64 if low < 0 else smallest_integer_type(high))
    if gap == 0:
        return labels, ()
    text = f"The labels are stored as fractions up to {gap:.2g} from a whole number; they were rounded."
    return labels, (Notice("W_LABELS_ROUNDED", text),)


def _check_known(array: npt.NDArray[Any], high: int, classes: dict[int, str], path: Path) -> None:
    if high <= max(classes, default=0) < 2**16:
        present = np.flatnonzero(np.bincount(array.reshape(-1, order="A"), minlength=1))
    else:
        present = np.unique(array)
    unknown = [int(i) for i in present if i != 0 and int(i) not in classes]
    if unknown:
        shown = ", ".join(str(i) for i in unknown[:10]) + (" ..." if len(unknown) > 10 else "")
        known = ", ".join(str(i) for i in sorted(classes))
        raise _invalid(path, f"the labels {shown}", f"only 0 and {known}")


def _invalid(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        "E_LABELS_INVALID",
        path=path,
        found=found,
        expected=expected,
        not_done="the labels were not read",
        remedy="Export the labels as whole numbers, one per structure or object, 0 for background.",
    )
