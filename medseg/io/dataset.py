"""Which images and labels of a training folder belong together, and which belong to nothing."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from medseg.errors import InputError, MedsegError, printable
from medseg.io.dataset_json import DatasetFile, read_dataset_file
from medseg.io.object_classes import class_files, names_in_tables
from medseg.io.options import Probe
from medseg.io.probe import probe
from medseg.io.refusals import foreign_errors, unreadable
from medseg.io.suffixes import split_suffix

GRID_TOLERANCE = 1e-3
_FOLDERS = (("images", "labels"), ("imagesTr", "labelsTr"))
_CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")


@dataclass(frozen=True, slots=True)
class CasePaths:
    """One training case: its id, one image per channel, its label, and what says the classes of its objects."""

    id: str
    images: tuple[Path, ...]
    label: Path
    classes: Path | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A file or case that was left out: the code of the reason, and a sentence."""

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Dataset:
    """The pairs of a training folder.

    Parameters
    ----------
    root : Path
    cases : tuple of CasePaths
        Sorted by id; only pairs whose headers can be read and lie on one grid.
    classes : dict of int to str
        Names from ``dataset.json``; empty where there is none.
    channels : tuple of str
        Names of the channels, one per image of a case.
    split : dict of str to str
        Case id to ``train``, ``val`` ..., from ``split.csv``.
    groups : dict of str to str
        Case id to the group that must not be torn apart, from ``split.csv``.
    problems : tuple of Problem
        One for each file that was left out; W_FILE_SKIPPED is mere litter.
    object_classes : dict of int to str
        Where the folder ``classes`` tells the classes of objects: those of ``dataset.json``, else of its tables.
    """

    root: Path
    cases: tuple[CasePaths, ...]
    classes: dict[int, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ("0",)
    split: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    object_classes: dict[int, str] = field(default_factory=dict)


def find_pairs(folder: str | os.PathLike[str]) -> Dataset:
    """Find the image and label pairs of a folder.

    Parameters
    ----------
    folder : path-like
        ``images/`` + ``labels/`` with equal names (a ``split.csv`` with id, split, group is obeyed), or an MSD or
        nnU-Net folder (``imagesTr/`` + ``labelsTr/`` + ``dataset.json``); several channels by ``_0000`` suffixes.
        Where labels number objects, ``classes/`` may hold a table or an image with their classes for each case.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the folder has no such layout, or its ``dataset.json`` or ``split.csv`` cannot be used.
    """
    root = Path(folder)
    with foreign_errors(root):
        described = read_dataset_file(root)
        problems: list[Problem] = []
        candidates = (_listed if described.pairs else _paired)(root, described, problems)
        cases = _readable(root, candidates, problems)
        split, groups = _read_split(root, {case.id for case in cases}, problems)
        files = class_files(root)
        cases = tuple(replace(case, classes=files.get(case.id)) for case in cases)
        kinds = (described.classes or names_in_tables(files.values())) if files else {}
    n_channels = len(cases[0].images) if cases else 1
    names = described.channels if len(described.channels) == n_channels else tuple(str(c) for c in range(n_channels))
    return Dataset(root, cases, described.classes, names, split, groups, tuple(problems), kinds)


def _listed(root: Path, described: DatasetFile, problems: list[Problem]) -> list[CasePaths]:
    cases = []
    for image, label in described.pairs:
        missing = [path for path in (image, label) if not path.exists()]
        problems.extend(
            Problem("E_INPUT_EMPTY", f"{_short(root, path)} is listed in dataset.json but is not there.")
            for path in missing
        )
        if not missing:
            cases.append(CasePaths(split_suffix(image.name)[0], (image,), label))
    used = {path for case in cases for path in (*case.images, case.label)}
    for folder in sorted({path.parent for path in used}):
        others = [path for path in _entries(folder, problems, root).values() if path not in used]
        problems.extend(_left_out(root, path, "is not listed in dataset.json") for path in others)
    return cases


def _paired(root: Path, described: DatasetFile, problems: list[Problem]) -> list[CasePaths]:
    image_folder, label_folder = _folders(root)
    labels = _entries(label_folder, problems, root)
    images = _by_case(_entries(image_folder, problems, root), labels, suffixed=described.has_channel_suffixes)
    for name in sorted(set(images) - set(labels)):
        problems.extend(_left_out(root, path, "has no label") for _, path in sorted(images[name].items()))
    orphans = [labels[name] for name in sorted(set(labels) - set(images))]
    problems.extend(_left_out(root, path, "has no image") for path in orphans)
    both = sorted(set(images) & set(labels))
    if not both:
        return []
    usual = Counter(tuple(sorted(images[name])) for name in both).most_common(1)[0][0]
    cases = []
    for name in both:
        channels = tuple(sorted(images[name]))
        if channels != usual:
            text = f"Case {printable(name)} has {_listing(channels)} where others have {_listing(usual)}."
            problems.append(Problem("E_INPUT_EMPTY", text))
            continue
        cases.append(CasePaths(name, tuple(images[name][c] for c in channels), labels[name]))
    return cases


def _folders(root: Path) -> tuple[Path, Path]:
    for image_name, label_name in _FOLDERS:
        if (root / image_name).is_dir() and (root / label_name).is_dir():
            return root / image_name, root / label_name
    there = sorted(path.name for path in root.iterdir())[:8]
    raise InputError(
        "E_INPUT_EMPTY",
        path=root,
        found="a folder with " + (", ".join(there) if there else "nothing in it"),
        expected="the folders images and labels, or imagesTr and labelsTr",
        not_done="no training pairs were read",
        remedy="Put the images into images/ and the labels under the same names into labels/.",
    )


def _entries(folder: Path, problems: list[Problem], root: Path) -> dict[str, Path]:
    """Return the images of a folder by case name; name what is no image, or there twice."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        is_image = bool(split_suffix(path.name)[1]) or path.is_dir()
        if path.name.startswith(".") or not is_image:
            problems.append(Problem("W_FILE_SKIPPED", f"{_short(root, path)} is no image; it was left out."))
        elif split_suffix(path.name)[0] in found:
            other = found[split_suffix(path.name)[0]].name
            text = f"{_short(root, path)} has the same name as {printable(other)}; it was left out."
            problems.append(Problem("E_OUTPUT_COLLISION", text))
        else:
            found[split_suffix(path.name)[0]] = path
    return found


def _by_case(images: dict[str, Path], labels: dict[str, Path], *, suffixed: bool) -> dict[str, dict[int, Path]]:
    cases: dict[str, dict[int, Path]] = {}
    for name, path in images.items():
        match = _CHANNEL.match(name)
        is_channel = match is not None and (suffixed or (name not in labels and match["case"] in labels))
        case, channel = (match["case"], int(match["channel"])) if match and is_channel else (name, 0)
        cases.setdefault(case, {})[channel] = path
    return cases


def _readable(root: Path, cases: list[CasePaths], problems: list[Problem]) -> tuple[CasePaths, ...]:
    """Keep the cases whose files can be read and lie on one grid; name the others."""
    kept = []
    for case in sorted(cases, key=lambda case: case.id):
        try:
            label = probe(case.label)
            found = [_mismatch(root, probe(path), path, label, case.label) for path in case.images]
            faults = [Problem("E_GEOMETRY_MISMATCH", text) for text in found if text]
        except MedsegError as error:
            faults = [Problem(error.code, str(error))]
        problems.extend(Problem(f.code, f"Case {printable(case.id)} was left out: {f.text}") for f in faults)
        if not faults:
            kept.append(case)
    return tuple(kept)


def _mismatch(root: Path, image: Probe, image_path: Path, label: Probe, label_path: Path) -> str:
    pair = f"{_short(root, image_path)} and {_short(root, label_path)}"
    if image.grid.shape != label.grid.shape:
        return f"{pair} differ in size ({_shape(image)} and {_shape(label)})."
    # pixel sizes of pictures often stand in one of the two files only
    is_scan = image.grid.space == label.grid.space == "patient"
    if is_scan and not image.grid.same_as(label.grid, tolerance=GRID_TOLERANCE):
        return f"{pair} lie at different places ({image.grid!r} and {label.grid!r})."
    return ""


def _read_split(root: Path, ids: set[str], problems: list[Problem]) -> tuple[dict[str, str], dict[str, str]]:
    path = root / "split.csv"
    if not path.is_file():
        return {}, {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, f"a table that cannot be read ({error})", "a CSV file in UTF-8") from error
    if not rows or not {"id", "split"} <= set(rows[0]):
        raise unreadable(
            path,
            "a table without the columns id and split",
            "the columns id, split and perhaps group",
            "Correct the table, or remove it to let medseg choose the split.",
        )
    chosen = {row["id"]: row for row in rows if row["id"] in ids}
    missing = sorted(ids - set(chosen))
    if missing:
        shown = ", ".join(printable(name) for name in missing[:5]) + (" ..." if len(missing) > 5 else "")
        problems.append(Problem("E_USAGE", f"split.csv does not name {len(missing)} of the cases: {shown}."))
    groups = {name: row["group"] for name, row in chosen.items() if row.get("group")}
    return {name: row["split"] for name, row in chosen.items()}, groups


def _left_out(root: Path, path: Path, reason: str) -> Problem:
    try:
        size = f" ({_shape(probe(path))} voxels)"
    except MedsegError as error:
        size = f" ({error.code})"
    return Problem("E_INPUT_EMPTY", f"{_short(root, path)}{size} {reason}; it was left out.")


def _shape(found: Probe) -> str:
    return "x".join(str(n) for n in found.grid.shape)


def _listing(channels: tuple[int, ...]) -> str:
    return ("channel " if len(channels) == 1 else "channels ") + ", ".join(str(c) for c in channels)


def _short(root: Path, path: Path) -> str:
    return printable(path.relative_to(root).as_posix()) if path.is_relative_to(root) else printable(str(path))
