"""Which prediction belongs to which reference, by name."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medseg.errors import InputError, MedsegError, UsageError, printable
from medseg.io.suffixes import split_suffix
from medseg.workflow.names import joined, shortened

_SUFFIXES = (
    ".nii.gz", ".nii", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd", ".ome.tif", ".ome.tiff", ".tif", ".tiff", ".png",
)  # fmt: skip
Kind = Literal["semantic", "instances"]

_LABEL_FOLDERS = ("labels", "labelsTr")
_MAX_RECORD_BYTES = 16 * 1024**2
_NAMED = 5
_ENDING = {"semantic": "_labels", "instances": "_instances"}


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction and its reference."""

    name: str
    prediction: Path
    reference: Path


@dataclass(frozen=True, slots=True)
class Pairs:
    """What two sides have in common.

    Parameters
    ----------
    matched : tuple of Pair
    without_prediction, without_reference : tuple of str
        Names that stand on one side only.
    ambiguous : tuple of (str, MedsegError)
        Names that several files of one side claim.
    """

    matched: tuple[Pair, ...]
    without_prediction: tuple[str, ...] = ()
    without_reference: tuple[str, ...] = ()
    ambiguous: tuple[tuple[str, MedsegError], ...] = ()


def find_label_pairs(predictions: Path, references: Path, *, kind: Kind = "semantic") -> Pairs:
    """Pair label images: ``NAME_labels`` or ``NAME`` on one side with either on the other.

    With kind ``instances`` the ending is ``_instances``, and ``_labels`` are left out.

    Two files are a pair whatever their names. In a folder NAME is the relative path without suffix, its folders joined
    with ``__``; where both exist, the marked name goes before ``NAME``. Overlays, instances and hidden files are left
    out. A folder of references that holds no label image itself but a folder ``labels`` stands for that folder.

    Raises
    ------
    UsageError
        If a path does not exist (E_USAGE).
    InputError
        If there is no label image, or none of the names match (E_INPUT_EMPTY).
    """
    for path in (predictions, references):
        if not path.exists():
            raise UsageError(
                "E_USAGE",
                path=path,
                found="no such file or folder",
                expected="label images",
                not_done="nothing was compared",
                remedy="Check the path.",
            )
    if predictions.is_file() and references.is_file():
        return Pairs((Pair(_name(Path(predictions.name), kind), predictions, references),))
    left, right = _label_files(predictions, kind), _label_files(_label_folder(references, kind), kind)
    pairs = _matched(left, right)
    if not pairs.matched and not pairs.ambiguous:
        raise _nothing(predictions, references, left, right)
    return pairs


def class_names_beside(prediction: Path, name: str) -> dict[int, str]:
    """Return the class names in the record ``NAME.medseg.json`` beside a prediction; none without one.

    Names are a convenience here: a record that is absent, damaged or of another kind gives none.
    """
    record = prediction.parent / f"{name}.medseg.json"
    try:
        if not record.is_file() or record.stat().st_size > _MAX_RECORD_BYTES:
            return {}
        content = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    structures = content.get("structures") if isinstance(content, dict) else None
    rows = [row for row in structures if isinstance(row, dict)] if isinstance(structures, list) else []
    named = ((row.get("class_id"), row.get("name")) for row in rows)
    return {c: n for c, n in named if isinstance(c, int) and isinstance(n, str)}


def _label_folder(references: Path, kind: Kind) -> Path:
    if not references.is_dir() or any(_is_label_image(p, kind) for p in references.iterdir()):
        return references
    return next((references / name for name in _LABEL_FOLDERS if (references / name).is_dir()), references)


def _label_files(root: Path, kind: Kind) -> dict[str, list[Path]]:
    if root.is_file():
        return {_name(Path(root.name), kind): [root]}
    plain: dict[str, list[Path]] = defaultdict(list)
    marked: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if any(part.startswith((".", "__MACOSX")) for part in relative.parts) or not _is_label_image(path, kind):
            continue
        is_marked = split_suffix(path.name)[0].endswith(_ENDING[kind])
        (marked if is_marked else plain)[_name(relative, kind)].append(path)
    return plain | marked


def _is_label_image(path: Path, kind: Kind) -> bool:
    stem, suffix = split_suffix(path.name)
    others = tuple(ending for ending in (*_ENDING.values(), "_overlay") if ending != _ENDING[kind])
    return suffix.lower() in _SUFFIXES and not stem.endswith(others) and path.is_file()


def _name(relative: Path, kind: Kind) -> str:
    return shortened(joined(relative).removesuffix(_ENDING[kind]))


def _matched(left: dict[str, list[Path]], right: dict[str, list[Path]]) -> Pairs:
    matched, ambiguous = [], []
    for name in sorted(left.keys() & right.keys()):
        crowded = next((paths for paths in (left[name], right[name]) if len(paths) > 1), None)
        if crowded is None:
            matched.append(Pair(name, left[name][0], right[name][0]))
        else:
            ambiguous.append((name, _crowded(crowded)))
    return Pairs(
        tuple(matched),
        without_prediction=tuple(sorted(right.keys() - left.keys())),
        without_reference=tuple(sorted(left.keys() - right.keys())),
        ambiguous=tuple(ambiguous),
    )


def _crowded(paths: list[Path]) -> MedsegError:
    return UsageError(
        "E_USAGE",
        path=paths[0],
        found=f"{len(paths)} files of one name: " + ", ".join(printable(p.name) for p in paths[:_NAMED]),
        expected="one label image per case",
        not_done="the case was not compared",
        remedy="Leave only the file that counts in the folder.",
    )


def _nothing(predictions: Path, references: Path, left: dict[str, Any], right: dict[str, Any]) -> MedsegError:
    if left and right:
        found = f"no name in common: {_some(left)} against {_some(right)}"
        expected, where = "NAME_labels or NAME on both sides", None
    else:
        found, expected, where = "no label image", "label images", references if left else predictions
    return InputError(
        "E_INPUT_EMPTY",
        path=where,
        found=found,
        expected=expected,
        not_done="nothing was compared",
        remedy="Check the two folders, and that file names agree up to _labels or _instances and the suffix.",
    )


def _some(names: dict[str, Any]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(printable(n) for n in listed[:_NAMED]) + more
