"""A folder -> what each of its files is: slices, other DICOM objects, damaged slices, litter."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from medseg.io.dicom_headers import slices_of_file
from medseg.io.dicom_objects import NotScanError
from medseg.io.dicom_slice import SliceHeader
from medseg.io.dicom_structure import DamagedDicomError, NotDicomError

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_LITTER = ("thumbs.db", "desktop.ini", "dicomdir")


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found at a path.

    Parameters
    ----------
    slices : tuple of SliceHeader
    objects : tuple of (Path, NotScanError)
        DICOM objects that are no scans.
    damaged : tuple of (Path, str)
        Files that are or must have been DICOM, and what is wrong with them.
    litter : tuple of Path
        Other files.
    """

    slices: tuple[SliceHeader, ...] = ()
    objects: tuple[tuple[Path, NotScanError], ...] = ()
    damaged: tuple[tuple[Path, str], ...] = ()
    litter: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Findings:
    slices: list[SliceHeader] = field(default_factory=list)
    objects: list[tuple[Path, NotScanError]] = field(default_factory=list)
    damaged: list[tuple[Path, str]] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)


def scanned(path: Path) -> Scan:
    """Look at the header of the file `path`, or of every file below the folder `path`.

    Notes
    -----
    A file without any sign of DICOM is litter, except where it must have been a slice: it is empty or binary and has
    the suffix of the slices beside it. A damaged slice must never be skipped: the stack would have a hole.

    Raises
    ------
    OSError
        If a file or folder cannot be opened or read.
    """
    found = _Findings()
    for file in _files(path):
        _look(file, found)
    beside = {(s.path.parent, _suffix(s.path)) for s in found.slices}
    litter = []
    for file in found.foreign:
        if file == path or not _was_a_slice(file, beside):
            litter.append(file)
        else:
            found.damaged.append((file, "is empty" if file.stat().st_size == 0 else "is no longer a DICOM file"))
    return Scan(tuple(found.slices), tuple(found.objects), tuple(sorted(found.damaged)), tuple(litter))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = []
    for folder, folders, names in os.walk(path, onerror=_raise):
        folders[:] = sorted(n for n in folders if not n.startswith("."))
        found += [Path(folder) / name for name in sorted(names)]
    return found


def _raise(error: OSError) -> None:
    raise error


def _look(file: Path, found: _Findings) -> None:
    is_hidden = file.name.startswith(".") or file.name.lower() in _LITTER[:2]
    try:
        is_plain = stat.S_ISREG(file.stat().st_mode)  # a pipe would hang, a dangling link has nothing
    except PermissionError:
        raise
    except OSError:  # a dangling or looping link
        is_plain = False
    if is_hidden or not is_plain:
        found.foreign.append(file)
        return
    try:
        found.slices += slices_of_file(file)
    except NotDicomError:
        found.foreign.append(file)
    except NotScanError as error:
        found.objects.append((file, error))
    except DamagedDicomError as error:
        if file.stat().st_size == 0:
            found.foreign.append(file)
        else:
            found.damaged.append((file, str(error)))


def _was_a_slice(file: Path, beside: set[tuple[Path, str]]) -> bool:
    if file.name.startswith(".") or file.name.lower() in _LITTER or not file.is_file():
        return False
    suffix = _suffix(file)
    if suffix in _DICOM_SUFFIXES:
        return True
    if (file.parent, suffix) not in beside:
        return False
    with file.open("rb") as stream:
        head = stream.read(512)
    return not head or b"\0" in head  # README and LICENSE have no suffix either, but they are text


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return suffix if any(c.isalpha() for c in suffix) else ""  # CT.1.3.12 ends in a number, not in a suffix
