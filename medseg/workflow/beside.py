"""What lies beside a label image and belongs to it: names of classes, and what is known of each object.

``NAME_labels.nii.gz`` has its class names in ``NAME_structures.csv``, ``NAME_instances.nii.gz`` its objects in
``NAME_objects.csv``, and the labels of a data set have their names in its ``dataset.json``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from medseg.errors import MedsegError
from medseg.io.atomic import write_atomically
from medseg.io.dataset_json import read_dataset_file
from medseg.io.suffixes import split_suffix
from medseg.labels import Instances, Segment

MAX_BYTES = 256 * 1024**2
_FOLDERS_UP = 2
_COLUMNS = ("object_id", "class_id", "name", "score", "flags")
_ENDING = re.compile(r"_(labels|instances)$")
_NAMES = re.compile(r"(^|[_\-.\s])(labels?|instances?|seg(mentation)?s?|masks?|gt|ground_?truth)$", re.IGNORECASE)
_FOLDERS = re.compile(r"^(labels?(Tr|Ts|Val)?|masks?|segmentations?|gt|ground_?truth)$", re.IGNORECASE)


def is_named_as_labels(path: Path) -> bool:
    """Tell whether a file's name, its folder's name or a table beside it says that it holds labels.

    Examples
    --------
    >>> is_named_as_labels(Path("a/scan_labels.nii.gz")), is_named_as_labels(Path("labelsTr/scan.nii.gz"))
    (True, True)
    >>> is_named_as_labels(Path("images/scan.nii.gz"))
    False
    """
    name = split_suffix(path.name)[0]
    return bool(_NAMES.search(name) or _FOLDERS.match(path.absolute().parent.name)) or objects_table(path).is_file()


def classes_beside(path: Path) -> dict[int, str]:
    """Return the class names that belong to a label image; empty where nothing tells them."""
    rows = _rows(path.with_name(f"{_case(path)}_structures.csv"), ("class_id", "name"))
    named = {int(row["class_id"]): row["name"] for row in rows if row["class_id"].isdecimal()}
    if named:
        return {number: name for number, name in named.items() if number > 0}
    for folder in path.absolute().parents[:_FOLDERS_UP]:
        try:
            if names := read_dataset_file(folder).classes:
                return names
        except MedsegError:
            return {}  # a broken description of a data set is no reason to refuse its labels
    return {}


def objects_beside(path: Path) -> tuple[tuple[Segment, ...], dict[int, str]] | None:
    """Return the objects and class names in the table beside an image of objects; None without such a table."""
    segments, names = [], {}
    for row in _rows(objects_table(path), _COLUMNS[:2]):
        if not row["object_id"].isdecimal():
            continue
        class_id = int(row["class_id"]) if row["class_id"].isdecimal() else 1
        flags = tuple(filter(None, (row.get("flags") or "").split(";")))
        segments.append(Segment(int(row["object_id"]), class_id, _score(row.get("score")), flags=flags))
        if name := row.get("name"):
            names[class_id] = name
    if not segments:
        return None
    return tuple(segments), {n: name for n, name in sorted(names.items()) if name != f"class {n}"}


def write_objects(instances: Instances, path: Path) -> Path:
    """Write class, score and flags of each object to the table beside an image of objects.

    Parameters
    ----------
    instances : Instances
    path : Path
        Of the image.

    Returns
    -------
    Path
        Of the table, ``NAME_objects.csv``; an existing one is replaced.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for s in instances.segments:
        name = instances.classes.get(s.class_id, f"class {s.class_id}")
        table.writerow((s.id, s.class_id, name, s.score, ";".join(s.flags)))
    content, target = text.getvalue().encode(), objects_table(path)

    def fill(partial: Path) -> None:
        partial.write_bytes(content)

    write_atomically(target, fill)
    return target


def objects_table(path: Path) -> Path:
    """Return where the table of an image of objects lies."""
    return path.with_name(f"{_case(path)}_objects.csv")


def _case(path: Path) -> str:
    return _ENDING.sub("", split_suffix(path.name)[0])


def _score(text: str | None) -> float:
    try:
        return float(text or 1.0)
    except ValueError:
        return 1.0


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the rows of a table; nothing of a table that lacks the columns, is far too large or is no text."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            if not set(needed) <= set(table.fieldnames or ()):
                return
            for row in table:
                if all(row.get(name) is not None for name in needed):
                    yield row
    except (UnicodeDecodeError, csv.Error):
        return
