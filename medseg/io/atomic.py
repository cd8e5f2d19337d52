"""No final file name ever holds incomplete bytes: write aside, flush to the disk, read back, then rename."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import MedsegError, OutputError, ResourceError

TEMPORARY_PREFIX = ".medseg-"
"""Names that begin so are leftovers of a killed run and never images."""
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A file that was written completely: its path, the hash and the number of its bytes."""

    path: str
    sha256: str
    n_bytes: int


def write_atomically(
    path: Path, write: Callable[[Path], None], verify: Callable[[Path], None] | None = None
) -> Receipt:
    """Let `write` make a file under a temporary name, check it, and give it its name in one step.

    Parameters
    ----------
    path : Path
        The final name; an existing file is replaced.
    write : callable
        Receives the temporary path, in the same folder and with the same suffix.
    verify : callable, optional
        Receives the temporary path; raises unless the file is what it should be.

    Returns
    -------
    Receipt

    Raises
    ------
    ResourceError
        E_DISK_FULL; no part of the file is left behind.
    OutputError
        E_PERMISSION for a folder that is missing or may not be written.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp(), "table.csv")
    >>> write_atomically(target, lambda p: p.write_text("a,b", "utf-8") and None).n_bytes
    3
    """
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{_suffix(path)}")
    try:
        write(temporary)
        with ThreadPoolExecutor(1) as beside:  # reading back needs no disk, so it need not wait for it
            flushed = beside.submit(_flush_and_hash, temporary)
            if verify is not None:
                verify(temporary)
            digest, n_bytes = flushed.result()
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except MedsegError:
        raise
    except OSError as error:
        raise _in_words(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return Receipt(str(path), digest, n_bytes)


def _suffix(path: Path) -> str:
    parts = path.suffixes[-2:]
    is_double = path.suffix.lower() == ".gz" or parts[:1] == [".ome"]
    return "".join(parts) if is_double else path.suffix


def _flush_and_hash(path: Path) -> tuple[str, int]:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":  # folders cannot be opened elsewhere, and renaming is durable enough there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _in_words(path: Path, error: OSError) -> MedsegError:
    not_done = "nothing was written under this name"
    if error.errno in _NO_SPACE:
        return ResourceError(
            "E_DISK_FULL",
            path=path,
            found="no space left on the disk",
            expected="room for the output",
            not_done=not_done,
            remedy="Free some space or choose another output folder, then run again.",
        )
    reason = (error.strerror or type(error).__name__).lower()
    return OutputError(
        "E_PERMISSION",
        path=path,
        found=f"an output that cannot be written ({reason})",
        expected="a folder that exists and may be written",
        not_done=not_done,
        remedy="Check that the folder exists and that this user may write to it.",
    )
