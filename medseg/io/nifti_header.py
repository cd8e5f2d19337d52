"""The bytes of a NIfTI or Analyze header -> a checked `NiftiHeader`. Nothing is believed before it is checked here."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medseg.errors import InputError
from medseg.io.refusals import unreadable, unsupported_axes, wrong_format

SIZE_1, SIZE_2 = 348, 540
MAX_OFFSET = 64 * 1024**2
"""Extensions beyond this are refused: nothing that belongs to an image is that large."""
_HEAD_MAGIC_1 = {b"n+1\0": "single", b"ni1\0": "pair"}
_HEAD_MAGIC_2 = {b"n+2\0\r\n\x1a\n": "single", b"ni2\0\r\n\x1a\n": "pair"}

DTYPES: dict[int, str] = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
"""Type codes of scalar values that are read, with their numpy names."""
_REFUSED_TYPES = {
    1: "single bits",
    32: "complex numbers",
    128: "RGB colours",
    1536: "128-bit floats",
    1792: "complex numbers",
    2048: "complex numbers",
    2304: "RGBA colours",
}

_SINGLE_FIELDS = (
    "datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "xyzt_units", "qform_code", "sform_code"
)  # fmt: skip

Kind = Literal["single", "pair", "analyze"]
Order = Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """The fields of a header that place and type the voxels; lengths still in the file's own unit.

    Attributes
    ----------
    kind : {"single", "pair", "analyze"}
    version : int
        1 or 2.
    shape : tuple of int
        All axes as stored.
    dtype : numpy.dtype
        Stored type with its byte order.
    offset : int
        Where the voxels begin.
    slope, inter : float
        Value = slope * stored + inter; 1 and 0 where no scaling is stored.
    unit_code : int
    pixdim : tuple of 4 floats
        qfac and the three spacings.
    qform_code, sform_code : int
    quaternion, q_offset : tuple of 3 floats
    s_rows : tuple of 3 rows of 4 floats
    """

    kind: Kind
    version: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    unit_code: int
    pixdim: tuple[float, ...]
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    q_offset: tuple[float, ...]
    s_rows: tuple[tuple[float, ...], ...]

    @property
    def is_scaled(self) -> bool:
        """Tell whether the stored numbers must be multiplied or shifted."""
        return self.slope != 1.0 or self.inter != 0.0


def looks_like_nifti(head: bytes) -> bool:
    """Tell whether the first bytes of a file carry a NIfTI magic word or size."""
    return head[4:12] in _HEAD_MAGIC_2 or head[344:348] in _HEAD_MAGIC_1 or _order_of(head) is not None


def header_size(head: bytes) -> int:
    """Return how many bytes the header takes, told from its first 12."""
    order = _order_of(head)
    is_2 = head[4:12] in _HEAD_MAGIC_2 or (order is not None and order[1] == 2)
    return SIZE_2 if is_2 else SIZE_1


def parse_header(head: bytes, path: Path) -> NiftiHeader:
    """Check a whole header and return its fields.

    Parameters
    ----------
    head : bytes
        `header_size` bytes.
    path : Path
        The file, for the message.

    Raises
    ------
    InputError
        E_INPUT_FORMAT for a wrong magic word, E_INPUT_UNREADABLE for fields that contradict each other,
        E_DIMENSIONS_UNSUPPORTED for colours and complex numbers.
    """
    kind, version, order = _identity(head, path)
    fields = _fields(head, version, order)
    shape = _shape(fields["dim"], path)
    dtype = _dtype(fields["datatype"], fields["bitpix"], order, path)
    slope, inter = _scaling(fields["scl_slope"], fields["scl_inter"] if kind != "analyze" else 0.0, path)
    is_placed = kind != "analyze"
    return NiftiHeader(
        kind=kind,
        version=version,
        shape=shape,
        dtype=dtype,
        offset=_offset(fields["vox_offset"], kind, version, path),
        slope=slope,
        inter=inter,
        unit_code=fields["xyzt_units"] & 7 if is_placed else 2,
        pixdim=fields["pixdim"][:4],
        qform_code=fields["qform_code"] if is_placed else 0,
        sform_code=fields["sform_code"] if is_placed else 0,
        quaternion=fields["quaternion"],
        q_offset=fields["q_offset"],
        s_rows=fields["s_rows"],
    )


def check_extensions(block: bytes, order: str, path: Path) -> None:
    """Walk the extensions between header and voxels; refuse sizes that cannot be.

    Parameters
    ----------
    block : bytes
        From the end of the header (four flag bytes first) to the first voxel.
    order : str
        Byte order of the file.
    path : Path
    """
    if len(block) < 4 or block[0] == 0:
        return
    at = 4
    while at + 16 <= len(block):
        (size,) = struct.unpack_from(f"{order}i", block, at)
        if size < 16 or at + size > len(block):
            raise _lying(path, f"a header extension of {size} bytes", f"16 to {len(block) - at} bytes")
        at += size


def _order_of(head: bytes) -> tuple[Order, int] | None:
    orders: tuple[Order, Order] = ("<", ">")
    if len(head) >= 4:
        for order in orders:
            (size,) = struct.unpack(f"{order}i", head[:4])
            if size in (SIZE_1, SIZE_2):
                return order, 1 if size == SIZE_1 else 2
    return None


def _identity(head: bytes, path: Path) -> tuple[Kind, int, Order]:
    found = _order_of(head)
    if found is None:
        size = int.from_bytes(head[:4], "little", signed=True)
        raise _lying(path, f"a header that gives its own size as {size}", f"{SIZE_1} or {SIZE_2}")
    order, version = found
    magic, table = (head[344:348], _HEAD_MAGIC_1) if version == 1 else (head[4:12], _HEAD_MAGIC_2)
    if magic in table:
        return table[magic], version, order  # type: ignore[return-value]
    if version == 1 and not path.name.lower().endswith((".nii", ".nii.gz")):
        return "analyze", 1, order
    raise wrong_format(
        path,
        f"the magic word {magic!r}",
        " or ".join(repr(m) for m in table),
        "The header is damaged, or the file is not NIfTI; export it again.",
    )


def _fields(head: bytes, version: int, order: Order) -> dict[str, Any]:
    """Return the raw fields by nibabel's layout, which repairs and judges nothing here: that is done below."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    stored = (Nifti1Header if version == 1 else Nifti2Header)(head, endianness=order, check=False)

    def several(*names: str) -> tuple[Any, ...]:
        return tuple(stored[name].item() for name in names)

    return {
        **{name: stored[name].item() for name in _SINGLE_FIELDS},
        "dim": tuple(stored["dim"].tolist()),
        "pixdim": tuple(stored["pixdim"].tolist()),
        "quaternion": several("quatern_b", "quatern_c", "quatern_d"),
        "q_offset": several("qoffset_x", "qoffset_y", "qoffset_z"),
        "s_rows": tuple(tuple(stored[name].tolist()) for name in ("srow_x", "srow_y", "srow_z")),
    }


def _shape(dim: tuple[int, ...], path: Path) -> tuple[int, ...]:
    n = dim[0]
    if not 1 <= n <= 7:
        raise _lying(path, f"a header with {n} axes", "1 to 7 axes")
    shape = tuple(int(size) for size in dim[1 : n + 1])
    if min(shape) < 1:
        raise _lying(path, f"the size {'x'.join(str(s) for s in shape)}", "at least one voxel along each axis")
    return shape


def _dtype(code: int, bits: int, order: str, path: Path) -> np.dtype[Any]:
    if code in _REFUSED_TYPES:
        raise unsupported_axes(
            path,
            f"voxels that hold {_REFUSED_TYPES[code]}",
            "one real number per voxel",
            "Convert the image to one grey value per voxel.",
        )
    if code not in DTYPES:
        raise _lying(path, f"the unknown data type {code}", "a data type of the NIfTI standard")
    dtype = np.dtype(order + DTYPES[code])
    if bits != dtype.itemsize * 8:
        raise _lying(path, f"{bits} bits per voxel", f"{dtype.itemsize * 8} bits for the data type {dtype.name}")
    return dtype


def _scaling(slope: float, inter: float, path: Path) -> tuple[float, float]:
    if slope == 0 or math.isnan(slope):
        return 1.0, 0.0  # the standard: slope 0 means no scaling, whatever the intercept; some writers store NaN
    if not (math.isfinite(slope) and math.isfinite(inter)):
        raise _lying(path, f"the scaling {slope} * value + {inter}", "finite numbers")
    return slope, inter


def _offset(offset: float, kind: Kind, version: int, path: Path) -> int:
    least = 0 if kind != "single" else (SIZE_1 if version == 1 else SIZE_2) + 4
    if not math.isfinite(offset) or offset != int(offset) or not least <= offset <= MAX_OFFSET:
        raise _lying(path, f"voxels that begin at byte {offset:g}", f"a whole number from {least} to {MAX_OFFSET}")
    return int(offset)


def _lying(path: Path, found: str, expected: str) -> InputError:
    return unreadable(
        path, found, expected, "The header is damaged; export the image again from the program that made it."
    )
