"""A case's files are made aside and appear in the output folder together, their record last."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medseg.io.atomic import write_atomically

STAGING_NAME = ".medseg-staging"


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Give an empty folder inside `out`, on the same disk, that is gone when the context ends."""
    folder = out / STAGING_NAME
    clear_staging(out)
    folder.mkdir()
    try:
        yield folder
    finally:
        clear_staging(out)


def clear_staging(out: Path) -> None:
    """Remove what a killed run may have left; only the holder of the lock may do so."""
    shutil.rmtree(out / STAGING_NAME, ignore_errors=True)


def promote(staged: Sequence[Path], record: Path, out: Path, *, superseded: Sequence[Path] = ()) -> None:
    """Move a complete case into the output folder.

    The old record goes first and the new one comes last, so that at no moment a record speaks of files that are
    not there. If anything stops this halfway, no file of the case stays behind.

    Parameters
    ----------
    staged : sequence of Path
        Complete and synchronised files or image folders.
    record : Path
        The staged record.
    out : Path
        The output folder.
    superseded : sequence of Path
        Files of an earlier result of this case.
    """
    placed: list[Path] = []
    final_record = out / record.name
    try:
        final_record.unlink(missing_ok=True)
        for path in superseded:
            remove(path)
        for path in staged:
            target = out / path.name
            if target.is_dir():
                remove(target)
            placed.append(target)
            os.replace(path, target)
        sync_folder(out)
        os.replace(record, final_record)
    except BaseException:
        for path in placed if record.exists() else ():  # a signal may come when the record is in its place already
            with contextlib.suppress(OSError):
                remove(path)
        raise
    sync_folder(out)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file atomically.

    Raises
    ------
    MedsegError
        E_DISK_FULL or E_PERMISSION.
    """

    def put(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, put)


def remove(path: Path) -> None:
    """Remove a file or an image folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
