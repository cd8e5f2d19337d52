"""The voxels behind a text header: raw, gzip, zlib or bzip2, verified to the end of the stream."""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib

from medseg.errors import InputError, Notice
from medseg.io.image_space import AnyArray, refusal
from medseg.io.itk_header import TextHeader

_WINDOW = {"gzip": 31, "zlib": 15}
_GZIP_MAGIC = b"\x1f\x8b"
_ISAL_ERROR: Any = isal_zlib.error  # its stub calls it a value
_STREAM_ERRORS: tuple[Any, ...] = (_ISAL_ERROR, OSError, EOFError, ValueError)


def decoded(path: Path, header: TextHeader, payload: memoryview) -> tuple[AnyArray, tuple[Notice, ...]]:
    """Return the voxels as a flat array in native byte order, and a notice where bytes follow them.

    Parameters
    ----------
    path : Path
        For messages only.
    header : TextHeader
    payload : memoryview
        Everything from the beginning of the data to the end of their file.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE if the data are damaged, or fewer or more than the header says.
    """
    payload = _skipped(path, header, payload)
    body: bytes | memoryview
    if header.codec == "raw":
        body, n_after = payload[: header.n_bytes], max(len(payload) - header.n_bytes, 0)
    else:
        body, n_after = _inflated(path, header, payload)
    if len(body) != header.n_bytes:
        raise too_short(path, len(body), header.n_bytes)
    voxels = np.frombuffer(body, header.dtype).astype(header.dtype.newbyteorder("="))
    text = f"{n_after} bytes follow the end of the image and were ignored."
    return voxels, (Notice("W_TRAILING_DATA", text),) if n_after else ()


def packed(body: bytes, codec: str) -> bytes:
    """Compress `body` as "gzip" or "zlib"; equal input gives equal bytes."""
    packer = isal_zlib.compressobj(2, wbits=_WINDOW[codec])
    return packer.compress(body) + packer.flush()


def too_short(path: Path, found: int, expected: int) -> InputError:
    """Return the refusal of data that are not as long as their header says, to be raised."""
    return refusal(path, f"{found:,} bytes of voxels", f"{expected:,} bytes as the header says")


def _skipped(path: Path, header: TextHeader, payload: memoryview) -> memoryview:
    if header.skip == -1:
        if header.codec != "raw":
            raise refusal(path, "compressed data counted from the end of the file", "data that begin at a known byte")
        return payload[max(len(payload) - header.n_bytes, 0) :]
    for _ in range(header.line_skip):
        end = bytes(payload[: 1 << 16]).find(b"\n")
        if end < 0:
            raise refusal(path, f"fewer than {header.line_skip} lines before the data", "as many as the header says")
        payload = payload[end + 1 :]
    return payload[header.skip :]


def _inflated(path: Path, header: TextHeader, payload: memoryview) -> tuple[bytes, int]:
    """Decode every member of a stream with its checksum, but never more than one byte over what the header promises."""
    parts: list[bytes] = []
    left = header.n_bytes + 1
    rest: bytes | memoryview = payload
    try:
        while True:
            decoder = _decoder(header.codec)
            part = decoder.decompress(rest, left)
            while not decoder.eof and part and left > len(part):
                parts.append(part)
                left -= len(part)
                part = decoder.decompress(getattr(decoder, "unconsumed_tail", b""), left)
            parts.append(part)
            left -= len(part)
            if not decoder.eof:
                raise too_short(path, header.n_bytes + 1 - left, header.n_bytes)
            rest = decoder.unused_data
            if header.codec != "gzip" or rest[:2] != _GZIP_MAGIC:
                return b"".join(parts), len(rest)
    except InputError:
        raise
    except _STREAM_ERRORS as error:
        raise refusal(path, f"damaged compressed data ({error})", "an intact stream") from error


def _decoder(codec: str) -> Any:
    return bz2.BZ2Decompressor() if codec == "bzip2" else isal_zlib.decompressobj(_WINDOW[codec])
