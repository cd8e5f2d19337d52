"""The door out: `Volume`, `LabelMap` or `Instances` -> file, complete and read back, or not there at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from medseg.errors import OutputError, UsageError
from medseg.io.atomic import Receipt, write_atomically
from medseg.io.options import ReadOptions
from medseg.io.read import read_with
from medseg.labels import Instances, LabelMap
from medseg.volume import Volume

__all__ = ["Receipt", "write"]

Writable = Volume | LabelMap | Instances
_READ_BACK_TOLERANCE = 1e-4


def write(value: Writable, path: str | os.PathLike[str]) -> Receipt:
    """Write a value in the format that the name asks for, on its own grid.

    Parameters
    ----------
    value : Volume, LabelMap or Instances
    path : path-like
        Ends in .nii, .nii.gz, .nrrd, .mha, .tif, .tiff, .png or .ome.zarr; an existing file is replaced.

    Returns
    -------
    Receipt
        Path, SHA-256 and size of the complete file.

    Raises
    ------
    MedsegError
        If the format cannot hold the value, the disk is full or the folder may not be written.

    Examples
    --------
    >>> import tempfile
    >>> from medseg.grid import Grid
    >>> labels = LabelMap(np.ones((2, 3, 4), np.uint8), Grid((2, 3, 4), np.eye(4)))
    >>> write(labels, Path(tempfile.mkdtemp(), "labels.nii.gz")).n_bytes > 0
    True
    """
    path = Path(path)
    if path.name.lower().endswith(".zarr"):
        from medseg.io.zarr import write_zarr

        return write_zarr(value, path)
    writer, verifier = _writer_of(path)
    return write_atomically(path, lambda target: writer(value, target), lambda target: verifier(value, target))


def _writer_of(path: Path) -> tuple[Callable[[Writable, Path], None], Callable[[Writable, Path], None]]:
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        from medseg.io.nifti_write import verify_nifti, write_nifti

        return write_nifti, verify_nifti
    if name.endswith((".nrrd", ".mha")):
        from medseg.io.itk import write_itk

        return write_itk, _verify
    if name.endswith((".tif", ".tiff")):
        from medseg.io.tiff import write_tiff

        return write_tiff, _verify
    if name.endswith(".png"):
        from medseg.io.picture import write_picture

        return write_picture, _verify
    raise UsageError(
        "E_USAGE",
        path=path,
        found=f"the ending {path.suffix!r}",
        expected=".nii, .nii.gz, .nrrd, .mha, .tif, .png or .ome.zarr",
        not_done="nothing was written",
        remedy="Choose one of these endings.",
    )


def _verify(value: Writable, path: Path) -> None:
    """Read the file back and raise unless its numbers, shape and place are those of `value`."""
    back = read_with(path, ReadOptions(max_bytes=2**62))
    wanted = value.numpy() if isinstance(value, Volume) else value.array[np.newaxis]
    if back.array.shape != wanted.shape or not np.array_equal(back.numpy(), wanted, equal_nan=wanted.dtype.kind == "f"):
        raise _unequal(path, "other values than those written")
    if (
        path.suffix.lower() != ".png"
        and value.grid.unit != "px"
        and not value.grid.same_as(back.grid, tolerance=_READ_BACK_TOLERANCE)
    ):
        raise _unequal(path, f"{back.grid!r} where {value.grid!r} was written")


def _unequal(path: Path, found: str) -> OutputError:
    return OutputError(
        "E_INTERNAL",
        path=path.name,
        found=f"on reading the file back {found}",
        expected="what was written",
        not_done="the file was not kept",
        remedy="Check the disk, and report this if it happens again.",
    )
