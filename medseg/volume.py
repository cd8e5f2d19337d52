"""An image with its place in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryError, Notice
from medseg.grid import Grid

AnyArray = npt.NDArray[Any]
"""numpy, or a lazy array that answers the same questions (dask); `Volume.numpy` brings it into memory."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from.

    Parameters
    ----------
    path : str
        The file or folder that was read.
    format : str
        Short name of the format, such as ``nifti`` or ``dicom``.
    sha256 : str
        Hash of the bytes that were read; for several files the hash over their sorted hashes.
    n_bytes : int
        Number of bytes that were read.
    details : dict
        Facts about the file that belong in the record: form codes, number of slices. No patient data.
    """

    path: str
    format: str
    sha256: str = ""
    n_bytes: int = 0
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Volume:
    """An image of one or more channels on a grid, 2-D or 3-D.

    Parameters
    ----------
    array : (c, *grid.shape) array
        Patient space: (c, i, j, k) as stored in the file. Image space: (c, [z,] y, x).
    grid : Grid
    channels : tuple of str
        One name per channel; numbered when not given.
    source : Source, optional
    warnings : tuple of Notice

    Raises
    ------
    GeometryError
        If the array does not fit the grid or the channels.

    Examples
    --------
    >>> volume = Volume(np.zeros((1, 4, 5, 6), np.float32), Grid((4, 5, 6), np.eye(4)))
    >>> volume.channels
    ('0',)
    """

    array: AnyArray
    grid: Grid
    channels: tuple[str, ...] = ()
    source: Source | None = None
    warnings: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        check_fits(self.array.shape[1:], self.grid)
        if not self.channels:
            object.__setattr__(self, "channels", tuple(str(c) for c in range(self.array.shape[0])))
        if len(self.channels) != self.array.shape[0]:
            raise GeometryError(
                "E_GEOMETRY_MISMATCH",
                found=f"{self.array.shape[0]} channels and {len(self.channels)} names",
                expected="one name per channel",
                not_done="no volume was made",
                remedy="Name each channel once.",
            )

    def __repr__(self) -> str:
        return f"Volume({len(self.channels)} x {self.grid!r}, {self.array.dtype}, {list(self.channels)})"

    def numpy(self) -> npt.NDArray[Any]:
        """Return the array in memory (a lazy array is computed)."""
        return np.asarray(self.array)


def joined(volumes: Sequence[Volume], channels: tuple[str, ...] = ()) -> Volume:
    """Return several images of one grid as the channels of one.

    Parameters
    ----------
    volumes : sequence of Volume
    channels : tuple of str
        New names; those of the images where their number is another.

    Raises
    ------
    GeometryError
        If they lie on different grids.

    Examples
    --------
    >>> one = Volume(np.zeros((1, 2, 2, 2)), Grid((2, 2, 2), np.eye(4)), ("T1",))
    >>> joined([one, one], ("T1", "T2")).channels
    ('T1', 'T2')
    """
    check_one_grid(volumes)
    first = volumes[0]
    array = np.concatenate([volume.numpy() for volume in volumes])
    own = tuple(name for volume in volumes for name in volume.channels)
    notices = tuple(dict.fromkeys(notice for volume in volumes for notice in volume.warnings))
    return Volume(array, first.grid, channels if len(channels) == len(own) else own, first.source, notices)


def check_one_grid(volumes: Sequence[Volume]) -> None:
    """Raise `GeometryError` unless all images lie on one grid."""
    first = volumes[0]
    for other in volumes[1:]:
        if not first.grid.same_as(other.grid):
            raise GeometryError(
                "E_GEOMETRY_MISMATCH",
                found=repr(other.grid),
                expected=f"the grid of the first channel, {first.grid!r}",
                not_done="the channels were not joined",
                remedy="Resample the channels of one image to the same grid.",
            )


def check_fits(shape: tuple[int, ...], grid: Grid) -> None:
    """Raise `GeometryError` unless an array of `shape` fills `grid`."""
    if tuple(shape) != grid.shape:
        raise GeometryError(
            "E_GEOMETRY_MISMATCH",
            found=f"an array of shape {tuple(shape)}",
            expected=f"the grid's shape {grid.shape}",
            not_done="no value was made",
            remedy="Give the array together with the grid that it was read with.",
        )
