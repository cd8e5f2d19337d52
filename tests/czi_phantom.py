"""Write small CZI files as the format's public descriptions say: segments, a directory of tiles, XML."""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PIXEL_TYPES = {("uint8", 1): 0, ("uint16", 1): 1, ("float32", 1): 2, ("uint8", 3): 3, ("uint16", 3): 4}
XML = """<ImageDocument><Metadata>
<Information><Image><Dimensions>
<Channels><Channel Id="Channel:0" Name="DAPI"/><Channel Id="Channel:1" Name="GFP"/></Channels>
<S><Scenes><Scene Index="0" Name="well A1"/><Scene Index="1" Name="well B1"/></Scenes></S>
</Dimensions></Image></Information>
<Scaling><Items><Distance Id="X"><Value>2.5E-07</Value></Distance><Distance Id="Y"><Value>3E-07</Value></Distance>
<Distance Id="Z"><Value>1.5E-06</Value></Distance></Items></Scaling>
</Metadata></ImageDocument>"""


@dataclass(frozen=True)
class WrittenTile:
    """A tile to write: its values (y, x) or (y, x, bgr), and where it lies."""

    values: np.ndarray
    start: dict[str, int]
    compression: int = 0
    pack: Callable[[np.ndarray], bytes] = lambda values: values.tobytes()
    n_stored: int | None = None


def segment(name: bytes, content: bytes) -> bytes:
    content += bytes(-len(content) % 32)
    return struct.pack("<16sqq", name, len(content), len(content)) + content


def entry(tile: WrittenTile, position: int) -> bytes:
    height, width, *colours = tile.values.shape
    kind = PIXEL_TYPES[tile.values.dtype.name, *(colours or [1])]
    sizes = {"X": width, "Y": height} | {axis: 1 for axis in tile.start if axis not in "XY"}
    out = struct.pack("<2siqiiB5xi", b"DV", kind, position, 0, tile.compression, 0, len(sizes))
    for axis, size in sizes.items():
        stored = (tile.n_stored or size) if axis in "XY" else size
        out += struct.pack("<4siifi", axis.encode(), tile.start.get(axis, 0), size, 0.0, stored)
    return out


def write_czi(path: Path, tiles: Iterable[WrittenTile], *, xml: str = XML, part: int = 0) -> Path:
    """Write a file of these tiles."""
    tiles = list(tiles)
    body, positions = b"", []
    first = 32 + 512
    for tile in tiles:
        positions.append(first + len(body))
        data, about = tile.pack(tile.values), entry(tile, positions[-1])
        head = (struct.pack("<iiq", 0, 0, len(data)) + about).ljust(256, b"\0")
        body += segment(b"ZISRAWSUBBLOCK", head + data)
    directory = first + len(body)
    entries = b"".join(entry(t, p) for t, p in zip(tiles, positions, strict=True))
    body += segment(b"ZISRAWDIRECTORY", struct.pack("<i", len(tiles)).ljust(128, b"\0") + entries)
    metadata = first + len(body)
    text = xml.encode()
    body += segment(b"ZISRAWMETADATA", struct.pack("<ii", len(text), 0).ljust(256, b"\0") + text)
    head = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, b"a" * 16, b"a" * 16, part, directory, metadata, 0, 0)
    path.write_bytes(segment(b"ZISRAWFILE", head.ljust(512, b"\0")) + body)
    return path
