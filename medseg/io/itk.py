"""NRRD / NHDR / MHA / MHD <-> Volume. The only file that knows about their LPS world and fastest-axis-first order.

The voxels are decoded here and not by SimpleITK, which accepts streams that end early: header, byte count and checksums
are verified to the end of the stream, and hash and voxels come from the same bytes.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryError
from medseg.grid import Floats, Grid
from medseg.io.image_space import (
    UM_PER_UNIT,
    AnyArray,
    file_bytes,
    file_size,
    inside_folder,
    not_writable,
    refusal,
    usage_refusal,
)
from medseg.io.itk_data import decoded, packed, too_short
from medseg.io.itk_header import HEADER_LIMIT, TextHeader, read_header
from medseg.io.memory import check_size
from medseg.io.options import Probe, ReadOptions
from medseg.io.refusals import foreign_errors
from medseg.labels import Instances, LabelMap, smallest_integer_type
from medseg.volume import Source, Volume

RAS_FROM_SPACE = {
    "left-posterior-superior": (-1.0, -1.0, 1.0), "lps": (-1.0, -1.0, 1.0),
    "right-anterior-superior": (1.0, 1.0, 1.0), "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0), "las": (-1.0, 1.0, 1.0),
}  # fmt: skip
"""Signs that lead from each world that NRRD can name to RAS."""
PLAUSIBLE_MM = (1e-4, 1e3)
_LETTERS = {"R": (0, 1.0), "L": (0, -1.0), "A": (1, 1.0), "P": (1, -1.0), "S": (2, 1.0), "I": (2, -1.0)}
_NRRD_NAMES = {"i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32",
               "i8": "int64", "u8": "uint64", "f4": "float", "f8": "double"}  # fmt: skip
_META_NAMES = {"i1": "MET_CHAR", "u1": "MET_UCHAR", "i2": "MET_SHORT", "u2": "MET_USHORT", "i4": "MET_INT",
               "u4": "MET_UINT", "i8": "MET_LONG_LONG", "u8": "MET_ULONG_LONG", "f4": "MET_FLOAT",
               "f8": "MET_DOUBLE"}  # fmt: skip


def probe_itk(path: Path, options: ReadOptions) -> Probe:
    """Tell from the header what an NRRD or MetaImage file holds, and check every promise that costs no decoding.

    Raises
    ------
    InputError
        For a damaged header, a companion outside the folder, a size over the limit, or raw data cut short.
    GeometryError
        If the header does not say where the voxels lie, or says something impossible.
    """
    header, grid = _checked(path, _head(path), options)
    return Probe(str(path), header.format, grid, header.dtype.newbyteorder("=").name, ("0",), header.n_bytes)


def read_itk(path: Path, options: ReadOptions) -> Volume:
    """Read an NRRD, NHDR, MHA or MHD file into patient space.

    Returns
    -------
    Volume
        Array (1, i, j, k), fastest axis first as stored, in the file's type; the world is RAS+ mm.

    Raises
    ------
    InputError, GeometryError
        As `probe_itk`, and if the data are damaged or end early.
    """
    _checked(path, _head(path), options)
    data, sha256 = file_bytes(path, options)
    header, grid = _checked(path, data[:HEADER_LIMIT], options)
    n_read = len(data)
    if header.data_name is None:
        payload = memoryview(data)[header.data_start :]
    else:
        companion, companion_sha = file_bytes(inside_folder(path, header.data_name), options)
        payload = memoryview(companion)
        n_read += len(companion)
        sha256 = hashlib.sha256("".join(sorted((sha256, companion_sha))).encode()).hexdigest()
    voxels, warnings = decoded(path, header, payload)
    array = voxels.reshape(header.shape, order="F").reshape((1, *grid.shape), order="F")
    return Volume(array, grid, source=Source(str(path), header.format, sha256, n_read), warnings=warnings)


def write_itk(value: Volume | LabelMap | Instances, path: Path) -> None:
    """Write a volume or labels to `path`, as MetaImage where it ends in .mha, else as NRRD; compressed, LPS, mm.

    Labels take the smallest sufficient unsigned type. The header is made from zero: nothing of the input rides along.

    Raises
    ------
    UsageError
        If the value lies in image space or has several channels.
    """
    array = _writable(value)
    lps_from_index = np.diag([-1.0, -1.0, 1.0, 1.0]) @ value.grid.world_from_index
    body = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    make = _meta_bytes if path.suffix.lower() == ".mha" else _nrrd_bytes
    path.write_bytes(make(array, body, lps_from_index))


def _head(path: Path) -> bytes:
    file_size(path)
    with foreign_errors(path), path.open("rb") as file:
        return file.read(HEADER_LIMIT)


def _checked(path: Path, head: bytes, options: ReadOptions) -> tuple[TextHeader, Grid]:
    header = read_header(path, head)
    available = file_size(path) - header.data_start
    if header.data_name is not None:
        _refuse_lists(path, header)
        companion = inside_folder(path, header.data_name)
    check_size(path, header.n_bytes, options.max_bytes)
    grid = _grid(path, header, options)
    if header.data_name is not None:
        available = file_size(companion)
    if header.codec == "raw" and available < header.n_bytes + max(header.skip, 0):
        raise too_short(path, available, header.n_bytes)
    if options.channel not in (None, 0, "0"):
        raise usage_refusal(path, "one channel", f"a channel {options.channel!r}", remedy="Leave the channel out.")
    return header, grid


def _refuse_lists(path: Path, header: TextHeader) -> None:
    name = header.data_name or ""
    if name.split()[:1] == ["LIST"] or "%" in name:
        inside_folder(path, name)
        remedy = "Save the image again as one file."
        found = "voxels spread over several files"
        raise refusal(path, found, "one data file", code="E_INPUT_FORMAT", remedy=remedy)


# --- geometry ---------------------------------------------------------------------------------------------------


def _grid(path: Path, header: TextHeader, options: ReadOptions) -> Grid:
    keep = _spatial_axes(path, header)
    shape = tuple(header.shape[a] for a in keep)
    columns, origin = (_nrrd_place if header.format == "nrrd" else _meta_place)(path, header, keep, options)
    spacing = np.sqrt((columns**2).sum(axis=0))
    low, high = PLAUSIBLE_MM
    if not (np.isfinite(spacing).all() and low <= spacing.min() and spacing.max() <= high):
        raise _place(path, f"a spacing of {spacing.tolist()} mm", f"{low} to {high} mm", code="E_GEOMETRY_INVALID")
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = origin
    try:
        return Grid(shape, affine)
    except GeometryError as error:
        raise GeometryError(
            error.code, path=path, found=error.found, expected=error.expected,
            not_done="the file was not read", remedy=error.remedy,
        ) from error  # fmt: skip


def _spatial_axes(path: Path, header: TextHeader) -> tuple[int, ...]:
    n = len(header.shape)
    kinds = header.fields.get("kinds", "").lower().split()
    marked = [a for a, k in enumerate(kinds[:n]) if k not in ("domain", "space", "???", "none", "time")]
    listed = [a for a, d in enumerate(_directions(header.fields)[:n]) if d is None]
    channels = header.n_channels
    droppable = set(marked) | set(listed) | ({3} if n == 4 else set())
    keep = tuple(a for a in range(n) if not (a in droppable and header.shape[a] == 1))
    if len(keep) != 3 or channels != 1 or (set(marked) | set(listed)) & set(keep):
        sizes = " x ".join(str(s) for s in header.shape) + (f" with {channels} channels" if channels != 1 else "")
        raise refusal(
            path,
            f"{len(keep)} axes ({sizes})",
            "a scan of 3 axes with one value per voxel",
            code="E_DIMENSIONS_UNSUPPORTED",
            remedy="Save one channel or one time point as a 3-D image; save a flat picture as TIFF or PNG.",
        )
    return keep


def _nrrd_place(
    path: Path, header: TextHeader, keep: tuple[int, ...], options: ReadOptions
) -> tuple[Floats, npt.ArrayLike]:
    fields = header.fields
    directions = _directions(fields)
    signs = RAS_FROM_SPACE.get(fields.get("space", "").lower())
    scale = _mm_per_unit(path, fields)
    if signs is not None and len(directions) == len(header.shape) and "space origin" in fields:
        columns = np.array([_numbers(path, directions[a] or "", 3) for a in keep]).T * scale[:, None]
        origin = np.array(_numbers(path, fields["space origin"], 3)) * scale
        return np.array(signs)[:, None] * columns, np.array(signs) * origin
    if len(directions) == len(header.shape) and all(directions[a] for a in keep):
        rows = np.array([_numbers(path, directions[a] or "", None) for a in keep])
        lengths = np.sqrt((rows**2).sum(axis=1)).tolist()
    else:
        words = fields.get("spacings", "").split()
        lengths = [_number(path, words[a]) if len(words) == len(header.shape) else math.nan for a in keep]
    missing = "no space" if signs is None else "no complete position (space directions, space origin)"
    return _assumed(path, missing, lengths, options), np.zeros(3)


def _meta_place(
    path: Path, header: TextHeader, keep: tuple[int, ...], options: ReadOptions
) -> tuple[Floats, npt.ArrayLike]:
    fields, n = header.fields, len(header.shape)
    spacing = _numbers(path, fields.get("elementspacing", fields.get("elementsize", "nan " * n)), n)
    scale = UM_PER_UNIT.get(fields.get("distanceunits", "mm").lower(), math.nan) / UM_PER_UNIT["mm"]
    matrix = _first(fields, "transformmatrix", "rotation", "orientation")
    offset = _first(fields, "offset", "origin", "position")
    lengths = [spacing[a] * scale for a in keep]
    if matrix is None or offset is None:
        return _assumed(path, "no TransformMatrix and Offset", lengths, options), np.zeros(3)
    rows = np.array(_numbers(path, matrix, n * n)).reshape(n, n)[list(keep)][:, :3]  # one row per axis of the array
    if not np.allclose((rows**2).sum(axis=1), 1.0, atol=1e-3):
        raise _place(path, f"a TransformMatrix {matrix}", "rows of length 1", code="E_GEOMETRY_INVALID")
    ras_from_lps = np.array([-1.0, -1.0, 1.0])
    columns: Floats = (rows * np.array(lengths)[:, None]).T * ras_from_lps[:, None]
    return columns, np.array(_numbers(path, offset, n))[:3] * scale * ras_from_lps


def _assumed(path: Path, missing: str, lengths: list[float], options: ReadOptions) -> Floats:
    codes = (options.assume_orientation or "").upper()
    if not codes:
        remedy = "If you know how the axes run, state it with --assume-orientation, for instance RAS or LPS."
        expected = "an orientation and a position in the patient"
        raise _place(path, missing, expected, code="E_GEOMETRY_AMBIGUOUS", remedy=remedy)
    if len(codes) != 3 or {_LETTERS.get(c, (-1, 0.0))[0] for c in codes} != {0, 1, 2}:
        remedy = "Give three letters, one each of R/L, A/P and S/I."
        raise usage_refusal(path, f"an assumed orientation {codes!r}", "three letters such as RAS", remedy=remedy)
    columns = np.zeros((3, 3))
    for axis, (code, length) in enumerate(zip(codes, lengths, strict=True)):
        world, sign = _LETTERS[code]
        columns[world, axis] = sign * length
    return columns


def _directions(fields: dict[str, str]) -> list[str | None]:
    tokens = re.findall(r"none|\([^)]*\)", fields.get("space directions", ""))
    return [None if t == "none" else t for t in tokens]


def _mm_per_unit(path: Path, fields: dict[str, str]) -> Floats:
    units = re.findall(r'"([^"]*)"', fields.get("space units", "")) or ["mm"] * 3
    scales = [UM_PER_UNIT.get(u.strip().lower(), math.nan) / UM_PER_UNIT["mm"] for u in units]
    if len(scales) != 3 or not all(map(math.isfinite, scales)):
        raise _place(path, f"the units {units}", "three units of length, such as mm", code="E_GEOMETRY_INVALID")
    return np.array(scales)


def _numbers(path: Path, text: str, n: int | None) -> tuple[float, ...]:
    words = text.strip().strip("()").replace(",", " ").split()
    if n is not None and len(words) != n:
        raise refusal(path, f"{len(words)} numbers in {text[:60]!r}", f"{n} numbers")
    return tuple(_number(path, w) for w in words)


def _number(path: Path, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise refusal(path, f"{word[:40]!r} in the header", "a number") from None


def _first(fields: dict[str, str], *keys: str) -> str | None:
    return next((fields[k] for k in keys if k in fields), None)


def _place(path: Path, found: str, expected: str, *, code: str, remedy: str = "") -> GeometryError:
    remedy = remedy or "Correct the geometry where the image was made, then export it again."
    return GeometryError(
        code, path=path, found=found, expected=expected, not_done="the file was not read", remedy=remedy
    )


# --- writing ----------------------------------------------------------------------------------------------------


def _writable(value: Volume | LabelMap | Instances) -> AnyArray:
    if value.grid.space != "patient":
        remedy = "Write it as .tif, which keeps the pixel size."
        raise not_writable("an image without a place in a patient", "a scan in patient space", remedy=remedy)
    if isinstance(value, Volume):
        if len(value.channels) != 1:
            remedy = "Write one file per channel."
            raise not_writable(f"{len(value.channels)} channels", "one channel", remedy=remedy)
        array = value.numpy()[0]
        return array.astype(np.float32) if array.dtype == np.float16 else array
    highest = int(value.array.max(initial=0))
    return value.array.astype(smallest_integer_type(highest), copy=False)


def _nrrd_bytes(array: AnyArray, body: bytes, lps_from_index: Floats) -> bytes:
    directions = " ".join(_vector(lps_from_index[:3, a]) for a in range(3))
    lines = (
        "NRRD0004",
        f"type: {_NRRD_NAMES[array.dtype.str[1:]]}",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in array.shape),
        f"space directions: {directions}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        'space units: "mm" "mm" "mm"',
        f"space origin: {_vector(lps_from_index[:3, 3])}",
    )
    return ("\n".join(lines) + "\n\n").encode() + packed(body, "gzip")


def _meta_bytes(array: AnyArray, body: bytes, lps_from_index: Floats) -> bytes:
    spacing = np.sqrt((lps_from_index[:3, :3] ** 2).sum(axis=0))
    stream = packed(body, "zlib")
    lines = (
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {len(stream)}",
        "TransformMatrix = " + _plain((lps_from_index[:3, :3] / spacing).T.ravel()),
        "Offset = " + _plain(lps_from_index[:3, 3]),
        "CenterOfRotation = 0 0 0",
        "AnatomicalOrientation = RAI",
        "ElementSpacing = " + _plain(spacing),
        "DimSize = " + " ".join(str(n) for n in array.shape),
        f"ElementType = {_META_NAMES[array.dtype.str[1:]]}",
        "ElementDataFile = LOCAL",
    )
    return ("\n".join(lines) + "\n").encode() + stream


def _vector(numbers: Floats) -> str:
    return "(" + ",".join(repr(float(x)) for x in numbers) + ")"


def _plain(numbers: Floats) -> str:
    return " ".join(repr(float(x)) for x in numbers)
