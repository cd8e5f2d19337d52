"""Walk through a folder tree and tell images, DICOM folders and litter apart."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from medseg.errors import InputError, MedsegError
from medseg.io.suffixes import split_suffix
from medseg.workflow.litter import companion_of, has_foreign_suffix, why_litter, why_litter_folder
from medseg.workflow.names import joined, own_name

RECORD_SUFFIX = ".medseg.json"

SeriesLister = Callable[[Path], tuple[str | None, ...]]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is no input, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """An input file or DICOM folder under the argument that led to it."""

    path: Path
    root: Path
    series: str | None = None
    is_one_of_several: bool = False
    problem: MedsegError | None = None

    @property
    def full_name(self) -> str:
        """Return the name of the case: relative path without suffix, folders joined with ``__``."""
        relative = self.path.relative_to(self.root)
        name = joined(relative) if relative.parts else own_name(self.path)
        return f"{name}__{self.series}" if self.is_one_of_several else name


@dataclass(slots=True)
class Search:
    """Where a search must not go, and what it has found."""

    out: str
    list_series: SeriesLister | None
    found: list[Found] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, path: Path, root: Path, reason: str) -> None:
        """List a file or folder as left out, by its path below the root."""
        self.skipped.append(Skipped(path.relative_to(root).as_posix(), reason))


def search_path(path: Path, root: Path, search: Search) -> None:
    """Add what an argument leads to: the file, or the images and DICOM folders of a tree."""
    if os.path.isdir(path) and not _is_image_folder(path):
        _search_tree(path, root, search)
    else:
        search.found.append(Found(path, root, problem=_why_absent(path)))


def _search_tree(top: Path, root: Path, search: Search) -> None:
    seen: set[str] = set()

    def unreadable(error: OSError) -> None:
        folder = Path(error.filename)
        search.found.append(Found(folder, root, problem=_no_permission(folder)))

    for current, folders, names in os.walk(top, followlinks=True, onerror=unreadable):
        folder = Path(current)
        seen.add(os.path.realpath(folder))
        images = [name for name in sorted(folders) if _is_image_folder(folder / name)]
        folders[:] = [
            name for name in sorted(folders) if name not in images and _enters(folder / name, root, search, seen)
        ]
        search.found += [Found(folder / name, root) for name in images]
        _search_folder(folder, sorted(names), root, search)


def _is_image_folder(folder: Path) -> bool:
    """Tell whether a folder is one image, or an empty folder named like one: then the reader refuses it."""
    return folder.name.lower().endswith(".zarr") or (bool(split_suffix(folder.name)[1]) and not _names(folder))


def _enters(folder: Path, root: Path, search: Search, seen: set[str]) -> bool:
    """Decide whether a folder is searched; a reason that a user may wonder about is listed."""
    resolved = os.path.realpath(folder)
    if resolved == search.out:
        return False
    if resolved in seen:
        reason: str | None = "link to a folder that is searched already"
    elif any(name.endswith(RECORD_SUFFIX) for name in _names(folder)):
        reason = "results of an earlier run"
    else:
        reason = why_litter_folder(folder.name)
    if reason is not None:
        search.skip(folder, root, reason)
    return reason is None


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # the walk meets the same refusal and reports it


def _search_folder(folder: Path, names: list[str], root: Path, search: Search) -> None:
    """Sort the files of one folder into images, DICOM slices and what is left out."""
    siblings = frozenset(names)
    has_slices = False
    unknown: list[tuple[Path, str]] = []
    for name in names:
        path = folder / name
        reason = why_litter(name)
        header = companion_of(name, siblings)
        if reason is None and header is not None:
            reason = f"holds the voxels of {header}"
        kind = _kind(path) if reason is None else reason
        if kind == "dicom":
            has_slices = True
        elif kind == "image":
            search.found.append(Found(path, root))
        else:
            unknown.append((path, kind))
    if has_slices:
        search.found += _dicom_cases(folder, root, search)
    for path, reason in unknown:
        # beside slices a file without a suffix may be a damaged slice: the reader judges it, it is no litter
        if not has_slices or has_foreign_suffix(path) or why_litter(path.name):
            search.skip(path, root, reason)


def _kind(path: Path) -> str:
    """Return "image", "dicom", or why the file is neither."""
    suffix = split_suffix(path.name)[1].lower()
    if suffix in (".dcm", ".ima"):
        return "dicom"
    if suffix:
        return "image"  # whatever it holds: an image file that cannot be read is a refused case, not litter
    from medseg.io.sniff import sniff

    try:
        found = sniff(path)
    except MedsegError as error:
        return f"no image that medseg reads: {error.found}"
    return "dicom" if found.startswith("dicom") else "image"


def _dicom_cases(folder: Path, root: Path, search: Search) -> list[Found]:
    keys = (None,) if search.list_series is None else search.list_series(folder)
    if not keys:
        search.skip(folder, root, "its own DICOM files are no scan, but localizers, contours, reports or a directory")
    return [Found(folder, root, series=key, is_one_of_several=len(keys) > 1) for key in keys]


def series_keys(folder: Path) -> tuple[str | None, ...]:
    """Return the keys of the series whose slices lie in this very folder.

    The reader looks into subfolders too, so a key is needed even for one series where those hold others. None stands
    for the folder as a whole: there is no choice, or the reader will refuse it in its own words.
    """
    from medseg.io.dicom import list_series

    try:
        below = {series.key for name in _folders(folder) for series in list_series(folder / name)}
        here = tuple(series for series in list_series(folder) if series.key not in below)
        if not here:
            return _without_series(folder, has_series_below=bool(below))
    except MedsegError:
        return (None,)
    if all(series.is_localizer for series in here):
        return ()
    return tuple(series.key for series in here) if below or len(here) > 1 else (None,)


def _without_series(folder: Path, *, has_series_below: bool) -> tuple[str | None, ...]:
    """Return what `series_keys` says of a folder whose own files are no series by themselves."""
    from medseg.io.dicom_scan import scanned

    scan = scanned(folder)
    if has_series_below:
        return (None,) if any(s.path.parent == folder and not s.is_localizer for s in scan.slices) else ()
    is_all_known = bool(scan.objects) and not scan.slices and not scan.damaged
    return () if is_all_known and all(error.code == "E_INPUT_FORMAT" for _, error in scan.objects) else (None,)


def _folders(folder: Path) -> list[str]:
    return [name for name in sorted(_names(folder)) if not name.startswith(".") and os.path.isdir(folder / name)]


def _why_absent(path: Path) -> MedsegError | None:
    if os.path.lexists(path):
        return None  # a link that leads nowhere is the reader's to refuse
    return InputError(
        "E_INPUT_UNREADABLE",
        path=path,
        found="nothing at this path",
        expected="a file or a folder",
        not_done="it was not read",
        remedy="Check the spelling and that the disk is connected.",
    )


def _no_permission(folder: Path) -> MedsegError:
    return InputError(
        "E_PERMISSION",
        path=folder,
        found="a folder that the operating system does not let medseg list",
        expected="permission to read it",
        not_done="what it holds was not read",
        remedy="Ask for read access, or leave this folder out.",
    )
