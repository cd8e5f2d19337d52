"""How much memory an image would take, asked before any of it is allocated."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from medseg.errors import InputError

SHARE_OF_FREE_MEMORY = 0.9
"""A single image may take this share of what is free; the rest is needed to work on it."""


def check_size(path: Path, n_bytes: int, max_bytes: int) -> None:
    """Refuse an image whose voxels would take more than `max_bytes` or more than the free memory.

    Parameters
    ----------
    path : Path
        The file, for the message.
    n_bytes : int
        Predicted bytes of the array in memory.
    max_bytes : int
        `ReadOptions.max_bytes`.

    Raises
    ------
    InputError
        E_TOO_LARGE.
    """
    free = available_bytes()
    limit = max_bytes if free is None else min(max_bytes, int(free * SHARE_OF_FREE_MEMORY))
    if n_bytes <= limit:
        return
    reason = "the size that is read at once" if limit == max_bytes else "the memory that is free"
    raise InputError(
        "E_TOO_LARGE",
        path=path,
        found=f"an image that takes {_readable(n_bytes)} in memory",
        expected=f"at most {_readable(limit)}, {reason}",
        not_done="nothing of it was loaded",
        remedy="Crop or downsample the image; if its size makes no sense, the header is damaged.",
    )


def available_bytes() -> int | None:
    """Return the bytes that this process can still allocate, or None where the system does not say."""
    known = [value for value in (_free_in_machine(), _free_in_container(), _free_in_limit()) if value is not None]
    return min(known) if known else None


def _free_in_machine() -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as table:
            for line in table:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError, IndexError):
        return None


def _free_in_container() -> int | None:
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        return None if limit == "max" else max(0, int(limit) - used)
    except (OSError, ValueError):
        return None


def _free_in_limit() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    try:
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        used = 0
    return max(0, soft - used)


def _readable(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"
