"""The byte skeleton of a DICOM file: where it begins, how it is encoded, where the pixels lie.

Walked without recursion and before any parser, so that absurd nesting, unknown value types in the file header,
missing ends and inflating streams are found while they are still only bytes.
"""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass
from struct import unpack
from typing import BinaryIO

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS = 0x7FE00010, 0x7FE00008, 0x7FE00009
PIXEL_TAGS = (PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS)

MAX_DEPTH = 64
"""Most containers (sequences and their items) inside each other; real files stay below 20."""
HEADER_CAP = 16 * 1024**2
"""Most bytes that a deflated header may inflate to before its pixels begin."""

_UNDEFINED = 0xFFFFFFFF
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_META_CLASS, _META_SYNTAX = 0x00020002, 0x00020010


class NotDicomError(ValueError):
    """The bytes do not look like DICOM at all."""


class DamagedDicomError(ValueError):
    """The bytes are DICOM, but damaged, incomplete or built to exhaust the machine; the text says how."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What the bytes say before any value is interpreted.

    Parameters
    ----------
    transfer_syntax : str
        UID of the encoding; guessed from the bytes where none is stored.
    media_class : str
        SOP class from the file header, or empty.
    has_preamble : bool
        Whether the file begins as part 10 of the standard demands.
    pixel_tag : int or None
        Tag of the element that holds the pixels.
    pixel_bytes : int or None
        Their declared length; None where they are compressed.
    pixels_at : int
        Where they begin in the (inflated) stream.
    is_deflated : bool
    """

    transfer_syntax: str
    media_class: str
    has_preamble: bool
    pixel_tag: int | None
    pixel_bytes: int | None
    pixels_at: int
    is_deflated: bool


def opened(stream: BinaryIO, *, max_inflated: int | None = None) -> tuple[BinaryIO, Skeleton]:
    """Return a stream that a parser may read safely, and its skeleton.

    Parameters
    ----------
    stream : binary stream
        The file, seekable.
    max_inflated : int, optional
        Most bytes that a deflated file may inflate to; a larger one is refused. Without it only the header of a
        deflated file is inflated.

    Raises
    ------
    NotDicomError
        If the bytes are of another kind.
    DamagedDicomError
        If the file is broken or built to do harm.
    """
    size = stream.seek(0, io.SEEK_END)
    start, has_preamble = _begin(stream, size)
    meta, start = _meta(stream, start, size)
    syntax = _text(meta.get(_META_SYNTAX, b""))
    media_class = _text(meta.get(_META_CLASS, b""))
    is_deflated, is_complete = syntax == DEFLATED, True
    if is_deflated:
        inflated, is_complete = _inflated(stream, start, max_inflated)
        head = bytes(128) + b"DICM" + _uid_element(_META_CLASS, media_class) + _uid_element(_META_SYNTAX, EXPLICIT)
        stream, start, syntax = io.BytesIO(head + inflated), len(head), EXPLICIT
        size = len(head) + len(inflated)
    is_explicit, endian = _encoding(stream, start, syntax)
    pixel_tag, value, length = _walk(stream, start, size, is_explicit=is_explicit, endian=endian)
    if pixel_tag is None and not is_complete:
        raise DamagedDicomError(f"inflates to more than {HEADER_CAP} bytes before its pixels begin")
    end = value + (length or 0)
    if end > size and (is_complete or pixel_tag is None):
        place = "its header" if pixel_tag is None else "its pixels"
        raise DamagedDicomError(f"ends {end - size} bytes before the end of {place}")
    stream.seek(0)
    guessed = {(False, "<"): IMPLICIT, (True, "<"): EXPLICIT, (True, ">"): BIG_ENDIAN}.get((is_explicit, endian), "")
    syntax = syntax or guessed
    return stream, Skeleton(syntax, media_class, has_preamble, pixel_tag, length, value, is_deflated)


def _begin(stream: BinaryIO, size: int) -> tuple[int, bool]:
    if size == 0:
        raise DamagedDicomError("is empty")
    stream.seek(0)
    head = stream.read(132)
    if head[128:] == b"DICM":
        return 132, True
    has_type = head[4:6] in _LONG or head[4:6] in _SHORT
    if len(head) >= 8 and head[:2] in (b"\x02\x00", b"\x08\x00") and (has_type or unpack("<I", head[4:8])[0] < size):
        return 0, False
    if head[:2] == b"\x00\x08" and has_type:
        return 0, False
    raise NotDicomError("is no DICOM file")


def _meta(stream: BinaryIO, start: int, size: int) -> tuple[dict[int, bytes], int]:
    found: dict[int, bytes] = {}
    while True:
        stream.seek(start)
        head = stream.read(12)
        if len(head) < 8 or head[:2] != b"\x02\x00":
            return found, start
        kind = head[4:6]
        if kind not in _LONG and kind not in _SHORT:
            raise DamagedDicomError("has a file header with an unknown type of value")
        if kind in _LONG and len(head) < 12:
            raise DamagedDicomError("ends inside its file header")
        value = start + (12 if kind in _LONG else 8)
        length = unpack("<I", head[8:12])[0] if kind in _LONG else unpack("<H", head[6:8])[0]
        if value + length > size:
            raise DamagedDicomError("ends inside its file header")
        stream.seek(value)
        found[0x00020000 | unpack("<H", head[2:4])[0]] = stream.read(min(length, 256))
        start = value + length


def _encoding(stream: BinaryIO, start: int, syntax: str) -> tuple[bool, str]:
    stream.seek(start)
    head = stream.read(8)
    is_explicit = head[4:6] in _LONG or head[4:6] in _SHORT  # what is there counts, not what is claimed
    is_big = syntax == BIG_ENDIAN or (not syntax and head[:1] == b"\x00" and head[1:2] != b"\x00")
    return is_explicit, ">" if is_big else "<"


def _walk(
    stream: BinaryIO, start: int, size: int, *, is_explicit: bool, endian: str
) -> tuple[int | None, int, int | None]:
    """Return the tag of the pixels, where they begin, and their length; without pixels, where the header ends."""
    ends: list[float] = []  # where each open sequence and item ends
    at = start
    while at + 8 <= size:
        while ends and at >= ends[-1]:
            ends.pop()
        stream.seek(at)
        head = stream.read(12)
        group, element = unpack(endian + "HH", head[:4])
        if group == 0xFFFE:
            at += 8
            if element == 0xE000:
                ends.append(_end(at, unpack(endian + "I", head[4:8])[0]))
            elif ends:
                ends.pop()
            continue
        kind, length, value = _length(head, at, is_explicit=is_explicit, endian=endian)
        tag = group << 16 | element
        if tag in PIXEL_TAGS and not ends:
            return tag, value, None if length == _UNDEFINED else length
        if length == _UNDEFINED and (kind in (b"OB", b"OW") or tag in PIXEL_TAGS):
            at = _after_fragments(stream, value, size, endian)
        elif length == _UNDEFINED or kind == b"SQ" or (not kind and _starts_with_item(stream, value, endian)):
            at = value
            ends.append(_end(value, length))
        else:
            at = value + length
        if len(ends) > MAX_DEPTH:
            raise DamagedDicomError(f"nests more than {MAX_DEPTH // 2} sequences inside each other")
    return None, at, None


def _length(head: bytes, at: int, *, is_explicit: bool, endian: str) -> tuple[bytes, int, int]:
    kind = head[4:6]
    if not is_explicit or not (kind.isalpha() and kind.isupper()):
        return b"", unpack(endian + "I", head[4:8])[0], at + 8
    if kind in _LONG and len(head) == 12:
        return kind, unpack(endian + "I", head[8:12])[0], at + 12
    return kind, unpack(endian + "H", head[6:8])[0], at + 8


def _end(at: int, length: int) -> float:
    return math.inf if length == _UNDEFINED else at + length


def _starts_with_item(stream: BinaryIO, at: int, endian: str) -> bool:
    stream.seek(at)
    return stream.read(4) == (b"\xfe\xff\x00\xe0" if endian == "<" else b"\xff\xfe\xe0\x00")


def _after_fragments(stream: BinaryIO, at: int, size: int, endian: str) -> int:
    while at + 8 <= size:
        stream.seek(at)
        group, element, length = unpack(endian + "HHI", stream.read(8))
        at += 8
        if (group, element) != (0xFFFE, 0xE000):
            break
        at += length
    return at


def _inflated(stream: BinaryIO, start: int, cap: int | None) -> tuple[bytes, bool]:
    stream.seek(start)
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = machine.decompress(stream.read(), HEADER_CAP if cap is None else cap)
    except zlib.error:
        raise DamagedDicomError("is deflated, and the deflated bytes are damaged") from None
    if cap is not None and not machine.eof:
        kind = "inflates to more than the image that it declares" if machine.unconsumed_tail else "ends too early"
        raise DamagedDicomError(kind)
    return found, machine.eof


def _uid_element(tag: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    value += b"\0" * (len(value) % 2)
    return (
        (tag >> 16).to_bytes(2, "little")
        + (tag & 0xFFFF).to_bytes(2, "little")
        + b"UI"
        + len(value).to_bytes(2, "little")
        + value
    )


def _text(value: bytes) -> str:
    return value.decode("ascii", errors="ignore").strip("\0 ")
