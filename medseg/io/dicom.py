"""The door for DICOM: a file, a folder of slices or a tree of folders -> one volume in RAS+ millimetres.

DICOM counts positions in LPS; they become RAS once, in `medseg.io.dicom_geometry`. The array is (1, i, j, k): i along
the columns of a slice, j along its rows, k along the slices in order of increasing position on their normal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from medseg.errors import InputError, Notice, SeriesAmbiguousError, UsageError
from medseg.grid import Grid
from medseg.io.dicom_geometry import ordered
from medseg.io.dicom_group import Group, groups_of
from medseg.io.dicom_headers import SliceHeader
from medseg.io.dicom_objects import NotScanError
from medseg.io.dicom_pixels import ChangedFileError, DamagedMemberError, read_pixels, voxel_type
from medseg.io.dicom_scan import Scan, scanned
from medseg.io.options import Probe, ReadOptions, SeriesInfo
from medseg.volume import Source, Volume

_NAMED = 3
_LISTED = 12


def probe_dicom(path: Path, options: ReadOptions) -> Probe:
    """Tell what `read_dicom` would give, from headers alone.

    Parameters
    ----------
    path : Path
        A file, a folder of slices, or a tree of folders.
    options : ReadOptions
        `series` names the series by its key (an unambiguous beginning is enough) or its UID; `frame` picks one of
        several stacks of one series, such as a phase or an echo; `max_bytes` is the largest volume.

    Raises
    ------
    SeriesAmbiguousError
        If there are several series; `choices` lists them.
    InputError, GeometryError
        If nothing readable is there, slices are damaged, missing, uneven or tilted, or the volume is too large.
    """
    ready = _prepared(path, options)
    kind = voxel_type(ready.stack)
    return Probe(
        path=str(path),
        format="dicom",
        grid=ready.grid,
        dtype=kind.name,
        channels=("0",),
        n_bytes=ready.grid.n_voxels * kind.itemsize,
        series=tuple(g.info() for g in ready.groups),
        warnings=ready.notices,
    )


def read_dicom(path: Path, options: ReadOptions) -> Volume:
    """Read one series as a volume.

    Every slice is rescaled with its own slope and intercept: in float32, or as integers where the slope is 1 and
    they fit. MONOCHROME1 keeps its values. Padding outside the scan is set to the lowest valid value
    (`Source.details["n_padding_replaced"]` counts it).

    Parameters
    ----------
    path : Path
        A file, a folder of slices, or a tree of folders.
    options : ReadOptions
        As for `probe_dicom`.

    Returns
    -------
    Volume
        (1, i, j, k) in patient space.

    Raises
    ------
    SeriesAmbiguousError, InputError, GeometryError
        As for `probe_dicom`, and for pixels that cannot be decoded.
    """
    ready = _prepared(path, options)
    try:
        pixels = read_pixels(ready.stack)
    except DamagedMemberError as error:
        _refuse_damaged(path, [(error.path, str(error))])
    except ChangedFileError as error:
        _refuse_damaged(path, [(Path(str(error)), "changed while it was read")])
    except PermissionError as error:
        _refuse_denied(path, error)
    hashes = sorted(pixels.hashes.values())
    source = Source(
        path=str(path),
        format="dicom",
        sha256=hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest(),
        n_bytes=pixels.n_bytes,
        details=_details(ready, len(hashes), pixels.n_padding),
    )
    return Volume(pixels.array[np.newaxis], ready.grid, source=source, warnings=ready.notices)


def list_series(folder: Path) -> tuple[SeriesInfo, ...]:
    """List the series below a folder, without localizers where there is anything else.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    tuple of SeriesInfo
        Keys for `ReadOptions.series`: stable, without patient data. A series that cannot be read as a volume is
        listed too; reading it says why. Empty where there is no image.
    """
    try:
        groups = groups_of(scanned(folder).slices)
    except PermissionError as error:
        _refuse_denied(folder, error)
    return tuple(g.info() for g in _without_localizers(groups))


@dataclass(frozen=True, slots=True)
class _Ready:
    """A stack whose headers promise a volume."""

    group: Group
    stack: tuple[SliceHeader, ...]
    grid: Grid
    notices: tuple[Notice, ...]
    groups: tuple[Group, ...]


def _prepared(path: Path, options: ReadOptions) -> _Ready:
    _check_channel(path, options)
    try:
        scan = scanned(path)
        groups = groups_of(scan.slices)
    except PermissionError as error:
        _refuse_denied(path, error)
    if not groups:
        _refuse_nothing(path, scan)
    group = _chosen(path, groups, options)
    folders = {s.path.parent for s in group.slices}
    if damaged := [entry for entry in scan.damaged if entry[0].parent in folders]:
        _refuse_damaged(path, damaged)
    stack, grid, notices = ordered(group.slices, str(path))
    n_bytes = max(grid.n_voxels * voxel_type(stack).itemsize, *(s.n_bytes for s in stack), 0)
    if n_bytes > options.max_bytes:
        raise InputError(
            "E_TOO_LARGE",
            path=path,
            found=f"an image of {'x'.join(str(n) for n in grid.shape)} voxels, {n_bytes / 2**20:.0f} MiB",
            expected=f"at most {options.max_bytes / 2**20:.0f} MiB",
            not_done="its pixels were not read",
            remedy="Crop the scan, or allow more memory",
        )
    return _Ready(group, stack, grid, (*notices, *_notices(path, scan, group, groups)), groups)


def _chosen(path: Path, groups: tuple[Group, ...], options: ReadOptions) -> Group:
    candidates = _without_localizers(groups)
    if options.series is not None:
        asked = options.series.strip()
        uid_hash = hashlib.sha256(asked.encode()).hexdigest()
        exact = [g for g in groups if g.key == asked]
        candidates = exact or [g for g in groups if g.key.startswith(asked) or g.series_hash == uid_hash]
        candidates = candidates if len(candidates) == 1 else _without_localizers(candidates)
    if options.frame is not None and len({g.series_hash for g in candidates}) == 1:
        if not 0 <= options.frame < len(candidates):
            raise UsageError(
                "E_USAGE",
                path=path,
                found=f"a request for stack {options.frame} of {len(candidates)} in the series",
                expected=f"a number from 0 to {len(candidates) - 1}",
                not_done="nothing was read",
                remedy="Choose one of the stacks that exist",
            )
        return candidates[options.frame]
    if len(candidates) == 1:
        return candidates[0]
    choices = tuple((g.key, g.info().description) for g in candidates or groups)
    lines = "; ".join(f"{key} ({text})" for key, text in choices[:_LISTED])
    lines += f"; and {len(choices) - _LISTED} more" if len(choices) > _LISTED else ""
    error = SeriesAmbiguousError(
        "E_SERIES_AMBIGUOUS",
        path=path,
        found=f"{len(choices)} series: {lines}" if candidates else f"no series {options.series!r}, but {lines}",
        expected="one series",
        not_done="none was chosen by guessing",
        remedy="Name the one to read with the option --series",
    )
    error.choices = choices
    raise error


def _without_localizers(groups: Sequence[Group]) -> list[Group]:
    return [g for g in groups if not g.is_localizer] or list(groups)


def _check_channel(path: Path, options: ReadOptions) -> None:
    if options.channel not in (None, 0, "0"):
        raise UsageError(
            "E_USAGE",
            path=path,
            found=f"a request for channel {options.channel!r}",
            expected="no channel, since a DICOM scan has one",
            not_done="nothing was read",
            remedy="Leave the channel out; choose a series instead",
        )


def _notices(path: Path, scan: Scan, group: Group, groups: tuple[Group, ...]) -> list[Notice]:
    first = group.slices[0]
    found = []
    if group.duplicates:
        text = f"{len(group.duplicates)} files are copies of others, byte for byte ({_names(group.duplicates, path)})"
        found.append(Notice("W_DUPLICATE_SOP", f"{text}; each slice was used once"))
    if not all(s.has_preamble for s in group.slices):
        text = "files lack the preamble of a DICOM file (part 10); they were read by their content"
        found.append(Notice("W_NOT_PART10", text))
    if first.stored.photometric == "MONOCHROME1":
        text = "the image is stored inverted for display (MONOCHROME1); stored values were rescaled and not inverted"
        found.append(Notice("W_MONOCHROME1", text))
    declared = max((s.n_declared or 0 for s in group.slices), default=0)
    if declared > group.n_in_series:
        text = f"the series declares {declared} images and {group.n_in_series} are here; its ends may be missing"
        found.append(Notice("W_FEWER_THAN_DECLARED", text))
    skipped = [file for file, _ in scan.objects] + list(scan.litter)
    if skipped and path.is_dir():
        text = f"{len(skipped)} files are no slices and were left out: {_names(skipped, path)}"
        found.append(Notice("W_FILE_SKIPPED", text))
    localizers = [g.key for g in groups if g.is_localizer and g is not group]
    if localizers:
        text = f"localizer images were left out; their keys for --series are {', '.join(localizers[:_NAMED])}"
        found.append(Notice("W_FILE_SKIPPED", text))
    return found


def _names(files: Sequence[Path], root: Path) -> str:
    names = [str(f.relative_to(root)) if f.is_relative_to(root) and f != root else f.name for f in files]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _details(ready: _Ready, n_files: int, n_padding: int) -> dict[str, Any]:
    first = ready.stack[0]
    return {
        "modality": first.modality,
        "n_slices": len(ready.stack),
        "n_files": n_files,
        "series_key": ready.group.key,
        "series_uid_sha256": ready.group.series_hash,
        "transfer_syntax": first.stored.transfer_syntax,
        "photometric": first.stored.photometric,
        "n_padding_replaced": n_padding,
    }


def _refuse_nothing(path: Path, scan: Scan) -> NoReturn:
    if scan.damaged:
        _refuse_damaged(path, list(scan.damaged))
    if scan.objects:
        file, first = scan.objects[0]
        kinds = sorted({error.what for _, error in scan.objects})
        raise _not_scan(file if len(scan.objects) == 1 else path, kinds, first)
    n_files = len(scan.litter)
    raise InputError(
        "E_INPUT_FORMAT" if n_files else "E_INPUT_EMPTY",
        path=path,
        found=f"{n_files} files, none of them DICOM" if path.is_dir() else "no DICOM file",
        expected="DICOM slices",
        not_done="nothing was read",
        remedy="Give the folder with the slices of the scan",
    )


def _not_scan(path: Path, kinds: list[str], first: NotScanError) -> InputError:
    return InputError(
        first.code,
        path=path,
        found="; ".join(kinds[:_NAMED]) + (f"; and {len(kinds) - _NAMED} other kinds" if len(kinds) > _NAMED else ""),
        expected="the slices of a scan (CT, MR, PET ...)",
        not_done="it was not read",
        remedy=first.remedy,
    )


def _refuse_damaged(path: Path, damaged: list[tuple[Path, str]]) -> NoReturn:
    file, reason = damaged[0]
    others = f", and {len(damaged) - 1} other damaged files" if len(damaged) > 1 else ""
    is_member = file != path
    raise InputError(
        "E_INPUT_UNREADABLE",
        path=file,
        found=f"a DICOM file that {reason}{others}",
        expected="whole slices" if is_member else "a whole DICOM file",
        not_done="the series was not read without it, since its slice would be missing"
        if is_member
        else "it was not read",
        remedy="Copy or export the series again",
    )


def _refuse_denied(path: Path, error: PermissionError) -> NoReturn:
    raise InputError(
        "E_PERMISSION",
        path=error.filename or path,
        found="a file or folder that may not be opened",
        expected="permission to read",
        not_done="the series was not read without it",
        remedy="Ask for the right to read it, or copy it to a place of your own",
    ) from None
