"""Texts of a card that anybody may have written: none of them may steer the terminal or window that shows it."""

from __future__ import annotations

import re
from typing import Any

_STEERING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Letters that are not shown, but change how the others are: control characters, turned directions."""


def check_texts(data: Any) -> None:
    """Raise ValueError for a text with such a letter, anywhere in JSON data."""
    waiting = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and _STEERING.search(item):
            raise ValueError(f"control characters in the text {item[:40]!r}")


def harmless(data: Any) -> Any:
    r"""Return JSON data with such letters written out: the texts of a data set must not stop its training.

    Examples
    --------
    >>> print(harmless({"licence": "CC0" + chr(27)})["licence"])
    CC0\u001b
    """
    if isinstance(data, dict):
        return {key: harmless(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [harmless(value) for value in data]
    return _STEERING.sub(lambda m: f"\\u{ord(m[0]):04x}", data) if isinstance(data, str) else data
