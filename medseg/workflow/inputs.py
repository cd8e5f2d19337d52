"""Files, DICOM folders, folder trees and globs -> ordered cases, each with the name of its results."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.errors import InputError, MedsegError, UsageError
from medseg.io.suffixes import split_suffix
from medseg.workflow.names import check_distinct, own_name, shortened
from medseg.workflow.search import Found, Search, Skipped, search_path, series_keys

_CHANNEL = re.compile(r"^(?P<stem>.+)_(?P<number>[0-9]{4})$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Case:
    """One image to work on.

    Parameters
    ----------
    name : str
        Name of its results, short enough for a file name.
    full_name : str
        The same before shortening: relative path without suffix, folders joined with ``__``.
    files : tuple of Path
        One path per channel file; a DICOM folder is one path.
    root : Path
        What paths in records and reports are relative to.
    series : str or None
        Key of the series, where a DICOM folder holds several and each is a case.
    problem : MedsegError or None
        Why this case cannot be worked on, where that is known before reading.
    """

    name: str
    full_name: str
    files: tuple[Path, ...]
    root: Path
    series: str | None = None
    problem: MedsegError | None = None

    @property
    def input(self) -> str:
        """Return the first file as a path relative to the root, as reports show it."""
        return self.relative(self.files[0])

    def relative(self, path: Path) -> str:
        """Return `path` relative to the root; an input that is the root itself keeps its own name."""
        try:
            relative = path.relative_to(self.root).as_posix()
        except ValueError:
            return path.name
        return own_name(path) if relative == "." else relative


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run works on, in order, and what it leaves out."""

    cases: tuple[Case, ...]
    skipped: tuple[Skipped, ...] = ()


def find_cases(inputs: Sequence[str | Path], out: Path, *, n_channels: int = 1, split_series: bool = True) -> Inputs:
    """Return the cases that `inputs` name, in order.

    A folder of DICOM slices is one case; where it holds several series, each is a case named ``NAME__<key>``.
    The output folder and folders of earlier results are never searched. An argument that gives no case at all
    becomes a case with a `problem`, so that it is reported and not lost.

    Parameters
    ----------
    inputs : sequence of path-like
        Files, DICOM folders, folder trees, or patterns with ``*``, ``?`` and ``[``.
    out : Path
        The output folder.
    n_channels : int
        Channels that the model takes. Where it is more than one, ``scan_0000`` and ``scan_0001`` are one case
        ``scan``; where it is one, a lone ``scan_0000`` is named ``scan``.
    split_series : bool
        False where the user named a series: then a DICOM folder is one case whatever it holds.

    Raises
    ------
    UsageError
        E_USAGE if an input lies directly in the output folder, E_OUTPUT_COLLISION if two share a name.
    """
    search = Search(os.path.realpath(out), series_keys if split_series else None)
    for item in inputs:
        before = len(search.found)
        for path, root in _paths(item, search.out):
            _check_apart(path, search.out)
            search_path(path, root, search)
        if len(search.found) == before:
            search.found.append(_nothing_in(Path(item)))
    cases = _as_cases(_without_repeats(search), n_channels)
    check_distinct((case.name, str(case.files[0])) for case in cases)
    return Inputs(cases, tuple(search.skipped))


def _check_apart(path: Path, out: str) -> None:
    """Refuse an output folder that is an input, or that holds an input file directly."""
    resolved = os.path.realpath(path)
    if resolved != out and not (os.path.isfile(path) and os.path.dirname(resolved) == out):
        return
    raise UsageError(
        "E_USAGE",
        path=out,
        found=f"an output folder that is also the input's ({path})",
        expected="a folder of its own for the results",
        not_done="nothing was written, so that no scan can be overwritten",
        remedy="Give another folder with -o, for instance a new folder inside this one.",
    )


def _paths(item: str | Path, out: str) -> Iterator[tuple[Path, Path]]:
    """Yield each (path, root) that an argument names: itself, or the matches of a pattern outside the results."""
    path = Path(item)
    if os.path.lexists(path) or not glob.has_magic(str(item)):
        yield path, path if os.path.isdir(path) else path.parent
        return
    fixed = Path(*_leading_plain_parts(path))
    for match in sorted(glob.glob(str(item), recursive=True)):
        if os.path.realpath(match) != out:
            yield Path(match), fixed


def _leading_plain_parts(pattern: Path) -> list[str]:
    parts: list[str] = []
    for part in pattern.parts:
        if glob.has_magic(part):
            break
        parts.append(part)
    return parts


def _without_repeats(search: Search) -> list[Found]:
    """Drop what two arguments both led to."""
    kept: dict[tuple[str, str | None], Found] = {}
    for found in search.found:
        key = (os.path.abspath(found.path), found.series)
        if key in kept and os.path.exists(found.path):
            search.skip(found.path, found.root, "given twice")
        else:
            kept[key] = found
    return list(kept.values())


def _as_cases(found: list[Found], n_channels: int) -> tuple[Case, ...]:
    groups: dict[tuple[str, ...], dict[int, Found]] = defaultdict(dict)
    for item in found:
        groups[_group_key(item)][_channel_number(item)] = item
    cases: list[Case] = []
    for members in groups.values():
        numbers = tuple(sorted(members))
        if numbers[0] < 0 or (n_channels == 1 and numbers != (0,)):
            cases += [_case(members[n].full_name, [members[n]]) for n in numbers]
            continue
        stem = _CHANNEL.match(members[numbers[0]].full_name)
        case = _case(stem["stem"] if stem else members[numbers[0]].full_name, [members[n] for n in numbers])
        if numbers != tuple(range(n_channels)):
            case = replace(case, problem=_wrong_channels(case, numbers, n_channels))
        cases.append(case)
    return tuple(cases)


def _group_key(item: Found) -> tuple[str, ...]:
    """Return what the channel files of one case share; a file without channel number is alone."""
    matched = _channel_match(item)
    if matched is None:
        return (str(item.path), item.series or "")
    return (str(item.path.parent), matched["stem"], split_suffix(item.path.name)[1], "channels")


def _channel_number(item: Found) -> int:
    matched = _channel_match(item)
    return -1 if matched is None else int(matched["number"])


def _channel_match(item: Found) -> re.Match[str] | None:
    stem, suffix = split_suffix(item.path.name)
    return _CHANNEL.match(stem) if suffix and not os.path.isdir(item.path) else None


def _case(full_name: str, members: list[Found]) -> Case:
    first = members[0]
    problem = next((m.problem for m in members if m.problem is not None), None)
    return Case(shortened(full_name), full_name, tuple(m.path for m in members), first.root, first.series, problem)


def _nothing_in(path: Path) -> Found:
    if os.path.isdir(path) and _has_dicom(path):
        return Found(path, path)  # localizers, contours and the like: the reader says what they are
    error = InputError(
        "E_INPUT_EMPTY",
        path=path,
        found="no image",
        expected="a scan, a folder of DICOM slices, or a folder tree with images in it",
        not_done="nothing was segmented",
        remedy="Check the path; `medseg info` tells what medseg makes of a single file.",
    )
    return Found(path, path if os.path.isdir(path) else path.parent, problem=error)


def _has_dicom(folder: Path) -> bool:
    from medseg.io.sniff import sniff

    try:
        return sniff(folder) == "dicom-folder"
    except MedsegError:
        return False


def _wrong_channels(case: Case, numbers: tuple[int, ...], n_channels: int) -> MedsegError:
    return InputError(
        "E_DIMENSIONS_UNSUPPORTED",
        path=case.files[0],
        found="channel files " + ", ".join(f"_{n:04d}" for n in numbers),
        expected=f"_0000 to _{n_channels - 1:04d}, one for each of the model's {n_channels} channels",
        not_done="the case was not read",
        remedy="Add the missing files, or take away those that the model does not use.",
    )
