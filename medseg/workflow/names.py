"""From an input's relative path to the name of its results: lossless, short enough for a disk, never shared by two."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePath

from medseg.errors import UsageError, printable
from medseg.io.suffixes import split_suffix

MAX_NAME_BYTES = 200
"""Longest name of a case; 255 bytes of a file name less the longest result suffix and a temporary writer's prefix."""

_RESULT = re.compile(
    r"^(?P<name>.+)(_(labels|instances)\.(nii\.gz|nii|nrrd|mha|tif|png|ome\.zarr)|_(structures|objects)\.csv"
    r"|_overlay\.png|_maps\.ome\.zarr|\.medseg\.json)$",
    re.DOTALL,
)


def joined(relative: PurePath) -> str:
    """Return the full name of a case: its relative path without suffix, folders joined with ``__``.

    Examples
    --------
    >>> joined(PurePath("study 1/left/scan.nii.gz"))
    'study 1__left__scan'
    """
    *folders, name = relative.parts
    return "__".join([*folders, split_suffix(name)[0]])


def own_name(path: Path) -> str:
    """Return the name of an input that is the root of its search itself."""
    return split_suffix(os.path.basename(os.path.realpath(path)))[0] or "scan"


def shortened(full_name: str) -> str:
    """Return `full_name`, or its beginning and a hash of the whole where it is too long for a file name.

    Examples
    --------
    >>> shortened("scan")
    'scan'
    >>> len(shortened("n" * 240)), shortened("n" * 240) == shortened("n" * 241)
    (200, False)
    """
    raw = os.fsencode(full_name)
    if len(raw) <= MAX_NAME_BYTES:
        return full_name
    mark = "-" + hashlib.sha256(raw).hexdigest()[:16]
    # "ignore" drops a character that the cut went through; the hash keeps the name unique
    return raw[: MAX_NAME_BYTES - len(mark)].decode("utf-8", "ignore") + mark


def check_distinct(named: Iterable[tuple[str, str]]) -> None:
    """Refuse two inputs that would write the same result.

    Parameters
    ----------
    named : iterable of (name, input)
        Name of each case, and the input it came from as a user would write it.

    Raises
    ------
    UsageError
        E_OUTPUT_COLLISION with the inputs concerned. Names that differ only in case or in the composition of
        accents count as equal, for on many disks they are.
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    for name, source in named:
        by_key[unicodedata.normalize("NFC", name).casefold()].append(source)
    shared = [sources for sources in by_key.values() if len(sources) > 1]
    if not shared:
        return
    shown = "; ".join(" and ".join(printable(s) for s in sources[:4]) for sources in shared[:5])
    raise UsageError(
        "E_OUTPUT_COLLISION",
        found=f"{len(shared)} result names that belong to more than one input: {shown}",
        expected="a name of its own for each input (relative path without suffix, folders joined with __)",
        not_done="nothing was written",
        remedy="Rename or leave out one of the inputs, or give the folder that holds them both.",
    )


def result_owner(file_name: str) -> str | None:
    """Return the case that a file in the output folder belongs to by its name; None for any other file.

    Examples
    --------
    >>> result_owner("scan_labels.nii.gz"), result_owner("summary.csv")
    ('scan', None)
    """
    matched = _RESULT.match(file_name)
    return None if matched is None else matched["name"]
