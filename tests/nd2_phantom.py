"""Write small ND2 files (version 3) as the format's public readers expect them: named chunks, and a map at the end."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

MAGIC, ALIGNED = 0x0ABECEDA, 4096


def record(name: str, value: Any) -> bytes:
    """Return one value in the format's own encoding, told by the letter that its name begins with."""
    head = bytes([len(name) + 1]) + (name + "\0").encode("utf-16-le")
    if isinstance(value, dict):
        content = b"".join(record(key, item) for key, item in value.items())
        length = 1 + len(head) + 12 + len(content)
        return b"\x0b" + head + struct.pack("<IQ", len(value), length) + content + bytes(8 * len(value))
    if isinstance(value, bool):
        return b"\x01" + head + bytes([value])
    if isinstance(value, int):
        return b"\x03" + head + struct.pack("<I", value)
    if isinstance(value, float):
        return b"\x06" + head + struct.pack("<d", value)
    return b"\x08" + head + (value + "\0").encode("utf-16-le")


def chunk(name: bytes, data: bytes, *, n_before: int = 0) -> bytes:
    """Return a chunk whose data, but for the first `n_before` bytes, begin on a round number of bytes."""
    n_name = ALIGNED - 16 - n_before
    out = struct.pack("<IIQ", MAGIC, n_name, len(data)) + name.ljust(n_name, b"\0") + data
    return out + bytes(-len(out) % ALIGNED)


def loops(sizes: dict[str, int], z_step_um: float) -> dict[str, Any]:
    """Return the nested loops of an acquisition, the slowest first."""
    axis, *others = sizes
    points = {f"i{p:010}": {"dPosX": 1.0 * p, "dPosName": f"B{p + 1}"} for p in range(sizes.get("P", 1))}
    kind, parameters = {
        "T": (1, {"uiCount": sizes.get("T", 1), "dStart": 0.0, "dPeriod": 1.0, "dDuration": 1.0}),
        "P": (2, {"Points": points}),
        "Z": (4, {"uiCount": sizes.get("Z", 1), "dZStep": z_step_um}),
    }[axis]
    below = {"ppNextLevelEx": {"i0000000000": loops({a: sizes[a] for a in others}, z_step_um)}} if others else {}
    return {"eType": kind, "uLoopPars": parameters, **below}


def write_nd2(
    path: Path,
    planes: np.ndarray,
    sizes: dict[str, int],
    *,
    um: tuple[float, float] = (1.5, 0.25),
    names: tuple[str, ...] = ("DAPI",),
    left_out: tuple[int, ...] = (),
) -> Path:
    """Write planes (n, y, x, components) taken along the loops `sizes`."""
    n, height, width, n_components = planes.shape
    bits = planes.itemsize * 8
    attributes = {
        "uiWidth": width, "uiWidthBytes": width * n_components * planes.itemsize, "uiHeight": height,
        "uiComp": n_components, "uiBpcInMemory": bits, "uiBpcSignificant": bits, "uiSequenceCount": n,
        "eCompression": 2, "dCompressionParam": 0.0,
    }  # fmt: skip
    planes_of = {
        f"Plane{i}": {
            "uiCompCount": n_components // len(names),
            "uiSampleIndex": 0,
            "sDescription": name,
            "uiColor": 255,
            "pFluorescentProbe": {"sName": "", "m_EmissionSpectrum": {"uiCount": 0}},
        }
        for i, name in enumerate(names)
    }
    picture = {
        "bCalibrated": True, "dCalibration": um[1], "dTimeAbsolute": 0.0, "dTimeMSec": 0.0,
        "sPicturePlanes": {"uiCount": len(names), "uiCompCount": n_components, "sPlaneNew": planes_of,
                           "sSampleSetting": {}},
    }  # fmt: skip
    chunks = {
        b"ImageAttributesLV!": record("SLxImageAttributes", attributes),
        b"ImageMetadataSeqLV|0!": record("SLxPictureMetadata", picture),
    }
    if sizes:
        chunks[b"ImageMetadataLV!"] = record("SLxExperiment", loops(sizes, um[0]))
    for number in range(n):
        if number not in left_out:
            chunks[b"ImageDataSeq|%d!" % number] = struct.pack("<d", 0.0) + planes[number].tobytes()
    out = struct.pack("<IIQ32s64s", MAGIC, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0").ljust(ALIGNED, b"\0")
    table = b""
    for name, data in chunks.items():
        table += name + struct.pack("<QQ", len(out), len(data))
        # the time of a plane stands before its values, and these begin on a round number of bytes
        out += chunk(name, data, n_before=8 if name.startswith(b"ImageDataSeq") else 0)
    where = len(out)
    table += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", where)
    out += struct.pack("<IIQ", MAGIC, 32, len(table)) + b"ND2 FILEMAP SIGNATURE NAME 0001!" + table
    path.write_bytes(out)
    return path
