"""Nikon ND2 -> Volume, through the extra ``formats``; which planes are in the file is checked by our own code first."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import InputError
from medseg.io.image_space import AnyArray, file_size, refusal
from medseg.io.micrograph import Scene, distinct, maker_errors, probe_scenes, read_scenes
from medseg.io.options import Probe, ReadOptions
from medseg.volume import Volume

_MAGIC = 0x0ABECEDA
_MAP_SIGNATURE = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_HEADER = struct.Struct("<IIQ")
_BEFORE_PLANE = 4096
"""Bytes between the begin of a plane's chunk and its first value."""
_MOST_CHANNELS = 4096
_AXES = {"TimeLoop": "T", "NETimeLoop": "T", "XYPosLoop": "P", "ZStackLoop": "Z"}


def probe_nd2(path: Path, options: ReadOptions) -> Probe:
    """Tell from its metadata what an ND2 file holds; no plane is read.

    Raises
    ------
    InputError
        E_INPUT_FORMAT where the extra is not installed; as for every microscope's file else.
    """
    with maker_errors(path, "ND2"), _opened(path) as file:
        return probe_scenes(path, "nd2", _scenes(path, file), options)


def read_nd2(path: Path, options: ReadOptions) -> Volume:
    """Read a position of an ND2 file into image space.

    Raises
    ------
    InputError
        As `probe_nd2`, and E_INPUT_UNREADABLE if a plane is missing.
    """
    with maker_errors(path, "ND2"), _opened(path) as file:
        return read_scenes(path, "nd2", _scenes(path, file), options)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import nd2
    except ImportError as error:
        raise InputError(
            "E_INPUT_FORMAT",
            path=path,
            found="a Nikon ND2 file, and not the library that reads it",
            expected="the extra of medseg for this format",
            not_done="it was not read",
            remedy='Install it with: pip install "medseg[formats]".',
        ) from error
    with nd2.ND2File(path) as file:
        yield file


@dataclass(frozen=True, eq=False, slots=True)
class _Planes:
    """The stored planes of a file: each holds all channels at one time, position and slice."""

    path: Path
    file: Any
    loops: tuple[tuple[str, int], ...]
    shape: tuple[int, int, int, int]
    is_colour: bool
    there: frozenset[int]

    def plane(self, position: int, t: int, c: int, z: int) -> AnyArray:
        """Return one channel of one plane as (n_samples, height, width)."""
        at = {"T": t, "P": position, "Z": z}
        number = 0
        for axis, n in self.loops:
            number = number * n + at[axis]
        if number not in self.there:  # the library would hand out zeros
            raise refusal(self.path, f"no plane number {number + 1}", "a complete acquisition")
        stored = np.asarray(self.file.read_frame(number)).reshape(self.shape)
        if self.is_colour:
            return np.moveaxis(stored[c, :, :, ::-1], -1, 0)  # stored as blue, green, red
        which, sample = divmod(c, self.shape[3])
        return stored[which, :, :, sample][np.newaxis]


def _scenes(path: Path, file: Any) -> list[Scene]:
    attributes = file.attributes
    loops = tuple((_AXES.get(loop.type, "?"), int(loop.count)) for loop in file.experiment)
    size = {axis: math.prod(n for a, n in loops if a == axis) for axis in "TPZ"}
    names = [axis for axis, _ in loops]
    n_stored = attributes.channelCount or 1
    n_samples = attributes.componentCount // n_stored
    shape = (n_stored, attributes.heightPx, attributes.widthPx or 0, n_samples)
    if min(*shape, *size.values()) < 1 or attributes.componentCount != n_stored * n_samples:
        raise refusal(path, f"planes of {shape} values", "sizes above zero")
    if attributes.componentCount > _MOST_CHANNELS:
        raise refusal(path, f"{attributes.componentCount} values per pixel", f"at most {_MOST_CHANNELS}")
    is_colour = n_samples == 3
    n_channels = n_stored if is_colour else attributes.componentCount
    told = [channel.channel.name or "" for channel in file.metadata.channels or []]
    there = _stored_planes(path, 0 if attributes.compressionType else math.prod(shape) * file.dtype.itemsize)
    planes = _Planes(path, file, loops, shape, is_colour, there)
    common = Scene(
        key="0",
        name="",
        n_frames=size["T"],
        n_slices=size["Z"],
        height=shape[1],
        width=shape[2],
        channels=distinct(told) if len(told) == n_channels else tuple(str(c) for c in range(n_channels)),
        samples=(3 if is_colour else 1,) * n_channels,
        dtype=file.dtype.newbyteorder("="),
        spacing_um=_spacing(file, "Z" in names),
        plane=partial(planes.plane, 0),
        problem="axes in an unknown order" if "?" in names or len(set(names)) < len(names) else "",
    )
    positions = _position_names(file, min(size["P"], max(1, len(there))))
    return [replace(common, key=str(p), name=name, plane=partial(planes.plane, p)) for p, name in enumerate(positions)]


def _position_names(file: Any, n: int) -> list[str]:
    points = [point for loop in file.experiment if loop.type == "XYPosLoop" for point in loop.parameters.points]
    told = [point.name or "" for point in points] + [""] * n
    return [told[p] or f"position {p}" for p in range(n)]


def _spacing(file: Any, is_stack: bool) -> tuple[float | None, float | None, float | None]:
    channels = file.metadata.channels or []
    if not channels:
        return None, None, None
    volume = channels[0].volume
    known = zip(volume.axesCalibration, volume.axesCalibrated, strict=True)
    x, y, z = (float(size) if is_known and size > 0 else None for size, is_known in known)
    return z if is_stack else None, y, x


def _stored_planes(path: Path, n_bytes: int) -> frozenset[int]:
    """Return the numbers of the planes that lie in the file with all their bytes."""
    n_file = file_size(path)
    with path.open("rb") as file:
        file.seek(max(0, n_file - 40))
        signature, where = struct.unpack("<32sQ", file.read(40))
        if signature != _MAP_SIGNATURE or where > n_file - _HEADER.size:
            raise refusal(path, "a file that ends without its table of contents", "a file that was copied to its end")
        file.seek(where)
        magic, n_name, n_map = _HEADER.unpack(file.read(_HEADER.size))
        if magic != _MAGIC or n_name + n_map > n_file - where - _HEADER.size:
            raise refusal(path, "a damaged table of contents", "an intact file")
        file.seek(n_name, 1)
        content = file.read(n_map)
    found = re.finditer(rb"ImageDataSeq\|(\d{1,9})!(.{16})", content, re.DOTALL)
    places = ((int(m[1]), *struct.unpack("<QQ", m[2])) for m in found)
    return frozenset(number for number, begin, n in places if begin + max(_BEFORE_PLANE + n_bytes, n) <= n_file)
