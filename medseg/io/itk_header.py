"""Text headers of NRRD, NHDR, MHA and MHD, read without any library: fields, layout of the data, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.errors import InputError
from medseg.io.image_space import refusal

HEADER_LIMIT = 1 << 20
"""A header of more bytes than this is no header."""
_FIRST_READ = 1 << 16

_NRRD_TYPES = {
    "int8": "i1", "int8_t": "i1", "signed char": "i1",
    "uint8": "u1", "uint8_t": "u1", "uchar": "u1", "unsigned char": "u1",
    "int16": "i2", "int16_t": "i2", "short": "i2", "short int": "i2", "signed short": "i2", "signed short int": "i2",
    "uint16": "u2", "uint16_t": "u2", "ushort": "u2", "unsigned short": "u2", "unsigned short int": "u2",
    "int32": "i4", "int32_t": "i4", "int": "i4", "signed int": "i4",
    "uint32": "u4", "uint32_t": "u4", "uint": "u4", "unsigned int": "u4",
    "int64": "i8", "int64_t": "i8", "longlong": "i8", "long long": "i8", "long long int": "i8",
    "signed long long": "i8", "signed long long int": "i8",
    "uint64": "u8", "uint64_t": "u8", "ulonglong": "u8", "unsigned long long": "u8", "unsigned long long int": "u8",
    "float": "f4", "double": "f8",
}  # fmt: skip
_META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_CODECS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}


@dataclass(frozen=True, slots=True)
class TextHeader:
    """What a text header says about its voxels; geometry stays in `fields` for the door to interpret.

    Parameters
    ----------
    format : {"nrrd", "mha"}
    fields : dict of str to str
        Names in lower case, values as written.
    shape : tuple of int
        Fastest axis first.
    dtype : numpy dtype
        With the byte order of the file.
    codec : {"raw", "gzip", "bzip2", "zlib"}
    data_name : str or None
        Companion file with the voxels; None where they follow the header.
    data_start : int
        Where the voxels begin in a file that holds both.
    skip : int
        Bytes to pass over at the beginning of the data; -1: the data end with the file.
    """

    format: str
    fields: dict[str, str]
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    codec: str
    data_name: str | None
    data_start: int
    skip: int = 0
    line_skip: int = 0
    n_channels: int = 1

    @property
    def n_bytes(self) -> int:
        """Bytes of the voxels in memory."""
        n = self.dtype.itemsize * self.n_channels
        for length in self.shape:
            n *= length
        return n


def read_header(path: Path, head: bytes) -> TextHeader:
    """Parse the header at the beginning of `head`.

    Parameters
    ----------
    path : Path
        For messages only.
    head : bytes
        At least the first `HEADER_LIMIT` bytes of the file, or all of it.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE or E_INPUT_FORMAT if a needed field is absent, doubled or makes no sense.
    """
    return _nrrd(path, head) if head.startswith(b"NRRD") else _meta(path, head)


def _nrrd(path: Path, head: bytes) -> TextHeader:
    lines, end = _nrrd_lines(path, head)
    if not re.fullmatch(r"NRRD000[1-5]", lines[0]):
        raise refusal(path, f"the first line {lines[0][:20]!r}", "NRRD0001 to NRRD0005", code="E_INPUT_FORMAT")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        if line.startswith("#"):
            continue
        if ":=" in line and ": " not in line.split(":=")[0]:
            continue  # a key with a value of somebody's own
        _add(path, fields, *_split(path, line, ":"))
    kind = _needed(path, fields, "type").lower()
    if kind not in _NRRD_TYPES:
        raise refusal(path, f"voxels of type {kind!r}", "whole or floating-point numbers", code="E_INPUT_FORMAT")
    shape = _sizes(path, _needed(path, fields, "sizes"), _needed(path, fields, "dimension"))
    encoding = _needed(path, fields, "encoding").lower()
    if encoding not in _CODECS:
        remedy = "Save the image again with raw or gzip encoding."
        raise refusal(path, f"encoding {encoding!r}", "raw, gzip or bzip2", code="E_INPUT_FORMAT", remedy=remedy)
    dtype = _ordered(path, _NRRD_TYPES[kind], fields.get("endian", ""))
    name = fields.get("data file", fields.get("datafile"))
    return TextHeader(
        "nrrd", fields, shape, dtype, _CODECS[encoding], name, end,
        skip=_whole(path, fields, "byte skip", "byteskip"), line_skip=_whole(path, fields, "line skip", "lineskip"),
    )  # fmt: skip


def _nrrd_lines(path: Path, head: bytes) -> tuple[list[str], int]:
    match = re.search(rb"\r?\n\r?\n", head[:HEADER_LIMIT])
    detached = match is None and len(head) < HEADER_LIMIT and re.search(rb"(?m)^data ?file:", head) is not None
    if match is None and not detached:
        raise refusal(path, "a header without its end", "an empty line after the header")
    end = len(head) if match is None else match.end()
    text = head[: end if match is None else match.start()].decode("utf-8", "replace")
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()], end


def _meta(path: Path, head: bytes) -> TextHeader:
    match = re.search(rb"(?m)^ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?(\n|\Z)", head[:HEADER_LIMIT])
    if match is None:
        raise refusal(path, "no line ElementDataFile", "a complete MetaImage header")
    fields: dict[str, str] = {}
    for line in head[: match.start()].decode("utf-8", "replace").splitlines():
        if line.strip():
            _add(path, fields, *_split(path, line, "="))
    if _flag(path, fields, "binarydata", default=True) is False:
        remedy = "Save the image again in binary form."
        raise refusal(path, "voxels written as text", "binary voxels", code="E_INPUT_FORMAT", remedy=remedy)
    kind = _needed(path, fields, "elementtype")
    if kind not in _META_TYPES:
        raise refusal(path, f"voxels of type {kind!r}", "whole or floating-point numbers", code="E_INPUT_FORMAT")
    shape = _sizes(path, _needed(path, fields, "dimsize"), _needed(path, fields, "ndims"))
    big = _flag(path, fields, "binarydatabyteordermsb", "elementbyteordermsb", default=False)
    name = match.group(1).decode("utf-8", "replace").strip()
    return TextHeader(
        "mha", fields, shape, _ordered(path, _META_TYPES[kind], "big" if big else "little"),
        "zlib" if _flag(path, fields, "compresseddata", default=False) else "raw",
        None if name.upper() == "LOCAL" else name, match.end(), skip=_whole(path, fields, "headersize"),
        n_channels=_whole(path, fields, "elementnumberofchannels", default=1),
    )  # fmt: skip


def _split(path: Path, line: str, mark: str) -> tuple[str, str]:
    key, found, value = line.partition(mark)
    if not found:
        raise refusal(path, f"the header line {line[:60]!r}", f"a name, {mark!r} and a value")
    return key.strip().lower(), value.strip()


def _add(path: Path, fields: dict[str, str], key: str, value: str) -> None:
    if fields.get(key, value) != value:
        raise refusal(path, f"the field {key!r} twice with different values", "each field once")
    fields[key] = value


def _needed(path: Path, fields: dict[str, str], key: str) -> str:
    if not fields.get(key):
        raise refusal(path, f"no field {key!r} in the header", "a complete header")
    return fields[key]


def _sizes(path: Path, sizes: str, dimension: str) -> tuple[int, ...]:
    words = sizes.split()
    if not all(re.fullmatch(r"\d{1,18}", w) and int(w) > 0 for w in words) or str(len(words)) != dimension.strip():
        raise refusal(path, f"dimension {dimension[:20]} with sizes {sizes[:60]}", "one size above zero per axis")
    return tuple(int(w) for w in words)


def _whole(path: Path, fields: dict[str, str], *keys: str, default: int = 0) -> int:
    text = next((fields[k] for k in keys if k in fields), str(default))
    if not re.fullmatch(r"-1|\d{1,12}", text):
        raise _odd(path, keys[0], text)
    return int(text)


def _flag(path: Path, fields: dict[str, str], *keys: str, default: bool) -> bool:
    text = next((fields[k] for k in keys if k in fields), "")
    if text.lower() not in ("true", "false", "1", "0", ""):
        raise _odd(path, keys[0], text)
    return text.lower() in ("true", "1") if text else default


def _ordered(path: Path, kind: str, order: str) -> np.dtype[np.generic]:
    if order.lower() not in ("little", "big", "") or (not order and kind[1] != "1"):
        raise _odd(path, "endian", order)
    return np.dtype((">" if order.lower() == "big" else "<") + kind)


def _odd(path: Path, key: str, text: str) -> InputError:
    return refusal(path, f"{key!r} = {text[:40]!r} in the header", "a value that the format allows")
