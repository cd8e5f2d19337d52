"""The ``dataset.json`` of a training folder: MSD, nnU-Net v2, or just class names. The only file that knows them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medseg.errors import InputError
from medseg.io.refusals import unreadable

MAX_BYTES = 16 * 1024**2
_REMEDY = "Correct dataset.json, or remove it and use the folders images and labels with equal names."
_MOST_DIGITS = 18
LARGEST_CLASS = 65_535
"""A model knows classes up to this number; a training is not begun for others."""


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """What a ``dataset.json`` says.

    Attributes
    ----------
    classes : dict of int to str
        Without background.
    channels : tuple of str
    pairs : tuple of (image, label) paths
        The listed training pairs (MSD).
    has_channel_suffixes : bool
        True where images end in ``_0000`` (nnU-Net v2).
    """

    classes: dict[int, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    pairs: tuple[tuple[Path, Path], ...] = ()
    has_channel_suffixes: bool = False


def read_dataset_file(root: Path) -> DatasetFile:
    """Read ``root/dataset.json``; without one, everything is empty.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE for a file that is no such description, E_PATH_UNSAFE for a path that leaves the folder.
    """
    path = root / "dataset.json"
    if not path.is_file():
        return DatasetFile()
    content = _load(path)
    names = content.get("channel_names", content.get("modality", {}))
    if not isinstance(names, dict):
        raise _wrong(path, "channel names that are no table", 'such as {"0": "T1"}')
    channels = tuple(str(names[key]) for key in sorted(names, key=str))
    classes = _classes(path, content.get("labels", content.get("classes", {})))
    if "channel_names" in content:
        return DatasetFile(classes, channels, has_channel_suffixes=True)
    return DatasetFile(classes, channels, _pairs(root, path, content.get("training", [])))


def _load(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_BYTES:
        raise _wrong(path, f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _wrong(path, "text that is not valid JSON", "a JSON object") from error
    if not isinstance(content, dict):
        raise _wrong(path, "JSON that is no object", 'such as {"labels": {"background": 0, "liver": 1}}')
    return content


def _classes(path: Path, labels: Any) -> dict[int, str]:
    if not isinstance(labels, dict):
        raise _wrong(path, "labels that are no table", 'such as {"background": 0, "liver": 1}')
    classes: dict[int, str] = {}
    for key, value in labels.items():
        # MSD writes id: name, nnU-Net v2 name: id
        number, name = (key, value) if str(key).isdecimal() else (value, key)
        digits = "" if isinstance(number, bool) else str(number)
        # Python itself refuses to turn thousands of digits into a number
        if not digits.isdecimal() or len(digits.lstrip("0")) > _MOST_DIGITS or int(digits) > LARGEST_CLASS:
            raise _wrong(
                path,
                f"the label {f'{key!r}: {value!r}'[:80]}",
                f"a whole number from 0 to {LARGEST_CLASS} for each name",
            )
        classes[int(number)] = str(name)
    return {number: classes[number] for number in sorted(classes) if number != 0 and classes[number] != "ignore"}


def _pairs(root: Path, path: Path, training: Any) -> tuple[tuple[Path, Path], ...]:
    if not isinstance(training, list):
        raise _wrong(path, "training cases that are no list", 'a list of {"image": ..., "label": ...}')
    pairs = []
    for entry in training:
        if not (isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("image", "label"))):
            raise _wrong(path, f"the training case {str(entry)[:80]!r}", '{"image": "...", "label": "..."}')
        pairs.append((_inside(root, path, entry["image"]), _inside(root, path, entry["label"])))
    return tuple(pairs)


def _inside(root: Path, path: Path, name: str) -> Path:
    target = root / name
    inside = Path(name).is_absolute() is False and ".." not in Path(name.replace("\\", "/")).parts and "\0" not in name
    if inside:
        return target
    raise InputError(
        "E_PATH_UNSAFE",
        path=path,
        found=f"the path {name!r}",
        expected="a path inside the folder of dataset.json",
        not_done="no training pairs were read",
        remedy="Copy the files into the folder and name them relative to it.",
    )


def _wrong(path: Path, found: str, expected: str) -> InputError:
    return unreadable(path, found, expected, _REMEDY)
