"""What a folder or archive that is no model of medseg holds, so that its refusal names the worst; nothing is run."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path, PurePosixPath

_CONFIG_SUFFIXES = (".json", ".txt", ".cfg", ".ini", ".toml")
_RUNS = (b'"_target_"', b'"$', b"'_target_'", b"__import__", b'"_requires_"')
"""What makes the configuration of some other programs a program itself."""
_MOST_READ = 1_000_000
_MOST_UNPACKED = 1 << 30
_HIGHEST_RATIO = 200
_MOST_MEMBERS = 10_000

Worst = tuple[str, str]
"""Code of the refusal, and what was found."""


def worst_of_folder(folder: Path) -> Worst | None:
    """Return what speaks against a folder beyond its not being a model: code, paths that lead out, lying headers."""
    for path in sorted(folder.rglob("*"))[:_MOST_MEMBERS]:
        if not path.is_file() or path.is_symlink():
            continue
        if path.suffix.lower() == ".safetensors" and (found := _lying_header(path)):
            return "E_BUNDLE_INTEGRITY", f"{path.name}: {found}"
        if path.suffix.lower() in _CONFIG_SUFFIXES:
            head = _head(path)
            if any(word in head for word in _RUNS):
                return "E_BUNDLE_UNSAFE", f"{path.name}: a configuration that names code to run"
            if b'"../' in head or b"\\\\..\\\\" in head or b'"..\\\\' in head:
                return "E_PATH_UNSAFE", f"{path.name}: the path of a file outside the folder"
    return None


def worst_of_archive(path: Path) -> Worst | None:
    """Return what speaks against an archive, told from its list of contents; None where the file is no archive."""
    with path.open("rb") as file:
        if not file.read(4).startswith(b"PK"):
            return None
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return "E_BUNDLE_INTEGRITY", "a damaged archive"
    for member in members:
        name = member.orig_filename.replace("\\", "/")
        if name.startswith("/") or ":" in name.split("/")[0] or ".." in PurePosixPath(name).parts:
            return (
                "E_PATH_UNSAFE",
                f"an archive with the member {member.orig_filename!r}, which leads out of its folder",
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            return "E_PATH_UNSAFE", f"an archive with the link {member.orig_filename!r}"
    n_unpacked, n_packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if n_unpacked > max(_MOST_UNPACKED, _HIGHEST_RATIO * n_packed) or len(members) > _MOST_MEMBERS:
        return "E_TOO_LARGE", f"an archive that unpacks to {n_unpacked:,} bytes in {len(members)} files"
    return "E_BUNDLE_INCOMPATIBLE", "an archive"


def _lying_header(path: Path) -> str:
    """Return how the header of a weights file contradicts the file's size; empty where it does not."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
    told = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    return f"a header of {told} bytes in a file of {size}" if len(start) < 8 or told > size - 8 else ""


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_READ)
