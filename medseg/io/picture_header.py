"""What the header of a PNG or JPEG file says; chunks and checksums are verified before anything is decoded."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from medseg.io.image_space import RGB, refusal
from medseg.io.memory import check_size
from medseg.io.options import ReadOptions

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
SPACING_KEY = "medseg pixel size"
"""Name of the text in a PNG that holds the spacing (y, x) in um, since PNG's own field is a printer's resolution."""

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_SAMPLES = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4}
_BITS = {_GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGB_ALPHA: (8, 16)}
_SOF = {0xC0, 0xC1, 0xC2}
_JPEG_ALONE = {0x01, *range(0xD0, 0xD8)}


@dataclass(frozen=True, slots=True)
class PictureHead:
    """What the header of a picture says.

    Parameters
    ----------
    format : {"png", "jpeg"}
    shape : (rows, columns)
    n_samples : int
        Values per pixel after decoding, transparency among them.
    bits : int
        Bits of each stored value.
    names : tuple of str
        Channel names without transparency; ("index",) where a palette's numbers are asked for.
    is_palette : bool
        Whether a palette is to be looked up.
    resolution, unit
        Pixels per unit along (y, x).
    spacing_um : (float, float) or None
        What this package noted when it wrote the file.
    n_after : int
        Bytes behind the end of the picture.
    """

    format: str
    shape: tuple[int, int]
    n_samples: int
    bits: int
    names: tuple[str, ...]
    is_palette: bool = False
    resolution: tuple[float | None, float | None] = (None, None)
    unit: str | None = None
    spacing_um: tuple[float, float] | None = None
    n_after: int = 0
    details: dict[str, str] = field(default_factory=dict)


def read_head(path: Path, data: bytes, options: ReadOptions) -> PictureHead:
    """Return the header of a whole PNG or JPEG file.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE for damage, E_TOO_LARGE by the predicted size, E_INPUT_FORMAT and E_DIMENSIONS_UNSUPPORTED
        for pictures of a kind that is not read.
    """
    head = _png_head(path, data, options) if data.startswith(PNG_MAGIC) else _jpeg_head(path, data)
    n_bytes = head.shape[0] * head.shape[1] * head.n_samples * (2 if head.bits > 8 else 1)
    check_size(path, n_bytes, options.max_bytes)
    return head


# --- PNG --------------------------------------------------------------------------------------------------------


def _png_head(path: Path, data: bytes, options: ReadOptions) -> PictureHead:
    chunks, n_after = _chunks(path, data)
    first = chunks[0]
    if first[0] != b"IHDR" or len(first[1]) != 13:
        raise refusal(path, "no PNG header", "a PNG file")
    width, height, bits, colour = struct.unpack(">IIBB", first[1][:10])
    if not width or not height or bits not in _BITS.get(colour, ()):
        raise refusal(path, f"{width} x {height} pixels of {bits} bits, colour type {colour}", "a PNG picture")
    named = dict(reversed(chunks))
    if b"acTL" in named:
        raise refusal(
            path, "an animation", "a single picture", code="E_DIMENSIONS_UNSUPPORTED",
            remedy="Save the pictures one by one, or as a TIFF with named axes.",
        )  # fmt: skip
    is_palette = colour == _PALETTE and options.channel != "index"
    is_colour = colour in (_RGB, _RGB_ALPHA) or is_palette
    names = RGB if is_colour else ("index",) if colour == _PALETTE else ("0",)
    density = named.get(b"pHYs", b"")
    resolution: tuple[float | None, float | None] = (None, None)
    if len(density) == 9 and density[8] == 1:
        x, y = struct.unpack(">II", density[:8])
        resolution = (float(y) or None, float(x) or None)
    n_samples = 4 if is_palette else _SAMPLES[colour] + (b"tRNS" in named and colour in (_GREY, _RGB))
    details = {"palette": "looked up; channel 'index' gives the stored numbers"} if is_palette else {}
    return PictureHead(
        "png", (height, width), n_samples, bits, names, is_palette, resolution,
        "m" if resolution[1] else None, _noted_spacing(chunks), n_after, details,
    )  # fmt: skip


def _chunks(path: Path, data: bytes) -> tuple[list[tuple[bytes, bytes]], int]:
    """Return every chunk of a PNG file with its checksum verified, and the number of bytes behind the last."""
    chunks: list[tuple[bytes, bytes]] = []
    at = len(PNG_MAGIC)
    while at + 12 <= len(data):
        n = struct.unpack_from(">I", data, at)[0]
        if at + 12 + n > len(data):
            break
        kind = data[at + 4 : at + 8]
        stored = struct.unpack_from(">I", data, at + 8 + n)[0]
        if zlib.crc32(memoryview(data)[at + 4 : at + 8 + n]) != stored:
            raise refusal(path, f"a wrong checksum in chunk {kind!r} at byte {at}", "an intact PNG file")
        chunks.append((kind, b"" if kind == b"IDAT" else data[at + 8 : at + 8 + n]))
        at += 12 + n
        if kind == b"IEND":
            return chunks, len(data) - at
    raise refusal(path, f"{len(data):,} bytes without the end of the picture", "a complete PNG file")


def _noted_spacing(chunks: list[tuple[bytes, bytes]]) -> tuple[float, float] | None:
    key = SPACING_KEY.encode() + b"\0"
    for kind, body in chunks:
        match = re.fullmatch(rb"([0-9.e+-]{1,40}) ([0-9.e+-]{1,40}) um", body.removeprefix(key))
        if kind == b"tEXt" and body.startswith(key) and match:
            try:
                return float(match[1]), float(match[2])
            except ValueError:
                return None
    return None


# --- JPEG -------------------------------------------------------------------------------------------------------


def _jpeg_head(path: Path, data: bytes) -> PictureHead:
    if not data.startswith(b"\xff\xd8"):
        raise refusal(path, f"the first bytes {data[:4]!r}", "a PNG or JPEG picture", code="E_INPUT_FORMAT")
    at, resolution, unit = 2, (None, None), None
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF:
            break
        if marker in _JPEG_ALONE or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        n = struct.unpack_from(">H", data, at + 2)[0]
        body = data[at + 4 : at + 2 + n]
        if marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 12:
            unit = {1: "inch", 2: "cm"}.get(body[7])
            x, y = struct.unpack(">HH", body[8:12])
            resolution = (float(y) or None, float(x) or None)  # type: ignore[assignment]
        if marker in _SOF and len(body) >= 6:
            return _from_sof(path, body, resolution, unit)
        if 0xC3 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            raise refusal(path, "lossless or arithmetic JPEG", "common JPEG", code="E_INPUT_FORMAT")
        at += 2 + n
    raise refusal(path, "no picture header", "a complete JPEG file")


def _from_sof(path: Path, body: bytes, resolution: tuple[float | None, float | None], unit: str | None) -> PictureHead:
    bits, height, width, n = struct.unpack(">BHHB", body[:6])
    if bits != 8 or n not in (1, 3):
        remedy = "Save the picture as TIFF or PNG in grey or RGB."
        found = f"{n} colours of {bits} bits"
        raise refusal(path, found, "grey or RGB of 8 bits", code="E_INPUT_FORMAT", remedy=remedy)
    if not height or not width:
        raise refusal(path, f"{width} x {height} pixels", "sizes above zero")
    return PictureHead("jpeg", (height, width), n, bits, RGB if n == 3 else ("0",), resolution=resolution, unit=unit)
