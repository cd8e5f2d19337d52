"""`Volume`, `LabelMap` or `Instances` -> NIfTI-1 file with a fresh header: no text of the input is copied."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, OutputError, UsageError
from medseg.grid import AFFINE_TOLERANCE, Floats, Grid
from medseg.io.gzip_write import gzip_parts
from medseg.io.nifti import open_nifti
from medseg.io.nifti_geometry import FORMS_AGREE_VOXELS
from medseg.io.nifti_header import DTYPES, SIZE_1
from medseg.io.options import ReadOptions
from medseg.labels import Instances, LabelMap, smallest_integer_type
from medseg.volume import Volume

Writable = Volume | LabelMap | Instances
_CODE_OF = {np.dtype(name): code for code, name in DTYPES.items()}
_INTENT_LABEL = 1002
_LONGEST_AXIS = 32767
_PIECE = 1 << 20
"""Bytes that are packed, or read back and compared, at once: they stay in the cache."""
_SLICES, _ROWS, _MOST_AT_ONCE = 32, 8, 16 << 20
"""Slices that are brought into file order together, and how many of their rows at a time; and bytes at most."""


def write_nifti(value: Writable, path: Path) -> None:
    """Write a value in patient space as NIfTI-1, gzipped where the name ends in ``.gz``.

    Labels take the smallest unsigned type that holds them. The same value gives the same bytes.

    Parameters
    ----------
    value : Volume, LabelMap or Instances
        One channel.
    path : Path
        Written directly: call it through `io.write.write`.

    Raises
    ------
    MedsegError
        If NIfTI cannot hold the value.
    """
    array = _stored(value, path)
    head = np.frombuffer(_header(value, array.dtype), np.uint8)
    pieces = chain([head], _pieces(array))
    is_gzip = path.name.lower().endswith(".gz")
    with path.open("wb") as file:
        for part in gzip_parts(pieces) if is_gzip else (piece.data for piece in pieces):
            file.write(part)


def verify_nifti(value: Writable, path: Path) -> None:
    """Read a written file back, piece by piece, and raise `OutputError` unless it holds exactly `value`."""
    array = _stored(value, path)
    with open_nifti(path, ReadOptions(max_bytes=2**62), hashed=False) as opened:
        _check_same_place(value.grid, opened.placed.grid, path)
        if opened.header.dtype != array.dtype.newbyteorder("<"):
            raise _unequal(path, f"the type {opened.header.dtype}", str(array.dtype))
        buffer = np.empty(_PIECE, np.uint8)
        for piece in _pieces(array):
            back = buffer[: len(piece)]
            opened.stream.fill(back.data)
            if not _are_equal(back, piece):
                raise _unequal(path, "other voxels than those written", "the same voxels")
        if opened.stream.finish():
            raise _unequal(path, "more voxels than those written", "the same number")


def _stored(value: Writable, path: Path) -> npt.NDArray[Any]:
    """Return the (i, j, k) array in the type that the file will have."""
    if value.grid.space != "patient" or max(value.grid.shape) > _LONGEST_AXIS:
        raise UsageError(
            "E_USAGE",
            path=path.name,
            found=f"{value.grid!r}",
            expected=f"a scan in patient space, at most {_LONGEST_AXIS} voxels along an axis",
            not_done="it was not written as NIfTI",
            remedy="Write it as .tif instead.",
        )
    if not isinstance(value, Volume):
        return value.array.astype(_label_type(value.array, path), copy=False)
    if len(value.channels) != 1:
        raise UsageError(
            "E_USAGE",
            path=path.name,
            found=f"{len(value.channels)} channels",
            expected="one channel per NIfTI file",
            not_done="it was not written",
            remedy="Write each channel into a file of its own.",
        )
    array = value.numpy()[0]
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if array.dtype.newbyteorder("=") not in _CODE_OF:
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _label_type(array: npt.NDArray[Any], path: Path) -> np.dtype[Any]:
    low, high = int(array.min()), int(array.max())
    if low < 0:
        raise InputError(
            "E_LABELS_INVALID",
            path=path.name,
            found=f"the label {low}",
            expected="labels of 0 and above",
            not_done="the labels were not written",
            remedy="Renumber the labels.",
        )
    return smallest_integer_type(high).newbyteorder("<")


def _pieces(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the bytes of the voxels in file order (i fastest), parted alike whatever their order in memory."""
    step = min(_SLICES, max(1, _MOST_AT_ONCE // max(1, array[..., 0].nbytes)))
    for start in range(0, array.shape[2], step):
        flat = _in_file_order(array[..., start : start + step]).reshape(-1).view(np.uint8)
        for begin in range(0, len(flat), _PIECE):
            yield flat[begin : begin + _PIECE]


def _are_equal(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> bool:
    eights = len(a) // 8 * 8  # eight bytes at a time
    whole = np.array_equal(a[:eights].view(np.uint64), b[:eights].view(np.uint64))
    return whole and np.array_equal(a[eights:], b[eights:])


def _in_file_order(slices: npt.NDArray[Any]) -> npt.NDArray[Any]:
    turned = slices.T
    if turned.flags.c_contiguous:
        return turned
    out = np.empty(turned.shape, turned.dtype)
    for i in range(0, turned.shape[2], _ROWS):  # a few rows at a time stay in the cache, all at once do not
        out[..., i : i + _ROWS] = turned[..., i : i + _ROWS]
    return out


def _header(value: Writable, dtype: np.dtype[Any]) -> bytes:
    """Return a fresh header, made by nibabel from grid and type alone, and the four bytes that say: no extensions."""
    from nibabel.nifti1 import Nifti1Header

    grid, code = value.grid, _form_code(value)
    header = Nifti1Header(endianness="<")
    header.set_data_dtype(dtype)
    header.set_data_shape(grid.shape)
    header.set_xyzt_units("mm")
    header.set_qform(grid.world_from_index, code)
    header.set_sform(grid.world_from_index, code)
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = SIZE_1 + 4, 1.0, 0.0
    header["intent_code"] = 0 if isinstance(value, Volume) else _INTENT_LABEL
    if not _is_near(header.get_qform(), grid):
        header["qform_code"] = 0  # a quaternion cannot hold shear, not even that of rounding
    return bytes(header.binaryblock) + bytes(4)


def _is_near(qform: Floats, grid: Grid) -> bool:
    gap = np.abs(Grid(grid.shape, qform).corners() - grid.corners()).max()
    return bool(gap <= FORMS_AGREE_VOXELS * min(grid.spacing) / 2)


def _form_code(value: Writable) -> int:
    details = {} if value.source is None else value.source.details
    code = details.get(f"{details.get('form')}_code", 1)
    return code if isinstance(code, int) and code > 0 else 1


def _check_same_place(wanted: Grid, found: Grid, path: Path) -> None:
    # NIfTI-1 stores float32: an origin of 500 mm is rounded to 3e-5 mm, whatever the spacing.
    rounding = 4 * np.finfo(np.float32).eps * np.abs(wanted.corners()).max()
    tolerance = max(AFFINE_TOLERANCE, float(rounding) / min(wanted.spacing))
    if not wanted.same_as(found, tolerance=tolerance):
        raise _unequal(path, repr(found), repr(wanted))


def _unequal(path: Path, found: str, expected: str) -> OutputError:
    return OutputError(
        "E_INTERNAL",
        path=path.name,
        found=f"on reading the file back {found}",
        expected=expected,
        not_done="the file was not kept",
        remedy="Check the disk, and report this if it happens again.",
    )
