"""One pass over a file, gzipped or not: its content into a given buffer, its checksum and its SHA-256 on the way."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from isal import isal_zlib

from medseg.io.refusals import unreadable

GZIP_MAGIC = b"\x1f\x8b"
PIECE = 16 * 1024**2
"""Bytes per call to the decoder: large enough for its speed, small enough to stop between two of them."""
MAX_DEFLATE_RATIO = 1032
"""Deflate cannot make data smaller than this; a file that promises more is incomplete."""
_DAMAGED = (EOFError, OSError, zlib.error, cast("type[Exception]", isal_zlib.error))
_READ_AHEAD = 512 * 1024
_SCRATCH = 64 * 1024


class ByteStream:
    """The content of a file, in order and once, with what was read of the file itself.

    The file is opened once: the hash and the content come from the same bytes. `finish` must be called to verify
    the checksum and length that gzip stores behind the data.

    Parameters
    ----------
    path : Path
        A regular file; gzip is recognised by its first two bytes.
    hashed : bool
        False to leave the hash out, where nobody asks for it.

    Attributes
    ----------
    is_gzip : bool
    file_bytes : int
        Size of the file.
    has_trailing_garbage : bool
        True once bytes were met behind the last gzip member that are no gzip data.
    """

    def __init__(self, path: Path, *, hashed: bool = True) -> None:
        self.path = path
        self.has_trailing_garbage = False
        self._hashed = hashed
        self._raw: BinaryIO = path.open("rb", buffering=0)
        self.file_bytes = os.fstat(self._raw.fileno()).st_size
        self.is_gzip = self._raw.read(2) == GZIP_MAGIC
        self._delivered = 0
        self._start(strict=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._raw.close()

    @property
    def sha256(self) -> str:
        """Hash of the whole file; complete after `finish`."""
        return self._hashing.digest.hexdigest()

    def fill(self, target: memoryview) -> None:
        """Fill `target` (bytes, contiguous) with the next content.

        Raises
        ------
        InputError
            E_INPUT_UNREADABLE if the content ends before, or is damaged.
        """
        done, wanted = 0, target.nbytes
        while done < wanted:
            n = self._some(target[done : min(done + PIECE, wanted)])
            if n == 0:
                raise self.too_short(self._delivered + wanted - done)
            done += n

    def read(self, n_bytes: int) -> bytes:
        """Return exactly the next `n_bytes`; refuse as `fill` does."""
        buffer = bytearray(n_bytes)
        self.fill(memoryview(buffer))
        return bytes(buffer)

    def skip(self, n_bytes: int) -> None:
        """Pass over the next `n_bytes`; refuse as `fill` does."""
        scratch = memoryview(bytearray(min(n_bytes, _SCRATCH)))
        while n_bytes > 0:
            self.fill(scratch[:n_bytes])
            n_bytes -= min(n_bytes, len(scratch))

    def finish(self) -> int:
        """Read to the end of the file, which verifies and hashes all of it; return the bytes of surplus content."""
        surplus = 0
        scratch = memoryview(bytearray(_SCRATCH))
        while n := self._some(scratch):
            surplus += n
        while self._hashing.read(_SCRATCH):
            pass
        return surplus

    def too_short(self, wanted: int) -> Exception:
        """Return the refusal of a file whose content ends before `wanted` bytes."""
        return unreadable(
            self.path,
            f"a file that ends after {self._delivered} bytes of content",
            f"{wanted} bytes, as its header says",
        )

    def _start(self, *, strict: bool) -> None:
        self._raw.seek(0)
        self._hashing = _HashingFile(self._raw, hashed=self._hashed)
        self._decoder: Any = self._hashing
        if self.is_gzip:
            self._decoder = _fast_decoder(self._hashing) if strict else _Members(self._hashing)

    def _some(self, target: memoryview) -> int:
        try:
            n = self._decoder.readinto(target)
        except _DAMAGED as error:
            if not self.is_gzip:
                raise
            if isinstance(self._decoder, _Members):
                raise self._damaged(error) from error
            return self._again(target)
        if isinstance(self._decoder, _Members):
            self.has_trailing_garbage = self._decoder.has_trailing_garbage
        self._delivered += n or 0
        return n or 0

    def _again(self, target: memoryview) -> int:
        # The fast decoder does not tell damage from foreign bytes behind a sound image; the slow one does.
        delivered, self._delivered = self._delivered, 0
        self._start(strict=False)
        self.skip(delivered)
        return self._some(target)

    def _damaged(self, error: Exception) -> Exception:
        if isinstance(error, EOFError):
            return unreadable(
                self.path,
                f"compressed data that end too early ({self.file_bytes} bytes in the file)",
                "a complete gzip file",
            )
        return unreadable(
            self.path,
            f"damaged compressed data ({error})",
            "data whose checksum and length agree with those stored in the file",
        )


def _fast_decoder(source: _HashingFile) -> Any:
    return isal_zlib._GzipReader(cast("BinaryIO", source), _READ_AHEAD)


class _HashingFile:
    """The raw bytes of a file; every byte that is handed out is hashed."""

    def __init__(self, raw: BinaryIO, *, hashed: bool) -> None:
        self._raw = raw
        self._hashed = hashed
        self.digest = hashlib.sha256()

    def readinto(self, target: memoryview) -> int:
        n = self._raw.readinto(target) or 0  # type: ignore[attr-defined]
        if self._hashed:
            self.digest.update(memoryview(target)[:n])
        return n

    def read(self, n_bytes: int) -> bytes:
        data = self._raw.read(n_bytes)
        if self._hashed:
            self.digest.update(data)
        return data


class _Members:
    """A gzip decoder that goes member by member and stops at the first bytes that are none."""

    def __init__(self, source: _HashingFile) -> None:
        self._source = source
        self._waiting = b""
        self._member = zlib.decompressobj(wbits=31)
        self.has_trailing_garbage = False
        self._ended = False

    def readinto(self, target: memoryview) -> int:
        while not self._ended:
            if self._member.eof and not self._next_member():
                break
            self._waiting = self._waiting or self._source.read(_READ_AHEAD)
            if not self._waiting:
                raise EOFError
            data = self._member.decompress(self._waiting, target.nbytes)
            self._waiting = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if data:
                target[: len(data)] = data
                return len(data)
        return 0

    def _next_member(self) -> bool:
        while True:
            # zeros between and behind members are padding of tapes and block devices
            self._waiting = self._waiting.lstrip(b"\0")
            more = self._source.read(_READ_AHEAD) if len(self._waiting) < 2 else b""
            self._waiting += more
            if len(self._waiting.lstrip(b"\0")) >= 2 or not more:
                break
        self._waiting = self._waiting.lstrip(b"\0")
        if self._waiting[:2] == GZIP_MAGIC:
            self._member = zlib.decompressobj(wbits=31)
            return True
        self.has_trailing_garbage = bool(self._waiting)
        self._ended = True
        return False
