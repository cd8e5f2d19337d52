"""Values in image space -> TIFF that this package and Fiji read back with the pixel size: ImageJ's format, else OME."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from medseg.grid import Grid
from medseg.io.image_space import RGB, UM_PER_UNIT, AnyArray, not_writable
from medseg.labels import Instances, LabelMap, smallest_integer_type
from medseg.volume import Volume

_IMAGEJ_TYPES = ("u1", "u2", "f4")
_OME_TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8")


def write_tiff(value: Volume | LabelMap | Instances, path: Path) -> None:
    """Write an image or labels as deflated TIFF with the pixel size.

    Labels take the smallest sufficient unsigned type. ImageJ's own format serves where it can hold the type (8 and
    16 bits, float32), OME-TIFF for the others and for images of several channels, and a plain TIFF for 64-bit numbers.

    Raises
    ------
    UsageError
        If the value lies in patient space, which TIFF cannot describe, or is a stack of one slice.
    """
    if value.grid.space != "image":
        remedy = "Write it as .nii.gz, .nrrd or .mha."
        raise not_writable("a scan in patient space", "an image without a place in a patient", remedy=remedy)
    if value.grid.ndim == 3 and value.grid.shape[0] == 1:
        remedy = "Take the slice out of the stack and write it as a flat image."
        raise not_writable("a stack of one slice", "a flat image, or several slices", remedy=remedy)
    if isinstance(value, Volume):
        _write_volume(value, path)
        return
    highest = int(value.array.max(initial=0))
    array = value.array.astype(smallest_integer_type(highest), copy=False)
    kind = array.dtype.str[1:]
    if kind in _IMAGEJ_TYPES:
        _write_imagej(array, value.grid, path)
    elif kind in _OME_TYPES:
        _write_ome(array[np.newaxis], value.grid, (), path)
    else:
        _write_plain(array, value.grid, path)


def _write_volume(volume: Volume, path: Path) -> None:
    array = volume.numpy()
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    kind = array.dtype.str[1:]
    if volume.channels == RGB and volume.grid.ndim == 2 and kind in ("u1", "u2"):
        spacing = _spacing_um(volume.grid)
        unit = {} if spacing is None else {"resolution": _per_cm(spacing), "resolutionunit": "CENTIMETER"}
        note = {"axes": "YXS"} | ({} if spacing is None else {"spacing_um": list(spacing)})
        pixels = np.ascontiguousarray(np.moveaxis(array, 0, -1))
        tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", metadata=note, **unit)
    elif len(volume.channels) == 1 and kind in _IMAGEJ_TYPES:
        _write_imagej(array[0], volume.grid, path)
    elif kind in _OME_TYPES:
        _write_ome(array, volume.grid, volume.channels, path)
    else:
        found, remedy = f"pixels of type {array.dtype}", "Convert the pixels to 16 bits or float32."
        raise not_writable(found, "whole numbers of up to 32 bits, or floats", remedy=remedy)


def _write_imagej(array: AnyArray, grid: Grid, path: Path) -> None:
    spacing = _spacing_um(grid)
    said: dict[str, Any] = {"axes": "ZYX"[-array.ndim :]}
    unit: dict[str, Any] = {}
    if spacing is not None:
        unit["resolution"] = (1.0 / spacing[-1], 1.0 / spacing[-2])
        said["unit"] = "um"
        if array.ndim == 3:
            said["spacing"] = spacing[0]
    tifffile.imwrite(path, array, imagej=True, compression="zlib", metadata=said, **unit)


def _write_ome(array: AnyArray, grid: Grid, channels: tuple[str, ...], path: Path) -> None:
    spacing = _spacing_um(grid)
    # the identity follows from the content: the same labels give the same bytes
    identity = uuid.UUID(bytes=hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()[:16])
    said: dict[str, Any] = {"axes": "CZYX" if grid.ndim == 3 else "CYX", "UUID": str(identity)}
    if channels:
        said["Channel"] = {"Name": list(channels)}
    unit: dict[str, Any] = {}
    if spacing is not None:
        for axis, size in zip("ZYX"[-grid.ndim :], spacing, strict=True):
            said |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
        unit = {"resolution": _per_cm(spacing), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, array, ome=True, photometric="minisblack", compression="zlib", metadata=said, **unit)


def _write_plain(array: AnyArray, grid: Grid, path: Path) -> None:
    spacing = _spacing_um(grid)
    note: dict[str, Any] = {"axes": "ZYX"[-array.ndim :]}
    unit: dict[str, Any] = {}
    if spacing is not None:
        note["spacing_um"] = list(spacing)
        unit = {"resolution": _per_cm(spacing), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, array, photometric="minisblack", compression="zlib", metadata=note, **unit)


def _spacing_um(grid: Grid) -> tuple[float, ...] | None:
    return None if grid.unit == "px" else tuple(s * UM_PER_UNIT[grid.unit] for s in grid.spacing)


def _per_cm(spacing_um: tuple[float, ...]) -> tuple[float, float]:
    return UM_PER_UNIT["cm"] / spacing_um[-1], UM_PER_UNIT["cm"] / spacing_um[-2]
