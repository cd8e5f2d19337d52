"""SHA-256 of files, of folders, and of plain options."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from medseg.io.hashing import Digest, digest, files_below

__all__ = ["Digest", "digest", "digest_of_options", "files_below"]


def digest_of_options(options: dict[str, Any]) -> str:
    """Return the hash of plain options, whatever order their keys came in.

    Examples
    --------
    >>> digest_of_options({"a": 1, "b": None}) == digest_of_options({"b": None, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(options, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
