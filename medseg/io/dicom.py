"""The door for DICOM: a file, a folder of slices or a tree of folders -> one volume in RAS+ millimetres.

DICOM counts positions in LPS; they become RAS once, in `medseg.io.dicom_geometry`. The array is (1, i, j, k): i along
the columns of a slice, j along its rows, k along the slices in order of increasing position on their normal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import Notice
from medseg.grid import Grid
from medseg.io import dicom_refusals as refusals
from medseg.io.dicom_geometry import ordered
from medseg.io.dicom_group import Group, groups_of
from medseg.io.dicom_pixels import ChangedFileError, DamagedMemberError, read_pixels, voxel_type
from medseg.io.dicom_scan import Scan, scanned
from medseg.io.dicom_slice import SliceHeader
from medseg.io.options import Probe, ReadOptions, SeriesInfo
from medseg.volume import Source, Volume

_NAMED = 3


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
        raise refusals.damaged(path, [(error.path, str(error))]) from None
    except ChangedFileError as error:
        raise refusals.damaged(path, [(Path(str(error)), "changed while it was read")]) from None
    except OSError as error:
        raise refusals.not_opened(path, error) from None
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
    except OSError as error:
        raise refusals.not_opened(folder, error) from None
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
    if options.channel not in (None, 0, "0"):
        raise refusals.no_such_channel(path, options.channel)
    try:
        scan = scanned(path)
        groups = groups_of(scan.slices)
    except OSError as error:
        raise refusals.not_opened(path, error) from None
    if not groups:
        raise refusals.nothing_to_read(path, scan)
    group = _chosen(path, groups, options)
    folders = {s.path.parent for s in group.slices}
    if damaged := [entry for entry in scan.damaged if entry[0].parent in folders]:
        raise refusals.damaged(path, damaged)
    stack, grid, notices = ordered(group.slices, str(path))
    n_bytes = max(grid.n_voxels * voxel_type(stack).itemsize, *(s.n_bytes for s in stack), 0)
    if n_bytes > options.max_bytes:
        raise refusals.too_large(path, grid.shape, n_bytes, options.max_bytes)
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
            raise refusals.no_such_stack(path, options.frame, len(candidates))
        return candidates[options.frame]
    if len(candidates) == 1:
        return candidates[0]
    choices = tuple((g.key, g.info().description) for g in candidates or groups)
    raise refusals.several_series(path, choices, None if candidates else options.series)


def _without_localizers(groups: Sequence[Group]) -> list[Group]:
    return [g for g in groups if not g.is_localizer] or list(groups)


def _notices(path: Path, scan: Scan, group: Group, groups: tuple[Group, ...]) -> list[Notice]:
    first = group.slices[0]
    found = []
    if group.duplicates:
        text = f"{_count(group.duplicates)} a copy of another, byte for byte, and was used once"
        found.append(Notice("W_DUPLICATE_SOP", f"{text}: {_names(group.duplicates, path)}"))
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
        text = f"{_count(skipped)} no slice and was left out: {_names(skipped, path)}"
        found.append(Notice("W_FILE_SKIPPED", text))
    localizers = [g.key for g in groups if g.is_localizer and g is not group]
    if localizers:
        text = f"localizer images were left out; their keys for --series are {', '.join(localizers[:_NAMED])}"
        found.append(Notice("W_FILE_SKIPPED", text))
    return found


def _count(files: Sequence[Path]) -> str:
    return "one file is" if len(files) == 1 else f"each of {len(files)} files is"


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
