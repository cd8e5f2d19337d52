"""Metadata of OME-Zarr folders, read as plain JSON: sizes, chunks and codecs are known before any library is called."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.io.image_space import file_size, inside_folder, refusal

JSON_LIMIT = 1 << 20
MAX_CHUNKS = 2_000_000
_CODECS = {"zlib", "gzip", "bz2", "lzma", "blosc", "zstd", "lz4", "delta", "shuffle", "fixedscaleoffset", "bitround",
           "bytes", "transpose", "crc32c", "sharding_indexed"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ZarrArray:
    """One array of a Zarr hierarchy, told from its metadata.

    Parameters
    ----------
    folder : Path
    version : {2, 3}
    shape, chunks : tuple of int
        A chunk is what lies in one file.
    dtype : numpy dtype
        In native byte order.
    key : str
        Regular expression of the chunk files' paths relative to `folder`.
    """

    folder: Path
    version: int
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[np.generic]
    key: str

    @property
    def n_chunks(self) -> int:
        """Number of chunk files of a complete array."""
        return math.prod(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))

    @property
    def n_bytes(self) -> int:
        """Bytes of the array in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def group_attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of the group at `path`; what OME-Zarr 0.5 keeps under "ome" is lifted to the top."""
    if (path / "zarr.json").is_file():
        attributes = _json(path, path / "zarr.json").get("attributes", {})
        ome = attributes.get("ome") if isinstance(attributes, dict) else None
        return {**attributes, **ome} if isinstance(ome, dict) else _dict(path, attributes)
    return _json(path, path / ".zattrs") if (path / ".zattrs").is_file() else {}


def label_classes(attributes: dict[str, Any]) -> dict[int, str]:
    """Return the names of classes that a label image carries; entries without a number or a name tell nothing.

    Examples
    --------
    >>> label_classes({"image-label": {"properties": [{"label-value": 1, "class": "tumour"}, {"label-value": 2}]}})
    {1: 'tumour'}
    """
    about = attributes.get("image-label")
    properties = about.get("properties") if isinstance(about, dict) else None
    classes: dict[int, str] = {}
    for one in properties if isinstance(properties, list) else ():
        number, name = (one.get("label-value"), one.get("class")) if isinstance(one, dict) else (None, None)
        if type(number) is int and number > 0 and isinstance(name, str) and name:
            classes[number] = name
    return classes


def array_header(path: Path, name: object) -> ZarrArray:
    """Return the header of the array `name` inside the group at `path`.

    Raises
    ------
    InputError
        E_PATH_UNSAFE if the name leads out of the group; E_UNSAFE_CONTENT for codecs that could run code;
        E_INPUT_FORMAT and E_INPUT_UNREADABLE for metadata that make no sense.
    """
    if not isinstance(name, str):
        raise refusal(path, f"a data set named {name!r}", "the path of an array")
    folder = inside_folder(path / ".zattrs", name)
    if (folder / "zarr.json").is_file():
        return _version_3(path, folder, _json(path, folder / "zarr.json"))
    if (folder / ".zarray").is_file():
        return _version_2(path, folder, _json(path, folder / ".zarray"))
    raise refusal(path, f"no array at {name!r}", "the array that the description names")


def chunk_files(path: Path, array: ZarrArray) -> list[Path]:
    """Return the chunk files that exist, in the order of their names.

    Raises
    ------
    InputError
        E_PATH_UNSAFE if there is a link among them.
    """
    found: list[Path] = []
    counts = [-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True)]
    for root, folders, names in os.walk(array.folder):
        for name in (*folders, *names):
            if Path(root, name).is_symlink():
                raise refusal(path, f"the link {name!r} among the data", "plain files", code="E_PATH_UNSAFE")
        for name in names:
            relative = Path(root, name).relative_to(array.folder).as_posix()
            match = re.fullmatch(array.key, relative)
            if match and all(int(g) < n for g, n in zip(match.groups(), counts, strict=True)):
                found.append(Path(root, name))
    return sorted(found)


def _version_2(path: Path, folder: Path, meta: dict[str, Any]) -> ZarrArray:
    coders = [meta.get("compressor"), *_list(path, meta.get("filters"))]
    _check_codecs(path, [c.get("id") if isinstance(c, dict) else c for c in coders if c is not None])
    separator = meta.get("dimension_separator", ".")
    shape, chunks = _sizes(path, meta.get("shape")), _sizes(path, meta.get("chunks"))
    key = re.escape("/" if separator == "/" else ".").join([r"(\d{1,18})"] * len(shape))
    return _array(path, ZarrArray(folder, 2, shape, chunks, _dtype(path, meta.get("dtype")), key))


def _version_3(path: Path, folder: Path, meta: dict[str, Any]) -> ZarrArray:
    _check_codecs(path, [c.get("name") for c in _codecs(path, meta)])
    grid = _dict(path, _dict(path, meta.get("chunk_grid")).get("configuration"))
    shape, chunks = _sizes(path, meta.get("shape")), _sizes(path, grid.get("chunk_shape"))
    encoding = _dict(path, meta.get("chunk_key_encoding"))
    is_default = encoding.get("name", "default") == "default"
    said = encoding.get("configuration") or {}
    separator = _dict(path, said).get("separator", "/" if is_default else ".")
    parts = (["c"] if is_default else []) + [r"(\d{1,18})"] * len(shape)
    key = re.escape("/" if separator == "/" else ".").join(parts)
    return _array(path, ZarrArray(folder, 3, shape, chunks, _dtype(path, meta.get("data_type")), key))


def _codecs(path: Path, meta: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all codecs of a Zarr 3 array, those inside shards included."""
    codecs: list[dict[str, Any]] = []
    for codec in _list(path, meta.get("codecs")):
        codecs.append(_dict(path, codec))
        inner = _dict(path, codec.get("configuration") or {})
        nested = (*_list(path, inner.get("codecs")), *_list(path, inner.get("index_codecs")))
        codecs.extend(_dict(path, n) for n in nested)
    return codecs


def _check_codecs(path: Path, names: list[object]) -> None:
    for name in names:
        if isinstance(name, str) and name.lower().removeprefix("numcodecs.") in _CODECS:
            continue
        found = f"data packed as {name!r}"
        if "pickle" in str(name).lower():
            raise refusal(path, found, "numbers", code="E_UNSAFE_CONTENT", remedy="Do not open this file.")
        raise refusal(path, found, "a common compression such as blosc, zstd or gzip", code="E_INPUT_FORMAT")


def _array(path: Path, array: ZarrArray) -> ZarrArray:
    if len(array.shape) != len(array.chunks):
        raise refusal(path, f"shape {array.shape} in chunks of {array.chunks}", "one chunk size per axis")
    return array


def _sizes(path: Path, value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or not all(type(n) is int and 0 < n < 1 << 62 for n in value):
        raise refusal(path, f"sizes {str(value)[:60]}", "whole numbers above zero")
    return tuple(value)


def _dtype(path: Path, value: object) -> np.dtype[np.generic]:
    names = {"bool": "b1", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
             "int64": "i8", "uint64": "u8", "float16": "f2", "float32": "f4", "float64": "f8"}  # fmt: skip
    text = names.get(str(value), str(value))
    if text.lstrip("<>|") not in names.values():
        code = "E_UNSAFE_CONTENT" if "O" in text else "E_INPUT_FORMAT"
        raise refusal(path, f"voxels of type {text[:40]!r}", "whole or floating-point numbers", code=code)
    return np.dtype(text.lstrip("<>|"))


def _json(path: Path, file: Path) -> dict[str, Any]:
    if file.is_symlink():
        raise refusal(path, f"the link {file.name!r}", "plain files", code="E_PATH_UNSAFE")
    if file_size(file) > JSON_LIMIT:
        raise refusal(path, f"{file_size(file):,} bytes of metadata", f"at most {JSON_LIMIT:,}", code="E_TOO_LARGE")
    try:
        return _dict(path, json.loads(file.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise refusal(path, f"damaged metadata in {file.name}", "JSON") from error


def _list(path: Path, value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise refusal(path, f"metadata {str(value)[:40]!r}", "a list")
    return value or []


def _dict(path: Path, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refusal(path, f"metadata {str(value)[:40]!r}", "names with values")
    return value
