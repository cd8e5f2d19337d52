"""NumPy files hold numbers without a place: their size is told from the header, and they are refused in words."""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, NoReturn

from medseg.io.image_space import file_size, refusal
from medseg.io.memory import check_size
from medseg.io.options import Probe, ReadOptions
from medseg.volume import Volume

_NPY_MAGIC = b"\x93NUMPY"
_HEADER_LIMIT = 1 << 16
_MAX_RATIO, _PLAIN_BYTES = 100, 1 << 28
"""An archive that unpacks to more than both is made to exhaust the machine."""


def probe_npz(path: Path, options: ReadOptions) -> Probe:
    """Refuse a .npz or .npy file; E_TOO_LARGE where its arrays would not even fit, E_UNSAFE_CONTENT for pickles."""
    _refuse(path, options)


def read_npz(path: Path, options: ReadOptions) -> Volume:
    """Refuse a .npz or .npy file, as `probe_npz` does."""
    _refuse(path, options)


def _refuse(path: Path, options: ReadOptions) -> NoReturn:
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
        file.seek(0)
        n_bytes = _zip_bytes(path, file) if is_zip else _npy_bytes(path, file)
    check_size(path, n_bytes, min(options.max_bytes, max(_PLAIN_BYTES, _MAX_RATIO * file_size(path))))
    raise refusal(
        path,
        "a NumPy file, which stores numbers without axes, spacing or orientation",
        "an image format",
        code="E_INPUT_FORMAT",
        remedy="Save the array as OME-TIFF (micrographs) or NIfTI (scans) with its spacing.",
    )


def _zip_bytes(path: Path, file: IO[bytes]) -> int:
    total = 0
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist()[:10_000]:
                with archive.open(member) as content:
                    total += max(_npy_bytes(path, content), member.file_size)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise refusal(path, f"a damaged archive ({error})", "an intact file") from error
    return total


def _npy_bytes(path: Path, file: IO[bytes]) -> int:
    head = file.read(12)
    if not head.startswith(_NPY_MAGIC) or len(head) < 12:
        return 0
    is_short = head[6] == 1
    n = struct.unpack("<H", head[8:10])[0] if is_short else struct.unpack("<I", head[8:12])[0]
    text = ((head[10:] if is_short else b"") + file.read(min(n, _HEADER_LIMIT))).decode("latin-1")
    kind = re.search(r"'descr':\s*'([<>|=]?)([a-zA-Z])(\d*)'", text)
    shape = re.search(r"'shape':\s*(\([0-9, ]*\))", text)
    if kind is not None and kind[2] == "O":
        remedy = "Do not open this file."
        raise refusal(path, "Python objects", "numbers", code="E_UNSAFE_CONTENT", remedy=remedy)
    if kind is None or shape is None:
        return 0
    sizes = ast.literal_eval(shape[1])
    return int(kind[3] or 1) * math.prod(sizes if isinstance(sizes, tuple) else (sizes,))
