"""Bytes -> gzip file of one member, packed in pieces that several cores pack at once; any gzip reader reads it."""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Piece = npt.NDArray[np.uint8]
_HEADER = b"\x1f\x8b\x08" + bytes(5) + b"\x04\xff"
"""Packed fast, by a system that is not told, without name and time: the same content gives the same bytes."""
_END = b"\x03\x00"
"""An empty last block."""
_TRAILER = struct.Struct("<II")
_LEVEL, _BARE_WINDOW = 1, -15


class _Packed(NamedTuple):
    data: bytes
    crc: int
    n_bytes: int


def gzip_parts(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Yield the parts of a gzip file that holds all pieces in their order.

    Each piece is packed by itself, so the file depends on where the pieces part and not on the number of cores.

    Parameters
    ----------
    pieces : iterable of (n,) uint8 arrays
        Contiguous; about a megabyte each, so that they stay in the cache. Few are held at a time.

    Examples
    --------
    >>> import gzip
    >>> gzip.decompress(b"".join(gzip_parts([np.full(3, 65, np.uint8), np.full(2, 66, np.uint8)])))
    b'AAABB'
    """
    from isal import isal_zlib

    yield _HEADER
    crc = n_bytes = 0
    for packed in _packed(pieces):
        yield packed.data
        crc = isal_zlib.crc32_combine(crc, packed.crc, packed.n_bytes)
        n_bytes += packed.n_bytes
    yield _END + _TRAILER.pack(crc, n_bytes % 2**32)


def _packed(pieces: Iterable[Piece]) -> Iterator[_Packed]:
    threads = _n_threads()
    if threads == 1:
        yield from map(_pack, pieces)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_Packed]] = deque()
        for piece in pieces:
            waiting.append(pool.submit(_pack, piece))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _pack(piece: Piece) -> _Packed:
    from isal import isal_zlib

    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _BARE_WINDOW)
    data = packer.compress(piece.data) + packer.flush(isal_zlib.Z_FULL_FLUSH)
    return _Packed(data, isal_zlib.crc32(piece.data), len(piece))


def _n_threads() -> int:
    """Return ``OMP_NUM_THREADS`` where it is set, else the number of cores that this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
