"""What lies beside scans without being one: traces of file managers, left-over temporaries, companions, reports."""

from __future__ import annotations

from pathlib import PurePath

from medseg.io.suffixes import split_suffix

_LITTER_NAMES = {"thumbs.db", "desktop.ini", "dicomdir", "icon\r", "ehthumbs.db"}
_LITTER_FOLDERS = {"__macosx", "$recycle.bin", "system volume information", "lost+found"}
_TEMPORARY_SUFFIXES = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".swp", ".bak", "~")
_COMPANIONS = {".raw": (".mhd", ".nhdr"), ".zraw": (".mhd",), ".raw.gz": (".nhdr",), ".img": (".hdr",)}


def why_litter(name: str) -> str | None:
    """Say why a file of this name is no input; None where it may be one.

    Examples
    --------
    >>> why_litter("._scan.nii.gz")
    'trace of a file manager (AppleDouble)'
    >>> why_litter("scan.nii.gz") is None
    True
    """
    lower = name.lower()
    if name.startswith("._"):
        return "trace of a file manager (AppleDouble)"
    if lower == "dicomdir":
        return "index of a DICOM medium, not a scan"
    if lower in _LITTER_NAMES or lower == ".ds_store":
        return "trace of a file manager"
    if ".tmp-" in lower or lower.endswith(_TEMPORARY_SUFFIXES):
        return "left-over temporary file"
    return "hidden file" if name.startswith(".") else None


def why_litter_folder(name: str) -> str | None:
    """Say why a folder of this name is not searched; None where it is."""
    if name.lower() in _LITTER_FOLDERS:
        return "folder of the operating system"
    return "hidden folder" if name.startswith(".") else None


def companion_of(name: str, siblings: frozenset[str]) -> str | None:
    """Return the header file that `name` holds the voxels of, if it lies beside it.

    Examples
    --------
    >>> companion_of("scan.raw", frozenset({"scan.raw", "scan.mhd"}))
    'scan.mhd'
    """
    for suffix, headers in _COMPANIONS.items():
        if name.lower().endswith(suffix):
            stem = name[: -len(suffix)]
            return next((stem + header for header in headers if stem + header in siblings), None)
    return None


def has_foreign_suffix(path: PurePath) -> bool:
    """Tell whether a name ends in a short suffix of letters that is no image's, such as ``.txt``."""
    suffix = path.suffix
    return not split_suffix(path.name)[1] and 1 < len(suffix) <= 6 and suffix[1:].isalpha()
