"""TIFF / BigTIFF / ImageJ / OME-TIFF <-> values in image space. This file and `tiff_write` alone call the TIFF library.

The pages are walked and the size is predicted by our own code first; the library only decodes pages whose every byte is
known to be there.
"""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile

from medseg.errors import Notice
from medseg.grid import Grid
from medseg.io.image_space import (
    RGB,
    AnyArray,
    file_bytes,
    file_size,
    pick_channel,
    pixel_grid,
    refusal,
    without_alpha,
)
from medseg.io.memory import check_size
from medseg.io.options import Probe, ReadOptions
from medseg.io.refusals import foreign_errors
from medseg.io.tiff_layout import Layout, imagej_layout, plain_layout
from medseg.io.tiff_ome import is_ome, ome_layout
from medseg.io.tiff_pages import Page, check_pixels, walk
from medseg.io.tiff_write import write_tiff
from medseg.volume import Source, Volume

__all__ = ["probe_tiff", "read_tiff", "write_tiff"]

_COMPRESSIONS = {1: "none", 5: "LZW", 7: "JPEG", 8: "deflate", 32773: "PackBits", 32946: "deflate", 34925: "LZMA",
                 33005: "JPEG 2000", 34712: "JPEG 2000", 50000: "zstd", 2: "CCITT", 3: "CCITT", 4: "CCITT"}  # fmt: skip
_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_COLOURS = {_MINISWHITE: 1, _MINISBLACK: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}
_TYPES = {1: ("u", (1, 2, 4, 8, 10, 12, 14, 16, 32, 64)), 2: ("i", (8, 16, 32, 64)), 3: ("f", (16, 32, 64))}
_DECODING_ERRORS = (ValueError, RuntimeError, KeyError, IndexError, TypeError, OSError, ArithmeticError, struct.error)


@dataclass(frozen=True, slots=True)
class _Plan:
    pages: tuple[Page, ...]
    layout: Layout
    dtype: np.dtype[np.generic]
    is_colour_map: bool
    names: tuple[str, ...]
    kept: tuple[int, ...]
    grid: Grid
    warnings: tuple[Notice, ...]
    n_previews: int

    @property
    def page(self) -> Page:
        return self.pages[self.layout.pages[0][0]]


def probe_tiff(path: Path, options: ReadOptions) -> Probe:
    """Tell from the page headers what a TIFF file holds; nothing is decoded.

    Raises
    ------
    InputError
        For a damaged or incomplete file, a size over the limit, a companion outside the folder, or planes of unknown
        meaning.
    """
    size = file_size(path)
    with foreign_errors(path), path.open("rb") as file:
        plan = _plan(path, file, size, options)
    n_bytes = plan.grid.n_voxels * len(plan.kept) * plan.dtype.itemsize
    names = tuple(plan.names[c] for c in plan.kept)
    layout = plan.layout
    return Probe(
        str(path), "tiff", plan.grid, plan.dtype.name, names, n_bytes, layout.series, plan.warnings, layout.n_frames
    )


def read_tiff(path: Path, options: ReadOptions) -> Volume:
    """Read a TIFF file into image space.

    Returns
    -------
    Volume
        Array (c, [z,] y, x) in the file's type; unit um where the file or the user states the pixel size, else px.

    Raises
    ------
    InputError
        As `probe_tiff`, and if pixels cannot be decoded.
    """
    _ = probe_tiff(path, options)
    data, sha256 = file_bytes(path, options)
    plan = _plan(path, io.BytesIO(data), len(data), options)
    array, warnings = _decoded(path, data, plan)
    details = dict(plan.layout.details) | {"layout": plan.layout.kind}
    if plan.n_previews:
        details["previews_left_out"] = str(plan.n_previews)
    orientation = plan.page.number_of(274, 1)
    if orientation != 1:
        details["display_orientation"] = str(orientation)
    source = Source(str(path), "tiff", sha256, len(data), details)
    shape = (len(plan.kept), *plan.grid.shape)
    names = tuple(plan.names[c] for c in plan.kept)
    return Volume(array.reshape(shape), plan.grid, names, source, (*plan.warnings, *warnings))


def _plan(path: Path, file: BinaryIO, size: int, options: ReadOptions) -> _Plan:
    chain = walk(path, file, size)
    if chain[0].vendor:
        remedy = "Save the image as OME-TIFF, for instance with Fiji (Bio-Formats)."
        found = f"the maker's format {chain[0].vendor}"
        raise refusal(path, found, "a plain, ImageJ or OME-TIFF", code="E_INPUT_FORMAT", remedy=remedy)
    text = chain[0].text
    pages = chain if is_ome(text) else tuple(p for p in chain if not p.is_preview) or chain
    if is_ome(text):
        layout = ome_layout(path, text, len(pages), options)
    elif text.startswith("ImageJ="):
        layout = imagej_layout(path, pages[0], _n_planes(pages, text, size), options)
    else:
        layout = plain_layout(path, pages, options)
    page = pages[layout.pages[0][0] if len(pages) > 1 else 0]
    _check_alike(path, pages, layout, size)
    dtype = _dtype(path, page)
    n_planes = sum(len(row) for row in layout.pages)
    check_size(path, max(n_planes * page.n_bytes, page.n_segment_bytes), options.max_bytes)
    is_map = page.number_of(262, 1) == _PALETTE and layout.kind != "imagej" and options.channel != "index"
    if is_map:
        dtype = np.dtype(np.uint8)
    names = _names(layout, page, is_map)
    is_index = options.channel == "index" and page.number_of(262, 1) == _PALETTE
    kept = (0,) if is_index else pick_channel(path, names, options.channel)
    n_z = len(layout.pages[0])
    shape = (n_z, page.height, page.width) if layout.is_stack else (page.height, page.width)
    grid, notices = pixel_grid(path, shape, layout.spacing_um[-len(shape) :], layout.why, options)
    if page.number_of(262, 1) == _MINISWHITE:
        text = "white is stored as zero; the values were turned round, so that bright is high."
        notices += (Notice("W_INVERTED_PHOTOMETRIC", text),)
    return _Plan(pages, layout, dtype, is_map, names, kept, grid, notices, len(chain) - len(pages))


def _n_planes(pages: tuple[Page, ...], text: str, size: int) -> int:
    """Count planes: ImageJ keeps very large stacks as one page followed by the plain planes of the others."""
    first = pages[0]
    if len(pages) > 1 or first.number_of(259, 1) != 1:
        return len(pages)
    start = int(min(first.numbers(273, (size,))))
    said = [line for line in text.splitlines() if line.startswith("images=")]
    n = int(said[0][7:]) if said and said[0][7:].isdecimal() and len(said[0]) < 20 else 1
    return n if start + n * first.n_bytes <= size else 1


def _check_alike(path: Path, pages: tuple[Page, ...], layout: Layout, size: int) -> None:
    used = {n for row in layout.pages for n in row}
    if len(pages) == 1:
        used = {0}
    kinds = {
        (p.height, p.width, p.samples, p.numbers(258), p.number_of(262, 1), p.number_of(339, 1), p.number_of(284, 1))
        for p in (pages[n] for n in used)
    }
    if len(kinds) > 1:
        found, remedy = f"pages of {len(kinds)} kinds", "Choose one page with --frame, or save the images apart."
        expected = "pages of one size and type"
        raise refusal(path, found, expected, code="E_DIMENSIONS_UNSUPPORTED", remedy=remedy)
    for number in used:
        check_pixels(path, pages[number], size)
        _check_coding(path, pages[number])


def _check_coding(path: Path, page: Page) -> None:
    remedy = "Save the image as a plain or OME-TIFF."
    compression, photometric = page.number_of(259, 1), page.number_of(262, 1)
    if compression not in _COMPRESSIONS:
        known = ", ".join(sorted(set(_COMPRESSIONS.values())))
        raise refusal(path, f"TIFF compression {compression}", known, code="E_INPUT_FORMAT", remedy=remedy)
    is_jpeg = compression == 7
    if photometric not in _COLOURS or (photometric == _YCBCR and not is_jpeg) or page.number_of(32997, 1) > 1:
        found = f"the TIFF colour model {photometric}"
        raise refusal(path, found, "grey, RGB or palette", code="E_INPUT_FORMAT", remedy=remedy)
    if page.samples < _COLOURS[photometric] or (photometric == _PALETTE and page.samples > 1):
        found = f"{page.samples} values per pixel for colour model {photometric}"
        raise refusal(path, found, "one value per colour")


def _dtype(path: Path, page: Page) -> np.dtype[np.generic]:
    letter, sizes = _TYPES.get(page.number_of(339, 1), ("u", ()) if page.number_of(339, 1) != 4 else _TYPES[1])
    bits = {int(b) for b in page.numbers(258, (1,))}
    if len(bits) != 1 or page.bits not in sizes:
        found = f"pixels of {sorted(bits)} bits in number format {page.number_of(339, 1)}"
        raise refusal(path, found, "whole or floating-point numbers", code="E_INPUT_FORMAT")
    return np.dtype(f"{letter}{next(n for n in (1, 2, 4, 8) if n * 8 >= page.bits)}")


def _alpha(page: Page) -> int | None:
    """Return the number of the transparency sample; a fourth of an RGB page is one even where it does not say so."""
    n_colours = _COLOURS[page.number_of(262, 1)]
    extra = page.numbers(338)
    is_alpha = page.samples > n_colours and (
        (extra and int(extra[0]) in (1, 2)) or (n_colours == 3 and page.samples == 4)
    )
    return n_colours if is_alpha else None


def _names(layout: Layout, page: Page, is_map: bool) -> tuple[str, ...]:
    n_samples = page.samples - (_alpha(page) is not None)
    n_colours = _COLOURS[page.number_of(262, 1)]
    is_rgb = is_map or n_colours == 3
    extra = [str(s) for s in range(3, n_samples)]
    samples = [*RGB, *extra] if is_rgb else [str(s) for s in range(n_samples)]
    n_c = len(layout.pages)
    planes = layout.channels or tuple(str(c) for c in range(n_c))
    if len(samples) == 1:
        return planes
    return tuple(samples) if n_c == 1 else tuple(f"{p} {s}" for p in planes for s in samples)


def _decoded(path: Path, data: bytes, plan: _Plan) -> tuple[AnyArray, tuple[Notice, ...]]:
    page = plan.page if len(plan.pages) > 1 else plan.pages[0]
    n_z, per_plane = len(plan.layout.pages[0]), len(plan.names) // len(plan.layout.pages)
    out = np.empty((len(plan.names), n_z, page.height, page.width), plan.dtype)
    notices: list[Notice] = []
    try:
        with _silenced(), tifffile.TiffFile(io.BytesIO(data)) as tif:
            for c, row in enumerate(plan.layout.pages):
                for z, number in enumerate(row):
                    samples, said = _colours(_samples(tif, data, plan, number), plan, page)
                    out[c * per_plane : (c + 1) * per_plane, z] = samples
                    notices.extend(n for n in said if n.code not in {m.code for m in notices})
    except _DECODING_ERRORS as error:
        raise refusal(path, f"pixels that cannot be decoded ({error})", "intact pixels") from error
    return out[list(plan.kept)] if len(plan.kept) < len(plan.names) else out, tuple(notices)


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep the library's remarks from the terminal; a log that the application has set up still receives them."""
    logger, handler = logging.getLogger("tifffile"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _samples(tif: tifffile.TiffFile, data: bytes, plan: _Plan, number: int) -> AnyArray:
    """Return the values of one page as (s, y, x)."""
    if len(plan.pages) == 1 and number > 0:
        return _following_plane(tif, data, plan.pages[0], number)
    page = plan.pages[number]
    decoded = tif.pages[page.number]
    if not isinstance(decoded, tifffile.TiffPage):
        decoded = decoded.aspage()
    theirs = (decoded.imagelength, decoded.imagewidth, decoded.samplesperpixel, tuple(decoded.dataoffsets))
    if theirs != (page.height, page.width, page.samples, page.offsets):  # else it would fill gaps with zeros
        raise ValueError("the page can be understood in two ways")
    array = np.asarray(decoded.asarray())
    if page.samples == 1:
        return array.reshape(1, page.height, page.width)
    return array if page.number_of(284, 1) == 2 else np.moveaxis(array, -1, 0)


def _following_plane(tif: tifffile.TiffFile, data: bytes, page: Page, number: int) -> AnyArray:
    dtype = np.dtype(tif.pages[0].dtype).newbyteorder(tif.byteorder)
    start = int(min(page.numbers(273))) + number * page.n_bytes
    plane = np.frombuffer(data, dtype, page.n_bytes // dtype.itemsize, start)
    return np.moveaxis(plane.reshape(page.height, page.width, page.samples), -1, 0)


def _colours(samples: AnyArray, plan: _Plan, page: Page) -> tuple[AnyArray, tuple[Notice, ...]]:
    """Turn stored samples (s, y, x) into channels: palette looked up, white-is-zero turned round, alpha left out."""
    notices: tuple[Notice, ...] = ()
    alpha = _alpha(page)
    if alpha is not None:
        samples, notices = without_alpha(samples, alpha)
    if plan.is_colour_map:
        entries = np.array(page.numbers(320), np.uint16).reshape(3, -1)
        table = (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)
        return table[:, samples[0]], notices
    if page.number_of(262, 1) == _MINISWHITE:
        samples = _turned(samples, page.bits)
    return samples, notices


def _turned(samples: AnyArray, bits: int) -> AnyArray:
    if samples.dtype.kind == "f":
        return -samples
    if samples.dtype.kind == "i":
        return ~samples  # -1 - v: the same turn within the range of a signed type
    return ((1 << bits) - 1 - samples.astype(np.uint64)).astype(samples.dtype if samples.dtype != bool else np.uint8)
