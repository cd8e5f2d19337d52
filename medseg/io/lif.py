"""Leica LIF -> Volume: the images of a file by their place in its tree, with pixel sizes and names of channels."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np

from medseg.io.image_space import UM_PER_UNIT, AnyArray, refusal
from medseg.io.micrograph import (
    MAX_XML_BYTES,
    Scene,
    distinct,
    maker_errors,
    parsed_xml,
    probe_scenes,
    read_scenes,
    short,
    unreadable_kind,
)
from medseg.io.options import Probe, ReadOptions
from medseg.volume import Volume

_BEGIN, _MARK = 0x70, 0x2A
_AXES = {1: "X", 2: "Y", 3: "Z", 4: "T", 10: "M"}
_MAX_IMAGES = 100_000
_MOST_SPAN = 4 << 30
"""Bytes from the first to the last value of a plane, other channels in between; all of them are read at once."""


@dataclass(frozen=True, slots=True)
class _Block:
    position: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class _Axis:
    n: int
    step: int
    length_um: float | None


_SINGLE = _Axis(1, 0, None)


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Where the values of one image lie: byte steps along its axes, and from its first value to each sample's."""

    path: Path
    block: _Block | None
    dtype: np.dtype[np.generic]
    samples: tuple[tuple[int, ...], ...]
    along_t: _Axis
    along_z: _Axis
    along_y: _Axis
    along_x: _Axis
    offset: int

    def plane(self, frame: int, channel: int, z: int) -> AnyArray:
        """Return one plane as (n_samples, height, width)."""
        steps = self.samples[channel]
        start = self.offset + frame * self.along_t.step + z * self.along_z.step
        rows, columns = self.along_y, self.along_x
        n = max(steps) + (rows.n - 1) * rows.step + (columns.n - 1) * columns.step + self.dtype.itemsize
        there = 0 if self.block is None else self.block.n_bytes
        if self.block is None or start + n > there:
            raise refusal(self.path, f"{there} bytes of pixels", f"at least {start + n}, as the description says")
        if n > _MOST_SPAN:
            raise refusal(self.path, f"a plane spread over {n:,} bytes", f"at most {_MOST_SPAN:,}", code="E_TOO_LARGE")
        with self.path.open("rb") as file:
            file.seek(self.block.position + start)
            data = file.read(n)
        strides = (rows.step, columns.step)
        return np.stack([np.ndarray((rows.n, columns.n), self.dtype, data, step, strides) for step in steps])


def probe_lif(path: Path, options: ReadOptions) -> Probe:
    """Tell from its description what a LIF file holds; no pixel is read.

    Raises
    ------
    InputError
        For a damaged file, an unchosen image or time point, or axes that medseg does not know.
    """
    with maker_errors(path, "LIF"):
        return probe_scenes(path, "lif", _scenes(path), options)


def read_lif(path: Path, options: ReadOptions) -> Volume:
    """Read an image of a LIF file into image space; the tiles of a tile scan count as images of their own.

    Raises
    ------
    InputError
        As `probe_lif`.
    """
    with maker_errors(path, "LIF"):
        return read_scenes(path, "lif", _scenes(path), options)


def _scenes(path: Path) -> list[Scene]:
    with path.open("rb") as file:
        root = parsed_xml(path, _description(path, file))
        blocks = _blocks(path, file, 1 if root.get("Version") == "1" else 2)
    scenes: list[Scene] = []
    for name, element in _images(root):
        for scene in _scenes_of(path, len(scenes), name, element, blocks):
            scenes.append(scene)
            if len(scenes) > _MAX_IMAGES:
                raise refusal(path, f"more than {_MAX_IMAGES} images", "fewer")
    return scenes


def _description(path: Path, file: BinaryIO) -> str:
    n_file = file.seek(0, 2)
    file.seek(0)
    begin, _, mark, n_letters = struct.unpack("<IIBI", file.read(13))
    if begin != _BEGIN or mark != _MARK:
        raise refusal(path, "another beginning", "a LIF file")
    if 2 * n_letters > min(MAX_XML_BYTES, n_file - 13):
        raise refusal(path, f"a description of {2 * n_letters} bytes in a file of {n_file}", "an intact file")
    text = file.read(2 * n_letters).decode("utf-16-le", "replace")
    if not text.lstrip().startswith("<LMSDataContainerHeader"):
        raise unreadable_kind(path, "a Leica file of another kind", "a LIF file that is complete in itself")
    return text


def _blocks(path: Path, file: BinaryIO, version: int) -> dict[str, _Block]:
    """Return the blocks of pixels by their names; the last of a file that was cut is left out."""
    layout = struct.Struct("<IIBQBI" if version == 2 else "<IIBIBI")
    n_file = file.seek(0, 2)
    at = 13 + 2 * _letters(file)
    blocks: dict[str, _Block] = {}
    while at + layout.size <= n_file:
        file.seek(at)
        begin, _, mark, n_bytes, second, n_letters = layout.unpack(file.read(layout.size))
        if (begin, mark, second) != (_BEGIN, _MARK, _MARK):
            raise refusal(path, f"no block of pixels at byte {at}", "an intact file")
        begin_pixels = at + layout.size + 2 * n_letters
        if begin_pixels + n_bytes > n_file:
            break
        name = file.read(2 * n_letters).decode("utf-16-le", "replace")
        blocks[name] = _Block(begin_pixels, n_bytes)
        at = begin_pixels + n_bytes
    return blocks


def _letters(file: BinaryIO) -> int:
    file.seek(9)
    return int(struct.unpack("<I", file.read(4))[0])


def _images(root: ElementTree.Element) -> Iterator[tuple[str, ElementTree.Element]]:
    """Yield every image with its path in the tree, the file's own name left out."""
    waiting: list[tuple[str, ElementTree.Element, bool]] = [("", e, True) for e in root.findall("./Element")]
    while waiting:
        above, element, is_top = waiting.pop()
        own = element.get("Name", "")
        has_image = element.find("./Data/Image") is not None
        place = short(own if not above else f"{above}/{own}")  # else names below a long one would fill the memory
        if has_image:
            yield place, element
        below = "" if is_top and not has_image else place
        waiting += [(below, child, False) for child in reversed(element.findall("./Children/Element"))]


def _scenes_of(
    path: Path, first: int, name: str, element: ElementTree.Element, blocks: dict[str, _Block]
) -> Iterator[Scene]:
    about = element.find("./Data/Image/ImageDescription")
    memory = element.find("./Memory")
    if about is None or memory is None:
        return
    axes, odd = _axes(about)
    channels = about.findall("./Channels/ChannelDescription")
    dtype, steps = _values(channels)
    odd_pixels = "" if dtype is not None else "channels of different or unknown types"
    tags = [c.get("ChannelTag") for c in channels]
    is_colour = tags in (["1", "2", "3"], ["3", "2", "1"])
    samples = (tuple(steps if tags[0] == "1" else steps[::-1]),) if is_colour else tuple((step,) for step in steps)
    t, z, y, x, m = (axes.get(a, _SINGLE) for a in "TZYXM")
    if not {"X", "Y"} <= set(axes):
        odd = [*odd, "no x or y axis"]
    block = blocks.get(memory.get("MemoryBlockID", ""))
    for tile in range(min(m.n, _MAX_IMAGES + 1)):
        yield Scene(
            key=str(first + tile),
            name=name if m.n == 1 else f"{name}, tile {tile}",
            n_frames=t.n,
            n_slices=z.n,
            height=y.n,
            width=x.n,
            channels=("0",) if is_colour else distinct([c.get("LUTName", "") for c in channels]),
            samples=(3,) if is_colour else (1,) * len(channels),
            dtype=dtype or np.dtype(np.uint8),
            spacing_um=(_spacing(z), _spacing(y), _spacing(x)),
            plane=_Pixels(path, block, dtype or np.dtype(np.uint8), samples, t, z, y, x, tile * m.step).plane,
            problem=" and ".join(odd),
            odd_pixels=odd_pixels,
        )


def _axes(about: ElementTree.Element) -> tuple[dict[str, _Axis], list[str]]:
    axes: dict[str, _Axis] = {}
    odd: list[str] = []
    for entry in about.findall("./Dimensions/DimensionDescription"):
        name = _AXES.get(_whole(entry, "DimID"), "")
        axis = _Axis(max(1, _whole(entry, "NumberOfElements")), _whole(entry, "BytesInc"), _length(entry))
        if name and name not in axes:
            axes[name] = axis
        elif axis.n > 1:
            odd.append(f"{axis.n} values along an axis of kind {entry.get('DimID', '')[:4]}")
    return axes, odd


def _values(channels: list[ElementTree.Element]) -> tuple[np.dtype[np.generic] | None, list[int]]:
    """Return the type of the values, None where there is no common one, and where each channel begins."""
    steps = [_whole(c, "BytesInc") for c in channels]
    kinds = {(c.get("DataType", "0"), (_whole(c, "Resolution") + 7) // 8) for c in channels}
    kind, n_bytes = kinds.pop() if len(kinds) == 1 else ("", 0)
    name = {"0": "u", "1": "f"}.get(kind, "")
    size = next((n for n in (1, 2, 4, 8) if n >= n_bytes), 0)
    is_known = bool(name and size) and not (name == "f" and size == 1)
    return (np.dtype(f"<{name}{size}") if is_known else None), steps or [0]


def _length(entry: ElementTree.Element) -> float | None:
    scale = UM_PER_UNIT.get(entry.get("Unit", "").lower())
    try:
        length = abs(float(entry.get("Length", "")))
    except ValueError:
        return None
    return length * scale if scale is not None and math.isfinite(length) and length > 0 else None


def _spacing(axis: _Axis) -> float | None:
    """Return the distance of two neighbours; a length runs from the first to the last."""
    return axis.length_um / (axis.n - 1) if axis.length_um is not None and axis.n > 1 else None


def _whole(element: ElementTree.Element, key: str) -> int:
    text = element.get(key, "0")
    return int(text) if re.fullmatch(r"\d{1,18}", text) else 0
