"""Zeiss CZI -> Volume: scenes, mosaics and z-stacks, with pixel sizes and names of channels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from medseg.io.czi_container import Tile, open_container, stored_bytes
from medseg.io.czi_mosaic import bare_share
from medseg.io.czi_pixels import NAMES, PIXELS, decoded, most_packed_bytes
from medseg.io.image_space import AnyArray, refusal
from medseg.io.micrograph import Scene, distinct, maker_errors, probe_scenes, read_scenes, short
from medseg.io.options import Probe, ReadOptions
from medseg.volume import Volume

_UM_PER_M = 1e6
_PLACED = {"X", "Y", "Z", "C", "T", "S", "M"}
_MAX_SCENES = 100_000


class _Place(NamedTuple):
    t: int
    c: int
    z: int


class _About(NamedTuple):
    """What the description says that counts for all scenes; it is searched once, whatever their number."""

    spacing_um: tuple[float | None, float | None, float | None]
    scenes: dict[str, str]
    channels: tuple[list[str], ...]

    def channels_of(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """Return the names of channels by their numbers, where all of them are told, else numbers."""
        told = next(
            (names for names in self.channels if any(names) and 0 <= numbers[0] <= numbers[-1] < len(names)), None
        )
        return distinct([""] * len(numbers) if told is None else [told[c] for c in numbers])


def probe_czi(path: Path, options: ReadOptions) -> Probe:
    """Tell from its directory what a CZI file holds; no pixel is read.

    Raises
    ------
    InputError
        For a damaged file, an unchosen scene or time point, or axes that medseg does not know.
    """
    with maker_errors(path, "CZI"):
        return probe_scenes(path, "czi", _scenes(path), options)


def read_czi(path: Path, options: ReadOptions) -> Volume:
    """Read a scene of a CZI file into image space; the tiles of a mosaic are put together where the stage was.

    Raises
    ------
    InputError
        As `probe_czi`, and if a tile is damaged.
    """
    with maker_errors(path, "CZI"):
        return read_scenes(path, "czi", _scenes(path), options)


def _scenes(path: Path) -> list[Scene]:
    container = open_container(path)
    by_scene: dict[int, list[Tile]] = defaultdict(list)
    for tile in container.tiles:
        if not tile.is_reduced:
            by_scene[tile.start.get("S", 0)].append(tile)
    if len(by_scene) > _MAX_SCENES:
        raise refusal(path, f"{len(by_scene)} scenes", f"at most {_MAX_SCENES}", code="E_TOO_LARGE")
    about = _about(container.description)
    return [_scene(path, about, key, by_scene[key]) for key in sorted(by_scene)]


def _scene(path: Path, about: _About, number: int, tiles: list[Tile]) -> Scene:
    numbers = sorted({t.start.get("C", 0) for t in tiles})
    values = _values(tiles, numbers)
    low, count = {}, {}
    for axis in "XYZCT":
        low[axis] = min(t.start.get(axis, 0) for t in tiles)
        ends = [t.start.get(axis, 0) + (t.size[axis] if axis in "XY" else 1) for t in tiles]
        count[axis] = max(ends) - low[axis]
    by_place: dict[_Place, list[Tile]] = defaultdict(list)
    for tile in sorted(tiles, key=lambda t: t.start.get("M", 0)):
        by_place[_Place(*(tile.start.get(a, 0) - low[a] for a in "TCZ"))].append(tile)
    scene = Scene(
        key=str(number),
        name=about.scenes.get(str(number), f"scene {number}"),
        n_frames=count["T"],
        n_slices=count["Z"],
        height=count["Y"],
        width=count["X"],
        channels=about.channels_of(numbers),
        samples=values.samples,
        dtype=values.dtype,
        spacing_um=about.spacing_um,
        plane=lambda t, c, z: np.empty(0),
        problem=_problem(tiles, len(numbers), count["C"]),
        odd_pixels=values.odd,
    )
    plane = partial(_plane, path, scene, by_place, (low["Y"], low["X"]))
    return replace(scene, plane=plane, bare=partial(_bare, scene, by_place))


class _Values(NamedTuple):
    dtype: np.dtype[np.generic]
    samples: tuple[int, ...]
    odd: str


def _values(tiles: Sequence[Tile], channels: Sequence[int]) -> _Values:
    """Return the type that holds the values of all channels, and how many values a pixel has in each."""
    kinds = sorted({t.pixel_type for t in tiles})
    of_channel: dict[int, set[int]] = {c: set() for c in channels}
    for tile in tiles:
        of_channel[tile.start.get("C", 0)].add(PIXELS.get(tile.pixel_type, (None, 0))[1])
    if not all(kind in PIXELS for kind in kinds) or any(len(found) > 1 for found in of_channel.values()):
        odd = "pixels of the kind " + " and ".join(NAMES.get(kind, str(kind)) for kind in kinds)
        return _Values(np.dtype(np.uint8), (1,) * len(channels), odd)
    samples = tuple(found.pop() for found in of_channel.values())
    return _Values(np.result_type(*(PIXELS[kind][0] for kind in kinds)), samples, "")


def _bare(scene: Scene, by_place: Mapping[_Place, Sequence[Tile]], t: int, channels: Sequence[int]) -> float:
    planes = (tiles for place, tiles in by_place.items() if place.t == t and place.c in channels)
    return bare_share(planes, scene.height, scene.width)


def _plane(
    path: Path, scene: Scene, by_place: dict[_Place, list[Tile]], corner: tuple[int, int], t: int, c: int, z: int
) -> AnyArray:
    tiles = by_place.get(_Place(t, c, z), [])
    if not tiles:
        raise refusal(path, f"no tile for time {t}, channel {c}, slice {z}", "a complete acquisition")
    out = np.zeros((scene.samples[c], scene.height, scene.width), scene.dtype)
    with path.open("rb") as file:
        for tile in tiles:
            y, x = tile.start["Y"] - corner[0], tile.start["X"] - corner[1]
            pixels = decoded(path, stored_bytes(path, file, tile, most=most_packed_bytes(tile)), tile)
            out[:, y : y + tile.size["Y"], x : x + tile.size["X"]] = pixels
    return out


def _problem(tiles: list[Tile], n_there: int, n_channels: int) -> str:
    """Return what stands in the way of reading a scene: missing channels, or axes that an image does not have."""
    if n_there < n_channels:
        return f"{n_there} of {n_channels} channels"
    odd = set()
    for axis in {a for t in tiles for a in t.start} - {"X", "Y"}:
        several = axis not in _PLACED and len({t.start.get(axis, 0) for t in tiles}) > 1
        if several or any(t.size.get(axis, 1) > 1 for t in tiles):
            odd.add(axis)
    words = {"H": "phases", "R": "rotations", "I": "illuminations", "V": "views", "B": "blocks"}
    return "several " + " and ".join(words.get(a, f"values along {a}") for a in sorted(odd)) if odd else ""


def _spacing(description: ElementTree.Element) -> tuple[float | None, float | None, float | None]:
    found: dict[str, float] = {}
    for distance in description.iterfind("./Metadata/Scaling/Items/Distance"):
        try:
            size = float(distance.findtext("Value", "")) * _UM_PER_M
        except ValueError:
            continue
        if math.isfinite(size) and size > 0:
            found[distance.get("Id", "")] = size
    return found.get("Z"), found.get("Y"), found.get("X")


def _about(description: ElementTree.Element) -> _About:
    places = ("Information/Image/Dimensions/Channels/Channel", "DisplaySetting/Channels/Channel")
    channels = tuple([c.get("Name", "") for c in description.iterfind(f"./Metadata/{place}")] for place in places)
    scenes = description.iterfind("./Metadata/Information/Image/Dimensions/S/Scenes/Scene")
    names = {scene.get("Index", ""): short(scene.get("Name", "")) for scene in scenes if scene.get("Name")}
    return _About(_spacing(description), names, channels)
