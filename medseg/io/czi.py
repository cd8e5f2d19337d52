"""Zeiss CZI -> Volume: scenes, mosaics and z-stacks, with pixel sizes and names of channels."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from medseg.io.czi_container import Container, Tile, open_container, stored_bytes
from medseg.io.czi_pixels import PIXELS, decoded, most_packed_bytes
from medseg.io.image_space import AnyArray, refusal
from medseg.io.micrograph import Scene, distinct, maker_errors, probe_scenes, read_scenes, unreadable_kind
from medseg.io.options import Probe, ReadOptions
from medseg.volume import Volume

_UM_PER_M = 1e6
_PLACED = {"X", "Y", "Z", "C", "T", "S", "M"}


class _Place(NamedTuple):
    t: int
    c: int
    z: int


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
    return [_scene(path, container, key, by_scene[key]) for key in sorted(by_scene)]


def _scene(path: Path, container: Container, number: int, tiles: list[Tile]) -> Scene:
    kind = tiles[0].pixel_type
    if {t.pixel_type for t in tiles} != {kind} or kind not in PIXELS:
        raise unreadable_kind(path, f"pixels of the types {sorted({t.pixel_type for t in tiles})}", "one common type")
    dtype, n_samples = PIXELS[kind]
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
        name=_scene_name(container.description, number),
        n_frames=count["T"],
        n_slices=count["Z"],
        height=count["Y"],
        width=count["X"],
        channels=_channels(container.description, count["C"]),
        n_samples=n_samples,
        dtype=dtype,
        spacing_um=_spacing(container.description),
        plane=lambda t, c, z: np.empty(0),
        problem=_problem(tiles),
    )
    return replace(scene, plane=partial(_plane, path, scene, by_place, (low["Y"], low["X"])))


def _plane(
    path: Path, scene: Scene, by_place: dict[_Place, list[Tile]], corner: tuple[int, int], t: int, c: int, z: int
) -> AnyArray:
    tiles = by_place.get(_Place(t, c, z), [])
    if not tiles:
        raise refusal(path, f"no tile for time {t}, channel {c}, slice {z}", "a complete acquisition")
    out = np.zeros((scene.n_samples, scene.height, scene.width), scene.dtype)
    with path.open("rb") as file:
        for tile in tiles:
            y, x = tile.start["Y"] - corner[0], tile.start["X"] - corner[1]
            pixels = decoded(path, stored_bytes(path, file, tile, most=most_packed_bytes(tile)), tile)
            out[:, y : y + tile.size["Y"], x : x + tile.size["X"]] = pixels
    return out


def _problem(tiles: list[Tile]) -> str:
    """Return what stands in the way of reading a scene: axes with several values that an image does not have."""
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


def _channels(description: ElementTree.Element, n: int) -> tuple[str, ...]:
    for place in ("Information/Image/Dimensions/Channels/Channel", "DisplaySetting/Channels/Channel"):
        names = [c.get("Name", "") for c in description.iterfind(f"./Metadata/{place}")]
        if len(names) == n and any(names):
            return distinct(names)
    return tuple(str(c) for c in range(n))


def _scene_name(description: ElementTree.Element, number: int) -> str:
    for scene in description.iterfind("./Metadata/Information/Image/Dimensions/S/Scenes/Scene"):
        if scene.get("Index") == str(number) and scene.get("Name"):
            return str(scene.get("Name"))
    return f"scene {number}"
