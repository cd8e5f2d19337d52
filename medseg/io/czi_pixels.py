"""The pixels of one tile of a CZI file, unpacked; what they will take is known before."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medseg.io.czi_container import Tile
from medseg.io.image_space import AnyArray, refusal
from medseg.io.micrograph import unreadable_kind

PIXELS: dict[int, tuple[np.dtype[np.generic], int]] = {
    0: (np.dtype("u1"), 1), 1: (np.dtype("<u2"), 1), 2: (np.dtype("<f4"), 1), 12: (np.dtype("<u4"), 1),
    3: (np.dtype("u1"), 3), 4: (np.dtype("<u2"), 3), 8: (np.dtype("<f4"), 3),
}  # fmt: skip
"""Pixel type of a tile -> type and number of its values; colours are stored as blue, green, red."""
NAMES = {
    0: "Gray8", 1: "Gray16", 2: "Gray32Float", 3: "Bgr24", 4: "Bgr48", 8: "Bgr96Float", 9: "Bgra32",
    10: "Gray64ComplexFloat", 11: "Bgr192ComplexFloat", 12: "Gray32", 13: "Gray64",
}  # fmt: skip
"""What Zeiss calls the pixel types, also those that are not read."""

_NONE, _LZW, _JPEG_XR, _ZSTD, _ZSTD_WITH_HEADER = 0, 2, 4, 5, 6
_HI_LO = 1
_JXR_MAGIC = b"II\xbc"
_JXR_WIDTH, _JXR_HEIGHT = 0xBC80, 0xBC81


def most_packed_bytes(tile: Tile) -> int:
    """Return how many bytes the packed values of a tile may take: packing hardly ever makes them more."""
    dtype, n_samples = PIXELS[tile.pixel_type]
    return 2 * tile.size["Y"] * tile.size["X"] * n_samples * dtype.itemsize + (1 << 16)


def decoded(path: Path, data: bytes, tile: Tile) -> AnyArray:
    """Return the values of a tile as (n_samples, height, width), colours in the order red, green, blue.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE if they do not fill the tile, E_INPUT_FORMAT for a compression that is not read.
    """
    dtype, n_samples = PIXELS[tile.pixel_type]
    shape = (tile.size["Y"], tile.size["X"], n_samples)
    n_bytes = shape[0] * shape[1] * n_samples * dtype.itemsize
    # some acquisitions say JPEG XR and store plain values all the same
    is_jpeg_xr = tile.compression == _JPEG_XR and (len(data) != n_bytes or data.startswith(_JXR_MAGIC))
    if is_jpeg_xr:
        array = _jpeg_xr(path, data, np.empty(shape if n_samples > 1 else shape[:2], dtype))
    else:
        method = _NONE if tile.compression == _JPEG_XR else tile.compression
        array = _unpacked(path, data, method, n_bytes).view(dtype)
    if array.nbytes != n_bytes or array.dtype != dtype:
        raise refusal(path, f"a tile of {array.nbytes} bytes", f"{n_bytes} bytes")
    pixels = np.moveaxis(array.reshape(shape), -1, 0)
    return pixels if n_samples == 1 or is_jpeg_xr else pixels[::-1]  # that decoder turns the colours round itself


def _unpacked(path: Path, data: bytes, compression: int, n_bytes: int) -> npt.NDArray[np.uint8]:
    import imagecodecs

    if compression == _NONE:
        return np.frombuffer(data, np.uint8)[:n_bytes]
    if compression not in (_LZW, _ZSTD, _ZSTD_WITH_HEADER):
        raise unreadable_kind(path, f"tiles packed by method {compression}", "plain, LZW, zstd or JPEG XR")
    try:
        if compression == _LZW:
            return np.frombuffer(imagecodecs.lzw_decode(data, out=n_bytes), np.uint8)
        skip, is_split = _zstd_header(path, data) if compression == _ZSTD_WITH_HEADER else (0, False)
        plain = np.frombuffer(imagecodecs.zstd_decode(data[skip:], out=n_bytes), np.uint8)
    except RuntimeError as error:  # what the decoders raise
        raise refusal(path, f"a tile that cannot be unpacked ({str(error)[:60]})", "an intact tile") from error
    if not is_split:
        return plain
    low, high = plain.reshape(2, -1)
    joined = high.astype("<u2")
    joined <<= 8
    joined |= low
    return joined.view(np.uint8)


def _zstd_header(path: Path, data: bytes) -> tuple[int, bool]:
    """Return the length of the header before the packed data, and whether low and high bytes were split."""
    n = data[0] if data else 0
    if n == 1:
        return 1, False
    if n == 3 and len(data) > 3 and data[1] == _HI_LO:
        return 3, bool(data[2] & 1)
    raise refusal(path, f"an unknown header of {n} bytes before a tile", "a header of 1 or 3 bytes")


def _jpeg_xr(path: Path, data: bytes, out: AnyArray) -> AnyArray:
    import imagecodecs

    if _jpeg_xr_shape(data) != out.shape[:2]:
        raise refusal(path, f"a picture of {_jpeg_xr_shape(data)} pixels in a tile", f"{out.shape[:2]} pixels")
    try:
        # the decoder would make room for the size that stands in the picture itself, which may be another one
        return np.asarray(imagecodecs.jpegxr_decode(data, out=out))
    except (RuntimeError, ValueError) as error:
        raise refusal(path, f"a tile that cannot be unpacked ({str(error)[:60]})", "an intact tile") from error


def _jpeg_xr_shape(data: bytes) -> tuple[int, int]:
    """Return (height, width) as the picture's own header says; zeros where it says nothing."""
    found = {_JXR_WIDTH: 0, _JXR_HEIGHT: 0}
    if data[:3] == _JXR_MAGIC and len(data) >= 8:
        start = struct.unpack_from("<I", data, 4)[0]
        count = struct.unpack_from("<H", data, start)[0] if start + 2 <= len(data) else 0
        for at in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
            tag, kind = struct.unpack_from("<HH", data, at)
            if tag in found:
                found[tag] = struct.unpack_from("<H" if kind == 3 else "<I", data, at + 8)[0]
    return found[_JXR_HEIGHT], found[_JXR_WIDTH]
