"""SHA-256 of a file, or of all files of a folder; a file that holds many images is hashed once."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_BLOCK = 1 << 20
_SETTLED_NS = 2_000_000_000
"""Clocks of disks tick coarsely: what was written a moment ago may be written again without a new time."""

FileState = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """Hash and size of the bytes of a file, or of all files of a folder."""

    sha256: str
    n_bytes: int


def digest(path: Path) -> Digest:
    """Return hash and size of a file, or of a folder's files with their relative names.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    if not path.is_dir():
        return _of_file(path)
    total = hashlib.sha256()
    n_bytes = 0
    for file in files_below(path):
        part = _of_file(file)
        total.update(os.fsencode(file.relative_to(path).as_posix()) + b"\0" + part.sha256.encode() + b"\n")
        n_bytes += part.n_bytes
    return Digest(total.hexdigest(), n_bytes)


def file_state(path: Path) -> FileState:
    """Return what differs once a file is written anew: its time, its size and its place on the disk."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev


def digest_once(path: Path) -> Digest:
    """Return hash and size of a file that is read many times, image by image; hashed again only after it changed.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    changed = path.stat().st_ctime_ns  # shows a file whose other time was set back by the tool that copied it
    state = (*file_state(path), changed)
    is_settled = time.time_ns() - max(state[0], changed) > _SETTLED_NS
    return _of_state(path.absolute(), state) if is_settled else _of_file(path)


@lru_cache(maxsize=64)
def _of_state(path: Path, _state: FileState) -> Digest:
    return _of_file(path)


def files_below(folder: Path) -> list[Path]:
    """Return all files of a folder tree, ordered by name."""
    return sorted(Path(top) / name for top, _, names in os.walk(folder) for name in names)


def _of_file(path: Path) -> Digest:
    found = hashlib.sha256()
    n_bytes = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            n_bytes += len(block)
    return Digest(found.hexdigest(), n_bytes)
