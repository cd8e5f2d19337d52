"""PNG / JPEG <-> values in image space."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
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
    file_bytes,
    not_writable,
    pick_channel,
    pixel_grid,
    refusal,
    trusted_resolution,
    without_alpha,
)
from medseg.io.options import Probe, ReadOptions
from medseg.io.picture_header import SPACING_KEY, PictureHead, read_head
from medseg.labels import Instances, LabelMap, smallest_integer_type
from medseg.volume import Source, Volume


def probe_picture(path: Path, options: ReadOptions) -> Probe:
    """Tell from its header what a PNG or JPEG file holds; nothing is decoded.

    Raises
    ------
    InputError
        For a damaged or incomplete file, a size over the limit, animations and printing colours.
    """
    data, _ = file_bytes(path, options)
    head = read_head(path, data, options)
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
    head = read_head(path, data, options)
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
        raise not_writable(f"an image of {value.grid.ndim} axes", "a flat picture", remedy=remedy)
    pixels = _pixels(value)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    info = PngImagePlugin.PngInfo()
    if value.grid.unit != "px":
        y, x = (s * UM_PER_UNIT[value.grid.unit] for s in value.grid.spacing)
        info.add_text(SPACING_KEY, f"{y!r} {x!r} um")
    image.save(path, format="PNG", pnginfo=info)


def _pixels(value: Volume | LabelMap | Instances) -> AnyArray:
    if isinstance(value, Volume):
        array = value.numpy()
        is_rgb = value.channels == RGB and array.dtype == np.uint8
        if not is_rgb and (len(value.channels) != 1 or array.dtype not in (np.uint8, np.uint16)):
            found = f"{len(value.channels)} channels of {array.dtype}"
            raise not_writable(found, "grey of 8 or 16 bits, or RGB of 8", remedy="Write it as .tif.")
        return np.moveaxis(array, 0, -1) if is_rgb else array[0]
    highest = int(value.array.max(initial=0))
    if highest > np.iinfo(np.uint16).max:
        found, remedy = f"labels up to {highest}", "Write the labels as .tif, which holds every number."
        raise not_writable(found, "labels up to 65535, the most that PNG holds", remedy=remedy)
    return value.array.astype(smallest_integer_type(highest), copy=False)


def _kept(path: Path, head: PictureHead, options: ReadOptions) -> tuple[int, ...]:
    return (0,) if head.names == ("index",) else pick_channel(path, head.names, options.channel)


def _grid(path: Path, head: PictureHead, options: ReadOptions) -> tuple[Grid, tuple[Notice, ...]]:
    if head.spacing_um is not None:
        return pixel_grid(path, head.shape, head.spacing_um, "", options)
    y, x = (trusted_resolution(r, head.unit) for r in head.resolution)
    why = "no pixel size is stored"
    if head.unit and head.resolution[1]:
        dpi = head.resolution[1] * UM_PER_UNIT["inch"] / UM_PER_UNIT[head.unit]
        why = f"the stored resolution of {dpi:.0f} dots per inch is a screen's or printer's"
    return pixel_grid(path, head.shape, (y, x), why, options)


def _decoded(path: Path, data: bytes, head: PictureHead, options: ReadOptions) -> AnyArray:
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
        raise refusal(path, found, "fewer pixels in one picture", code="E_TOO_LARGE") from error
    except (OSError, ValueError, RuntimeError, SyntaxError, struct.error, zlib.error) as error:
        raise refusal(path, f"pixels that cannot be decoded ({error})", "an intact picture") from error
    if array.shape[:2] != head.shape:
        raise refusal(path, f"{array.shape[:2]} pixels", f"{head.shape} as the header says")
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
