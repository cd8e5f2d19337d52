"""Slices -> stacks: which slices belong to one volume, and which series a user may choose from."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from medseg.io.dicom_geometry import distance_along_normal, plane_name, same_orientation
from medseg.io.dicom_slice import SliceHeader
from medseg.io.options import SeriesInfo

SAME_PLACE_MM = 0.01
"""Slices closer than this lie at one position."""

_ASPECTS: tuple[tuple[str, Callable[[SliceHeader], object]], ...] = (
    ("phase", lambda s: s.moment.temporal_position),
    ("echo", lambda s: s.moment.echo_number),
    ("b-value", lambda s: s.moment.b_value),
    ("trigger time", lambda s: s.moment.trigger_time),
    ("echo time", lambda s: s.moment.echo_time),
    ("acquisition", lambda s: s.moment.acquisition),
    ("kind", lambda s: s.moment.image_type),
    ("pixel size", lambda s: s.pixel_spacing),
    ("file", lambda s: s.moment.multiframe),
    ("everything", lambda s: (astuple(replace(s.moment, acquisition_time="")), s.pixel_spacing)),
    ("time", lambda s: s.moment.acquisition_time),
)
"""What may tell two slices at one position apart, most trustworthy first."""


@dataclass(frozen=True, slots=True)
class Group:
    """The slices of one stack, not yet in order.

    Parameters
    ----------
    key : str
        Short hash of the series' identity, and a counter. Free of patient data.
    series_hash : str
        SHA-256 of the series UID, or of the headers where there is none.
    slices : tuple of SliceHeader
    n_in_series : int
        Images that the whole series has here.
    is_localizer : bool
    duplicates : tuple of Path
        Files left out because a file with the same bytes is among the slices.
    aspect : str
        What sets this stack apart from its sisters of the same series, in words.
    """

    key: str
    series_hash: str
    slices: tuple[SliceHeader, ...]
    n_in_series: int
    is_localizer: bool
    duplicates: tuple[Path, ...] = ()
    aspect: str = ""

    def info(self) -> SeriesInfo:
        """Describe the stack for a list to choose from. Free texts of the file stay out: they may hold names."""
        first = self.slices[0]
        shape = (first.stored.columns, first.stored.rows, len(self.slices))
        parts = [first.modality or "image", plane_name(first.orientation), f"{len(self.slices)} images"]
        parts.append(f"{shape[0]} x {shape[1]}")
        if first.pixel_spacing is not None:
            parts[-1] += f" at {first.pixel_spacing[1]:.4g} x {first.pixel_spacing[0]:.4g} mm"
        parts += ["localizer"] * self.is_localizer + [self.aspect] * bool(self.aspect)
        return SeriesInfo(self.key, ", ".join(parts), len(self.slices), shape, self.is_localizer)


def groups_of(slices: Iterable[SliceHeader]) -> tuple[Group, ...]:
    """Sort slices into stacks: by series, frame of reference, orientation, matrix, and what repeats positions.

    Parameters
    ----------
    slices : iterable of SliceHeader

    Returns
    -------
    tuple of Group
        Stacks of one series stand together; within a series localizers come last.
    """
    found: list[Group] = []
    for series, members in sorted(_by_series(slices).items()):
        stacks: list[Group] = []
        for bucket in _buckets(members):
            kept, duplicates = _without_duplicates(bucket)
            for aspect, stack in _split(kept):
                group = Group("", series, tuple(stack), len(members), stack[0].is_localizer, duplicates, aspect)
                stacks.append(group)
        stacks.sort(key=lambda g: (g.is_localizer, -len(g.slices)))
        found += [replace(stack, key=f"{series[:8]}-{n}") for n, stack in enumerate(stacks, start=1)]
    return tuple(found)


def _by_series(slices: Iterable[SliceHeader]) -> dict[str, list[SliceHeader]]:
    """Return the slices by the hash of their series UID; without one, by folder and the hash of their headers."""
    by_series: dict[str, list[SliceHeader]] = defaultdict(list)
    by_folder: dict[Path, list[SliceHeader]] = defaultdict(list)
    for header in slices:
        if header.series_uid:
            by_series[hashlib.sha256(header.series_uid.encode()).hexdigest()].append(header)
        else:
            by_folder[header.path.parent].append(header)
    for members in by_folder.values():
        marks = "".join(sorted({s.stored.header_mark for s in members}))
        by_series[hashlib.sha256(marks.encode()).hexdigest()] += members
    return by_series


def _buckets(members: list[SliceHeader]) -> list[list[SliceHeader]]:
    buckets: dict[tuple[object, ...], list[SliceHeader]] = defaultdict(list)
    orientations: list[tuple[float, ...] | None] = []
    for header in members:
        index = next((i for i, o in enumerate(orientations) if same_orientation(o, header.orientation)), None)
        if index is None:
            index = len(orientations)
            orientations.append(header.orientation)
        stored = header.stored
        matrix = (stored.rows, stored.columns, header.moment.stack)
        buckets[header.is_localizer, index, matrix, header.frame_of_reference].append(header)
    return list(buckets.values())


def _places(slices: list[SliceHeader]) -> list[int]:
    """Return a number for each slice, equal for slices at one position; all different where a position is missing."""
    along = distance_along_normal(slices)
    if along is None:
        return list(range(len(slices)))
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order], prepend=along[order[0]]) > SAME_PLACE_MM
    places = np.empty(len(slices), dtype=int)
    places[order] = np.cumsum(steps)
    return [int(p) for p in places]


def _without_duplicates(slices: list[SliceHeader]) -> tuple[list[SliceHeader], tuple[Path, ...]]:
    """Leave out slices whose file is a copy, byte for byte, of another one's; only likely twins are compared."""
    twins: dict[tuple[object, ...], list[SliceHeader]] = defaultdict(list)
    for header, place in zip(slices, _places(slices), strict=True):
        twins[place, header.frame, header.n_bytes, header.sop_uid].append(header)
    suspects = {header.path for group in twins.values() if len(group) > 1 for header in group}
    hashes = {path: _file_hash(path) for path in sorted(suspects)}
    first_with: dict[str, Path] = {}
    for path, digest in hashes.items():
        first_with.setdefault(digest, path)
    copies = {path for path, digest in hashes.items() if first_with[digest] != path}
    return [s for s in slices if s.path not in copies], tuple(sorted(copies))


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _split(slices: list[SliceHeader]) -> list[tuple[str, list[SliceHeader]]]:
    places = dict(zip(slices, _places(slices), strict=True))
    if len(set(places.values())) == len(slices):
        return [("", slices)]
    for name, aspect in _ASPECTS:
        parts: dict[object, list[SliceHeader]] = defaultdict(list)
        for header in slices:
            parts[aspect(header)].append(header)
        is_clean = all(len({places[s] for s in part}) == len(part) for part in parts.values())
        if is_clean and len(parts) > 1 and (len(parts) < len(slices) or len(set(places.values())) == 1):
            ordered = sorted(parts.items(), key=lambda item: _sortable(item[0]))
            return [(f"{name} {n} of {len(parts)}", part) for n, (_, part) in enumerate(ordered, start=1)]
    return [("", slices)]


def _sortable(value: object) -> tuple[float, str]:
    try:
        return float(str(value)), ""
    except ValueError:
        return float("inf"), str(value)
