"""What a user types to see fewer rows: words that a row must hold, and comparisons such as ``score < 0.5``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_plugin._objects_store import ID, ObjectStore, Rows

Mask = npt.NDArray[np.bool_]

HINT = "e.g. merged, lesion, 17, score < 0.5, volume > 2, not reviewed"
_COMPARISON = re.compile(
    r"(not\s+)?([a-z_][\w ]*?)\s*(<=|>=|!=|==|=|<|>)\s*(-?\d+(?:\.\d*)?(?:e-?\d+)?)", re.IGNORECASE
)
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
    "=": operator.eq, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def kept(store: ObjectStore, places: Rows, text: str) -> Mask:
    """Tell which rows fit what was typed; parts are separated by commas, and all must fit.

    A word is looked for in the class, the flags and the truth columns (``reviewed``, ``touches border``); a number is
    an id; ``size`` stands for the size column, and any column may be named by its beginning.

    Raises
    ------
    ValueError
        In words for the user, where a column is not known.
    """
    fits = np.ones(len(places), np.bool_)
    for part in filter(None, (p.strip() for p in text.split(","))):
        fits &= _compared(store, places, part) if _COMPARISON.fullmatch(part) else _holding(store, places, part)
    return fits


def _compared(store: ObjectStore, places: Rows, part: str) -> Mask:
    found = _COMPARISON.fullmatch(part)
    if found is None:
        raise ValueError(part)
    no, word, sign, number = found.groups()
    values = store.column(column_named(store, word))[places]
    if values.dtype == object:
        raise ValueError(f"{word!r} holds words, not numbers")
    with np.errstate(invalid="ignore"):
        fits = np.asarray(_SIGNS[sign](values.astype(np.float64), float(number)), np.bool_)
    fits &= ~np.isnan(values.astype(np.float64))
    return ~fits if no else fits


def _holding(store: ObjectStore, places: Rows, part: str) -> Mask:
    no = part.lower().startswith("not ")
    word = _folded(part[4:] if no else part)
    if word.isdecimal():
        fits = store.column(ID)[places] == int(word)
    else:
        truths = [n for n in store.names if store.column(n).dtype == np.bool_ and _folded(n).startswith(word)]
        fits = np.zeros(len(places), np.bool_)
        for name in truths:
            fits |= store.column(name)[places]
        for name in ("name", "flags"):
            values = store.column(name)[places]
            holds = {text: word in _folded(text) for text in set(values)}
            fits |= np.fromiter((holds[text] for text in values), np.bool_, len(values))
    return ~fits if no else np.asarray(fits, np.bool_)


def column_named(store: ObjectStore, word: str) -> str:
    """Return the column that a word means.

    Raises
    ------
    ValueError
        If there is none.
    """
    wanted = _folded(word)
    if wanted == "size":
        return store.size_name
    exact = [n for n in store.names if _folded(n) == wanted]
    begins = [n for n in store.names if _folded(n).startswith(wanted)]
    if not (exact or begins):
        raise ValueError(f"no column begins with {word!r}")
    return (exact or begins)[0]


def _folded(text: str) -> str:
    return text.replace("_", " ").strip().casefold()
