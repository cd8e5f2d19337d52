"""SHA-256 of a file, or of all files of a folder."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20


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
