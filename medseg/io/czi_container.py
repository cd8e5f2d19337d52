"""The segments of a Zeiss CZI file: its directory of tiles and its description; every offset is checked first."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from medseg.io.image_space import refusal
from medseg.io.micrograph import MAX_XML_BYTES, parsed_xml, unreadable_kind

_HEADER = struct.Struct("<16sqq")
_ENTRY = struct.Struct("<2siqiiB5xi")
_AXIS = struct.Struct("<4siifi")
_MAX_AXES = 40
_MOST_DIRECTORY = 128 << 20
_LEAST_BLOCK = 256
"""Bytes before the metadata of a tile, at least."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile (subblock) of the image, as the directory describes it.

    Parameters
    ----------
    position : int
        Of its segment in the file.
    pixel_type, compression : int
    start, size : dict of str to int
        By axis: X, Y, C, Z, T, S (scene), M (mosaic) ...
    is_reduced : bool
        Whether it is a smaller copy, for zooming out.
    """

    position: int
    pixel_type: int
    compression: int
    start: dict[str, int]
    size: dict[str, int]
    is_reduced: bool


@dataclass(frozen=True, slots=True)
class Container:
    """What a CZI file holds: its tiles, and the XML that describes them."""

    tiles: tuple[Tile, ...]
    description: ElementTree.Element


def open_container(path: Path) -> Container:
    """Return directory and description of a CZI file; no pixel is read.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE for a damaged file, E_INPUT_FORMAT for one part of an image in several files.
    """
    with path.open("rb") as file:
        head = _segment(path, file, 0, b"ZISRAWFILE", most=4096)
        part, directory, metadata = struct.unpack_from("<iqq", head, 48)
        if part:
            raise unreadable_kind(path, f"part {part} of an image in several files", "a CZI file that is complete")
        tiles = _directory(path, _segment(path, file, directory, b"ZISRAWDIRECTORY", most=_MOST_DIRECTORY))
        text = b""
        if metadata:
            content = _segment(path, file, metadata, b"ZISRAWMETADATA", most=MAX_XML_BYTES)
            text = content[256 : 256 + max(0, struct.unpack_from("<i", content)[0])]
    xml = parsed_xml(path, text.decode("utf-8", "replace")) if text else ElementTree.Element("ImageDocument")
    return Container(tiles, xml)


def stored_bytes(path: Path, file: BinaryIO, tile: Tile, *, most: int) -> bytes:
    """Return the packed pixels of a tile.

    Raises
    ------
    InputError
        If the tile lies outside the file, or takes more than `most` bytes there.
    """
    begin, n_used = _bounds(path, file, tile.position, b"ZISRAWSUBBLOCK")
    file.seek(begin)
    n_metadata, _, n_data = struct.unpack("<iiq", _exactly(path, file, 16))
    n_axes = _ENTRY.unpack(_exactly(path, file, _ENTRY.size))[-1]
    if not 0 < n_axes <= _MAX_AXES or n_metadata < 0 or n_data < 0:
        raise refusal(path, "a tile of impossible size", "an intact tile")
    before = max(_LEAST_BLOCK, 16 + _ENTRY.size + n_axes * _AXIS.size) + n_metadata
    if n_data > most:
        raise refusal(path, f"{n_data} bytes for a tile", f"at most {most}")
    if before + n_data > n_used:
        raise refusal(path, f"a tile of {n_data} bytes in a segment of {n_used}", "a tile that is complete")
    file.seek(begin + before)
    return _exactly(path, file, n_data)


def _segment(path: Path, file: BinaryIO, position: int, name: bytes, *, most: int | None = None) -> bytes:
    begin, n_used = _bounds(path, file, position, name)
    if most is not None and n_used > most:
        raise refusal(path, f"{n_used} bytes of {name.decode()}", f"at most {most}", code="E_TOO_LARGE")
    file.seek(begin)
    return _exactly(path, file, n_used)


def _bounds(path: Path, file: BinaryIO, position: int, name: bytes) -> tuple[int, int]:
    """Return begin and length of a segment's content, which lies within the file."""
    n_file = file.seek(0, 2)
    if not 0 <= position <= n_file - _HEADER.size:
        raise refusal(path, f"a reference to byte {position} of {n_file}", "an intact file")
    file.seek(position)
    found, n_allocated, n_used = _HEADER.unpack(_exactly(path, file, _HEADER.size))
    n = n_used or n_allocated
    if found.rstrip(b"\0") != name:
        raise refusal(path, f"no {name.decode()} at byte {position}", "an intact CZI file")
    if not 0 < n <= n_file - position - _HEADER.size:
        raise refusal(path, f"a segment of {n} bytes that ends behind the file", "a file that was copied to its end")
    return position + _HEADER.size, n


def _directory(path: Path, content: bytes) -> tuple[Tile, ...]:
    count = struct.unpack_from("<i", content)[0]
    tiles: list[Tile] = []
    at = 128
    for _ in range(count):
        if at + _ENTRY.size > len(content):
            raise refusal(path, f"a directory that ends after {len(tiles)} of {count} tiles", "all of them")
        tile, at = _tile(path, content, at)
        tiles.append(tile)
    return tuple(tiles)


def _tile(path: Path, content: bytes, at: int) -> tuple[Tile, int]:
    schema, pixel_type, position, part, compression, _, n_axes = _ENTRY.unpack_from(content, at)
    at += _ENTRY.size
    if schema != b"DV" or not 0 < n_axes <= _MAX_AXES or at + n_axes * _AXIS.size > len(content):
        raise refusal(path, "a damaged entry in the directory of tiles", "an intact directory")
    if part:
        raise unreadable_kind(path, "tiles in other files", "a CZI file that is complete in itself")
    start, size, is_reduced = {}, {}, False
    for _ in range(n_axes):
        name, first, n, _, n_stored = _AXIS.unpack_from(content, at)
        at += _AXIS.size
        axis = name.rstrip(b"\0").decode("ascii", "replace")
        start[axis], size[axis] = first, n
        is_reduced |= axis in "XY" and n_stored not in (0, n)
    if not {"X", "Y"} <= set(size) or min(size["X"], size["Y"]) < 1:
        raise refusal(path, "a tile without width and height", "tiles of an image")
    return Tile(position, pixel_type, compression, start, size, is_reduced), at


def _exactly(path: Path, file: BinaryIO, n: int) -> bytes:
    data = file.read(n)
    if len(data) != n:
        raise refusal(path, f"{len(data)} of {n} bytes", "a file that was copied to its end")
    return data
