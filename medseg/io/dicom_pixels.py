"""Files of one stack, in order -> their voxels: decoded, rescaled slice by slice, padding made harmless."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.io.dicom_headers import PARSE_FAULTS, header_mark, parsed, quiet
from medseg.io.dicom_slice import SliceHeader, Stored
from medseg.io.dicom_structure import (
    BIG_ENDIAN,
    FLOAT_PIXELS,
    HEADER_CAP,
    PIXEL_DATA,
    DamagedDicomError,
    NotDicomError,
    opened,
)

AnyArray = npt.NDArray[Any]

_INTEGERS = tuple(np.dtype(name) for name in ("uint8", "int16", "uint16"))
_WIDE_INTEGERS = tuple(np.dtype(name) for name in ("int32", "uint32"))


@dataclass(frozen=True, slots=True)
class Pixels:
    """The voxels of a stack and what was read to get them.

    Parameters
    ----------
    array : (columns, rows, slices) array
    hashes : dict of Path to str
        SHA-256 of each file, over the same bytes that were decoded.
    n_bytes : int
    n_padding : int
        Voxels outside the scan that were set to the lowest valid value.
    """

    array: AnyArray
    hashes: dict[Path, str]
    n_bytes: int
    n_padding: int


class ChangedFileError(ValueError):
    """A file is no longer the one whose header was read."""


class DamagedMemberError(ValueError):
    """A file of the stack cannot be decoded.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.path = path


def voxel_type(slices: Sequence[SliceHeader]) -> np.dtype[Any]:
    """Return the type of the voxels: the smallest integer type that holds all slices exactly, else float32.

    Integers are kept where every slope is 1 and every intercept whole. 16-bit values beyond int16 and uint16
    (an unsigned scan with a negative intercept) become float32, which holds them exactly.
    """
    low, high = np.inf, -np.inf
    for header in slices:
        stored = header.stored
        if stored.pixel_tag != PIXEL_DATA:
            return np.dtype(np.float32 if stored.pixel_tag == FLOAT_PIXELS else np.float64)
        if header.slope != 1 or header.intercept != int(header.intercept):
            return np.dtype(np.float32)
        span = 2**stored.bits_stored
        start = -(span // 2) if stored.is_signed else 0
        low, high = min(low, start + header.intercept), max(high, start + span - 1 + header.intercept)
    is_wide = max(s.stored.bits_stored for s in slices) > 16  # float32 would merge neighbours
    for kind in _INTEGERS + _WIDE_INTEGERS * is_wide:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return kind
    return np.dtype(np.float64 if is_wide else np.float32)


def read_pixels(slices: Sequence[SliceHeader]) -> Pixels:
    """Read every file once: hash its bytes, parse them, decode them.

    Parameters
    ----------
    slices : sequence of SliceHeader
        The stack in its order.

    Notes
    -----
    Scanners fill what lies outside the field of view with a padding value far from any tissue, which would spoil each
    statistic. Padding that lies outside the range of the other voxels is set to their lowest value. Padding that
    is 0 in a scan without negative values stays: 0 is its own "nothing".

    Raises
    ------
    DamagedMemberError
        If a file cannot be decoded.
    ChangedFileError
        If a file changed since its header was read.
    """
    first = slices[0].stored
    kind = voxel_type(slices)
    # Memory order k, j, i: each decoded slice is written in one run; the transposed view is what others see.
    voxels = np.empty((len(slices), first.rows, first.columns), dtype=kind)
    padding = np.zeros(voxels.shape, dtype=bool) if any(s.padding for s in slices) else None
    hashes: dict[Path, str] = {}
    n_bytes = 0
    by_file: dict[Path, list[int]] = {}
    for k, header in enumerate(slices):
        by_file.setdefault(header.path, []).append(k)
    for path, places in by_file.items():
        data = path.read_bytes()
        hashes[path] = hashlib.sha256(data).hexdigest()
        n_bytes += len(data)
        members = [slices[k] for k in places]
        for k, header, frame in zip(places, members, _decoded(data, members), strict=True):
            if padding is not None and header.padding is not None:
                padding[k] = (frame >= header.padding[0]) & (frame <= header.padding[1])
            voxels[k] = _rescaled(frame, header, kind)
    n_padding = 0 if padding is None else _fill_padding(voxels, padding)
    return Pixels(voxels.transpose(2, 1, 0), hashes, n_bytes, n_padding)


def _decoded(data: bytes, members: list[SliceHeader]) -> Iterator[AnyArray]:
    path, stored = members[0].path, members[0].stored
    try:
        plain = _checked(data, path, stored)
        if stored.needs_decoder:
            yield from _decompressed(plain, stored, [m.frame for m in members])
        else:
            for member in members:
                yield _native(plain, stored, member.frame)
    except DamagedDicomError as error:
        raise DamagedMemberError(path, str(error)) from None


def _checked(data: bytes, path: Path, stored: Stored) -> bytes:
    """Return the bytes, inflated if need be, after checking that the header is still the one that was read."""
    if stored.is_deflated:
        pixel_bytes = stored.rows * stored.columns * stored.n_frames * stored.bits_allocated // 8
        try:
            data = opened(io.BytesIO(data), max_inflated=pixel_bytes + HEADER_CAP)[0].read()
        except NotDicomError:
            raise ChangedFileError(str(path)) from None
    if header_mark(data[: stored.pixels_at]) != stored.header_mark:
        raise ChangedFileError(str(path))
    return data


def _native(data: bytes, stored: Stored, frame: int) -> AnyArray:
    """Return one uncompressed frame, (rows, columns), with only the bits that are declared as stored."""
    bits = stored.bits_allocated
    sign = "f" if stored.pixel_tag != PIXEL_DATA else "i" if stored.is_signed else "u"
    order = ">" if stored.transfer_syntax == BIG_ENDIAN else "<"
    n_values = stored.rows * stored.columns
    start = stored.pixels_at + frame * n_values * bits // 8
    if len(data) < start + n_values * bits // 8:
        raise DamagedDicomError("ends before the end of its pixels")
    values = np.frombuffer(data, f"{order}{sign}{bits // 8}", n_values, start).reshape(stored.rows, stored.columns)
    spare = bits - stored.bits_stored
    if spare and sign != "f":  # other data may lie in the spare bits; the shift back restores the sign
        values = values << spare >> spare
    return values


def _decompressed(data: bytes, stored: Stored, frames: list[int]) -> Iterator[AnyArray]:
    from pydicom.pixels import iter_pixels

    try:
        dataset = parsed(io.BytesIO(data), pixels=True)
        if stored.is_compressed:
            _check_codestreams(dataset, stored.rows, stored.columns, stored.n_frames)
        decoded = iter_pixels(dataset, indices=frames, allow_excess_frames=False)
        for _ in frames:
            with quiet():
                frame = next(decoded)
            if frame.shape != (stored.rows, stored.columns):
                raise DamagedDicomError(f"holds pixels of {frame.shape}")
            yield frame
    except PARSE_FAULTS as error:
        if isinstance(error, DamagedDicomError):
            raise
        raise DamagedDicomError("has pixels that cannot be decoded") from None


def _check_codestreams(dataset: Any, rows: int, columns: int, n_frames: int) -> None:
    """Refuse compressed frames that unpack to another size than declared, before a decoder allocates it."""
    from pydicom.encaps import generate_frames

    for frame in generate_frames(dataset.PixelData, number_of_frames=n_frames):
        size = _codestream_size(frame)
        if size is not None and size != (rows, columns):
            raise DamagedDicomError(f"holds compressed pixels of {size[0]} x {size[1]}, not {rows} x {columns}")


def _codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Return rows and columns of a JPEG, JPEG-LS or JPEG 2000 frame, None where they cannot be told."""
    if (at := frame.find(b"\xff\x4f\xff\x51", 0, 4096)) >= 0 and len(frame) >= at + 24:
        right, bottom, left, top = (int.from_bytes(frame[at + k : at + k + 4], "big") for k in (8, 12, 16, 20))
        return bottom - top, right - left
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 9 <= len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
        at += 2 + length
    return None


def _rescaled(frame: AnyArray, header: SliceHeader, kind: np.dtype[Any]) -> AnyArray:
    if header.slope == 1 and header.intercept == 0:
        values = frame
    elif kind == np.float32:
        # One rounding per step in float32, as the rule says; 16-bit stored values are exact in it.
        values = frame.astype(np.float32) * np.float32(header.slope) + np.float32(header.intercept)
    elif kind == np.float64:
        values = frame.astype(np.float64) * header.slope + header.intercept
    else:
        values = frame.astype(np.int64 if header.stored.bits_stored > 16 else np.int32) + int(header.intercept)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        if values.min() < limits.min or values.max() > limits.max:
            raise DamagedMemberError(header.path, "has values beyond the bits that it declares")
    return values.astype(kind, copy=False)


def _fill_padding(voxels: AnyArray, padding: npt.NDArray[np.bool_]) -> int:
    valid = ~padding
    if not padding.any() or not valid.any():
        return 0
    low, high = voxels.min(where=valid, initial=_top(voxels)), voxels.max(where=valid, initial=_bottom(voxels))
    outside = voxels[padding]
    if (outside == 0).all() and low >= 0:
        return 0
    if outside.max() >= low and outside.min() <= high:
        return 0
    voxels[padding] = low
    return int(padding.sum())


def _top(voxels: AnyArray) -> Any:
    return np.iinfo(voxels.dtype).max if voxels.dtype.kind in "iu" else np.inf


def _bottom(voxels: AnyArray) -> Any:
    return np.iinfo(voxels.dtype).min if voxels.dtype.kind in "iu" else -np.inf
