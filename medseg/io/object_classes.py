"""The class of every object of a training image: from a table of objects, or an image whose numbers are classes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, printable
from medseg.io.read import read_labels
from medseg.io.suffixes import split_suffix
from medseg.labels import LabelMap

MAX_BYTES = 256 * 1024**2
MOST_CLASSES = 255
_FOLDERS = ("classes", "classesTr")
_NUMBER = ("label", "object_id")
_NAME = ("class", "name")
_ENDING = "_objects"
"""``medseg count`` ends its tables of objects so; a corrected one can be taken as it is."""
_SHOWN = 5
_MOST_DIGITS = 18
_LONGEST_SHOWN = 40
_MOST_DENSE = 1 << 24
"""Up to this number a table with a place for every number is faster than sorting."""
_TABLE = "a table with the columns label and class (or object_id and name), a row per object"


def class_files(root: Path) -> dict[str, Path]:
    """Return what says the classes of the objects of each case: a table or an image in ``classes``, by case name.

    Empty where there is no such folder.
    """
    folder = next((root / name for name in _FOLDERS if (root / name).is_dir()), None)
    found: dict[str, Path] = {}
    for path in [] if folder is None else sorted(folder.iterdir()):
        is_table = path.suffix.lower() == ".csv"
        name = path.stem.removesuffix(_ENDING) if is_table else split_suffix(path.name)[0]
        if path.name.startswith(".") or not (is_table or split_suffix(path.name)[1]):
            continue
        if name in found:
            raise _wrong(
                path,
                f"two files that say the classes of {printable(name)}: {found[name].name} and {path.name}",
                "one table or one image per case",
                "Remove one of them.",
            )
        found[name] = path
    return found


def names_in_tables(paths: Iterable[Path]) -> dict[int, str]:
    """Return the classes that tables name, numbered from 1 in the order of their names; empty without a table.

    Raises
    ------
    InputError
        If a table cannot be read, or there are more names than any set of classes has.
    """
    names = sorted({name for path in paths if path.suffix.lower() == ".csv" for _, name in _rows(path)})
    if len(names) > MOST_CLASSES:
        shown = ", ".join(printable(n) for n in names[:_SHOWN])
        raise InputError(
            "E_LABELS_INVALID",
            found=f"{len(names)} different classes in the tables, such as {shown}",
            expected=f"at most {MOST_CLASSES}",
            not_done="no training was started",
            remedy="Look whether the column named class holds classes.",
        )
    return dict(enumerate(names, 1))


def read_object_classes(path: Path | None, labels: LabelMap, names: Mapping[int, str]) -> dict[int, int]:
    """Return the class of each object of a label image.

    Parameters
    ----------
    path : Path or None
        A table of objects and class names, or an image of the same size whose numbers are classes. None will do where
        there is no object.
    labels : LabelMap
        Its numbers are objects.
    names : mapping of int to str
        The classes that there are; empty lets an image have any.

    Returns
    -------
    dict of int to int
        Object number to class number; an entry for every object, and none else.

    Raises
    ------
    InputError
        If an object has no class or two, a class is unknown, or the table speaks of objects that are not there.
    """
    objects = _objects(labels)
    if path is None:
        if not objects:
            return {}
        place = None if labels.source is None else Path(labels.source.path)
        raise _wrong(
            place,
            f"{len(objects)} objects whose classes nothing tells, while the classes of other cases are told",
            "a table or an image of the same name in the folder classes",
            "Add it; a table has the columns label and class.",
        )
    given = _from_table(path, names) if path.suffix.lower() == ".csv" else _from_image(path, labels, objects)
    unknown = sorted(set(given.values()) - set(names))
    if names and unknown:
        raise _wrong(path, f"the class {unknown[0]}", f"one of {_listed(names)}", "Correct the class, or dataset.json.")
    _check_objects(path, objects, given)
    return {i: given[i] for i in objects}


def _check_objects(path: Path, objects: Sequence[int], given: Mapping[int, int]) -> None:
    missing = [i for i in objects if i not in given]
    if missing:
        raise _wrong(
            path,
            f"no class for {_some(missing)} of the label image",
            "a class for every object",
            "Add the rows that are missing, or take these objects out of the label image.",
        )
    foreign = sorted(set(given) - set(objects))
    if foreign:
        raise _wrong(
            path,
            f"classes for {_some(foreign)}, which the label image does not hold",
            "the objects of the label image and no others",
            "Check that table and label image belong together, or remove the rows.",
        )


def _from_table(path: Path, names: Mapping[int, str]) -> dict[int, int]:
    numbers = {name: number for number, name in names.items()}
    given: dict[int, int] = {}
    for label, name in _rows(path):
        is_number = name.isdecimal() and len(name) <= _MOST_DIGITS and int(name) in names
        number = numbers.get(name, int(name) if is_number else None)
        if number is None:
            found = f"the class {printable(name)!r} of object {label}"
            raise _wrong(path, found, f"one of {_listed(names)}", "Correct the name, or add it to dataset.json.")
        if given.setdefault(label, number) != number:
            raise _twice(path, label, names[given[label]], names[number])
    return given


def _from_image(path: Path, labels: LabelMap, objects: Sequence[int]) -> dict[int, int]:
    classes = read_labels(path)
    if classes.grid.shape != labels.grid.shape:
        raise _wrong(
            path,
            f"an image of {'x'.join(map(str, classes.grid.shape))} voxels",
            f"the size of the label image, {'x'.join(map(str, labels.grid.shape))}",
            "Put the classes of this very label image there.",
        )
    ids = np.array([0, *objects])
    is_dense = ids[-1] <= _MOST_DENSE
    class_of = np.zeros(ids[-1] + 1 if is_dense else len(ids), classes.array.dtype)
    for label, number in zip(*_as_stored(labels.array, classes.array), strict=True):
        both = (label > 0) & (number != 0)
        label, number = label[both], number[both]
        at = label if is_dense else np.searchsorted(ids, label)
        new = class_of[at] == 0
        class_of[at[new]] = number[new]
        clash = np.flatnonzero(class_of[at] != number)
        if len(clash):
            one, other = sorted((int(class_of[at[clash[0]]]), int(number[clash[0]])))
            raise _twice(path, int(label[clash[0]]), f"class {one}", f"class {other}")
    found = class_of[objects] if is_dense else class_of[1:]
    return {i: number for i, number in zip(objects, found.tolist(), strict=True) if number}


def _as_stored(first: npt.NDArray[Any], *others: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Return arrays with the axes turned round where the first axis of the first one runs fastest in memory."""
    return tuple(array.T if first.flags.f_contiguous else array for array in (first, *others))


def _objects(labels: LabelMap) -> list[int]:
    top = int(labels.array.max(initial=0))
    if top > _MOST_DENSE:
        return [i for i in np.unique(labels.array).tolist() if i > 0]
    is_there = np.zeros(top + 1, np.bool_)
    for plane in _as_stored(labels.array)[0]:
        is_there[plane[plane > 0]] = True
    return np.flatnonzero(is_there).tolist()


def _rows(path: Path) -> list[tuple[int, str]]:
    if path.stat().st_size > MAX_BYTES:
        raise _wrong(path, f"a table of {path.stat().st_size} bytes", f"at most {MAX_BYTES}", "Check the file.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            # spreadsheets of some countries part columns by semicolons
            table = csv.DictReader(file, delimiter=";" if ";" in head and "," not in head else ",")
            heads = tuple(table.fieldnames or ())
            rows = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _wrong(path, f"a table that cannot be read ({error})", _TABLE, "Save it as CSV in UTF-8.") from error
    number, name = (next((c for c in wanted if c in heads), None) for wanted in (_NUMBER, _NAME))
    if number is None or name is None:
        shown = ", ".join(printable(h) for h in heads[:_SHOWN]) or "no columns"
        raise _wrong(path, f"a table with {shown}", _TABLE, "Name the columns label and class.")
    return [_row(path, line, row.get(number), row.get(name)) for line, row in enumerate(rows, 2)]


def _row(path: Path, line: int, label: str | None, name: str | None) -> tuple[int, str]:
    label, name = (label or "").strip(), (name or "").strip()
    # Python itself refuses to turn thousands of digits into a number
    if label.isdecimal() and len(label) <= _MOST_DIGITS and int(label) > 0 and name:
        return int(label), name
    shown = [printable(text[:_LONGEST_SHOWN]) for text in (label, name)]
    found = f"the object {shown[0]!r} of class {shown[1]!r} in line {line}"
    raise _wrong(path, found, "a whole number above 0 and the name of a class", "Correct the line.")


def _twice(path: Path, label: int, one: str, two: str) -> InputError:
    found = f"object {label} as {printable(one)} and as {printable(two)}"
    return _wrong(path, found, "one class for each object", "Decide for one of them.")


def _listed(names: Mapping[int, str]) -> str:
    return ", ".join(f"{printable(name)} ({number})" for number, name in sorted(names.items())) or "the classes"


def _some(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"object{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _wrong(path: Path | None, found: str, expected: str, remedy: str) -> InputError:
    return InputError(
        "E_LABELS_INVALID",
        path=path,
        found=found,
        expected=expected,
        not_done="no training was started",
        remedy=remedy,
    )
