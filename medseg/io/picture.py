"""PNG / JPEG <-> values in image space; chunks and checksums are verified before anything is decoded."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin

from medseg.errors import Notice
from medseg.grid import Grid
from medseg.io.image_space import (
    RGB,
    UM_PER_UNIT,
    AnyArray,
    check_size,
    file_bytes,
    pick_channel,
    pixel_grid,
    trusted_resolution,
    unreadable,
    unwritable,
    without_alpha,
)
from medseg.io.options import Probe, ReadOptions
from medseg.labels import Instances, LabelMap, smallest_integer_type
from medseg.volume import Source, Volume

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
SPACING_KEY = "medseg pixel size"
"""Name of the text in a PNG that holds the spacing (y, x) in um, since PNG's own field is a printer's resolution."""

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_SAMPLES = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4}
_BITS = {_GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGB_ALPHA: (8, 16)}
_SOF = {0xC0, 0xC1, 0xC2}
_JPEG_ALONE = {0x01, *range(0xD0, 0xD8)}


@dataclass(frozen=True, slots=True)
class _Head:
    """What the header of a picture says."""

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


def probe_picture(path: Path, options: ReadOptions) -> Probe:
    """Tell from its header what a PNG or JPEG file holds; nothing is decoded.

    Raises
    ------
    InputError
        For a damaged or incomplete file, a size over the limit, animations and printing colours.
    """
    data, _ = file_bytes(path, options)
    head = _head(path, data, options)
    grid, notices = _grid(path, head, options)
    kept = _kept(path, head, options)
    dtype = np.dtype(np.uint16 if head.bits > 8 else np.uint8)
    n_bytes = grid.n_voxels * len(kept) * dtype.itemsize
    names = tuple(head.names[c] for c in kept)
    return Probe(str(path), head.format, grid, dtype.name, names, n_bytes, warnings=notices)


def read_picture(path: Path, options: ReadOptions) -> Volume:
    """Read a PNG or JPEG file into image space.

    Returns
    -------
    Volume
        Array (c, y, x), uint8 or uint16; 16-bit colours stay 16-bit. A palette is looked up, except for
        ``options.channel == "index"``, which gives the stored numbers.

    Raises
    ------
    InputError
        As `probe_picture`, and if pixels cannot be decoded.
    """
    data, sha256 = file_bytes(path, options)
    head = _head(path, data, options)
    grid, notices = _grid(path, head, options)
    samples = _decoded(path, data, head, options)
    if samples.shape[0] in (2, 4):
        samples, said = without_alpha(samples, samples.shape[0] - 1)
        notices += said
    if head.n_after:
        text = f"{head.n_after} bytes follow the end of the image and were ignored."
        notices += (Notice("W_TRAILING_DATA", text),)
    kept = _kept(path, head, options)
    if samples.shape[0] > len(kept):
        samples = samples[list(kept)]
    names = tuple(head.names[c] for c in kept)
    source = Source(str(path), head.format, sha256, len(data), dict(head.details))
    return Volume(np.ascontiguousarray(samples), grid, names, source, notices)


def write_picture(value: Volume | LabelMap | Instances, path: Path) -> None:
    """Write a flat image or labels as PNG of 8 or 16 bits.

    Raises
    ------
    UsageError
        For stacks, scans in patient space, labels above 65535, and pixels that are not 8 or 16 bits.
    """
    if value.grid.space != "image" or value.grid.ndim != 2:
        remedy = "Write a stack as .tif, a scan as .nii.gz."
        raise unwritable(path, f"an image of {value.grid.ndim} axes", "a flat picture", remedy=remedy)
    pixels = _pixels(value, path)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    info = PngImagePlugin.PngInfo()
    if value.grid.unit != "px":
        y, x = (s * UM_PER_UNIT[value.grid.unit] for s in value.grid.spacing)
        info.add_text(SPACING_KEY, f"{y!r} {x!r} um")
    image.save(path, format="PNG", pnginfo=info)


def _pixels(value: Volume | LabelMap | Instances, path: Path) -> AnyArray:
    if isinstance(value, Volume):
        array = value.numpy()
        is_rgb = value.channels == RGB and array.dtype == np.uint8
        if not is_rgb and (len(value.channels) != 1 or array.dtype not in (np.uint8, np.uint16)):
            found = f"{len(value.channels)} channels of {array.dtype}"
            raise unwritable(path, found, "grey of 8 or 16 bits, or RGB of 8", remedy="Write it as .tif.")
        return np.moveaxis(array, 0, -1) if is_rgb else array[0]
    highest = int(value.array.max(initial=0))
    if highest > np.iinfo(np.uint16).max:
        found, remedy = f"labels up to {highest}", "Write the labels as .tif, which holds every number."
        raise unwritable(path, found, "labels up to 65535, the most that PNG holds", remedy=remedy)
    return value.array.astype(smallest_integer_type(highest), copy=False)


def _head(path: Path, data: bytes, options: ReadOptions) -> _Head:
    head = _png_head(path, data, options) if data.startswith(PNG_MAGIC) else _jpeg_head(path, data)
    n_bytes = head.shape[0] * head.shape[1] * head.n_samples * (2 if head.bits > 8 else 1)
    check_size(path, n_bytes, options)
    return head


def _kept(path: Path, head: _Head, options: ReadOptions) -> tuple[int, ...]:
    return (0,) if head.names == ("index",) else pick_channel(path, head.names, options.channel)


def _grid(path: Path, head: _Head, options: ReadOptions) -> tuple[Grid, tuple[Notice, ...]]:
    if head.spacing_um is not None:
        return pixel_grid(path, head.shape, head.spacing_um, "", options)
    y, x = (trusted_resolution(r, head.unit) for r in head.resolution)
    why = "no pixel size is stored"
    if head.unit and head.resolution[1]:
        dpi = head.resolution[1] * UM_PER_UNIT["inch"] / UM_PER_UNIT[head.unit]
        why = f"the stored resolution of {dpi:.4g} dots per inch is a screen's or printer's"
    return pixel_grid(path, head.shape, (y, x), why, options)


# --- PNG --------------------------------------------------------------------------------------------------------


def _png_head(path: Path, data: bytes, options: ReadOptions) -> _Head:
    chunks, n_after = _chunks(path, data)
    first = chunks[0]
    if first[0] != b"IHDR" or len(first[1]) != 13:
        raise unreadable(path, "no PNG header", "a PNG file")
    width, height, bits, colour = struct.unpack(">IIBB", first[1][:10])
    if not width or not height or bits not in _BITS.get(colour, ()):
        raise unreadable(path, f"{width} x {height} pixels of {bits} bits, colour type {colour}", "a PNG picture")
    named = dict(reversed(chunks))
    if b"acTL" in named:
        raise unreadable(
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
    return _Head(
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
            raise unreadable(path, f"a wrong checksum in chunk {kind!r} at byte {at}", "an intact PNG file")
        chunks.append((kind, b"" if kind == b"IDAT" else data[at + 8 : at + 8 + n]))
        at += 12 + n
        if kind == b"IEND":
            return chunks, len(data) - at
    raise unreadable(path, f"{len(data):,} bytes without the end of the picture", "a complete PNG file")


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


def _jpeg_head(path: Path, data: bytes) -> _Head:
    if not data.startswith(b"\xff\xd8"):
        raise unreadable(path, f"the first bytes {data[:4]!r}", "a PNG or JPEG picture", code="E_INPUT_FORMAT")
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
            raise unreadable(path, "lossless or arithmetic JPEG", "common JPEG", code="E_INPUT_FORMAT")
        at += 2 + n
    raise unreadable(path, "no picture header", "a complete JPEG file")


def _from_sof(path: Path, body: bytes, resolution: tuple[float | None, float | None], unit: str | None) -> _Head:
    bits, height, width, n = struct.unpack(">BHHB", body[:6])
    if bits != 8 or n not in (1, 3):
        remedy = "Save the picture as TIFF or PNG in grey or RGB."
        found = f"{n} colours of {bits} bits"
        raise unreadable(path, found, "grey or RGB of 8 bits", code="E_INPUT_FORMAT", remedy=remedy)
    if not height or not width:
        raise unreadable(path, f"{width} x {height} pixels", "sizes above zero")
    return _Head("jpeg", (height, width), n, bits, RGB if n == 3 else ("0",), resolution=resolution, unit=unit)


# --- pixels -----------------------------------------------------------------------------------------------------


def _decoded(path: Path, data: bytes, head: _Head, options: ReadOptions) -> AnyArray:
    """Return the samples (s, y, x) as stored, transparency last."""
    try:
        if head.format == "jpeg":
            array = _by_pillow(data)
        elif head.names == ("index",):
            array = _by_pillow(data, keep_index=True)
        else:
            array = np.asarray(imagecodecs.png_decode(data))
    except Image.DecompressionBombError as error:
        found = f"{head.shape[1]} x {head.shape[0]} pixels"
        raise unreadable(path, found, "fewer pixels in one picture", code="E_TOO_LARGE") from error
    except (OSError, ValueError, RuntimeError, SyntaxError, struct.error, zlib.error) as error:
        raise unreadable(path, f"pixels that cannot be decoded ({error})", "an intact picture") from error
    if array.shape[:2] != head.shape:
        raise unreadable(path, f"{array.shape[:2]} pixels", f"{head.shape} as the header says")
    samples = array[np.newaxis] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    if head.bits < 8 and not head.is_palette and head.names != ("index",):
        samples = np.concatenate([samples[:1] // (255 // ((1 << head.bits) - 1)), samples[1:]])  # undo the stretch
    return samples


def _by_pillow(data: bytes, *, keep_index: bool = False) -> AnyArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size was checked against our own limit
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            image.load()
            return np.asarray(image if keep_index or image.mode in ("L", "RGB") else image.convert("RGB"))
