"""OME-Zarr (NGFF) -> Volume: metadata first, then only chunks that are known to be there."""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import MedsegError, Notice
from medseg.grid import Grid
from medseg.io.choice import chosen_frame
from medseg.io.image_space import (
    UM_PER_UNIT,
    AnyArray,
    pick_channel,
    pixel_grid,
    refusal,
)
from medseg.io.memory import check_size
from medseg.io.options import Probe, ReadOptions
from medseg.io.zarr_header import MAX_CHUNKS, ZarrArray, array_header, chunk_files, group_attributes, label_classes
from medseg.volume import Source, Volume


@dataclass(frozen=True, slots=True)
class _Plan:
    array: ZarrArray
    axes: tuple[str, ...]
    fixed: dict[str, int]
    names: tuple[str, ...]
    kept: tuple[int, ...]
    grid: Grid
    n_missing: int
    files: tuple[Path, ...]
    warnings: tuple[Notice, ...]


def probe_zarr(path: Path, options: ReadOptions, *, any_size: bool = False) -> Probe:
    """Tell from its metadata what an OME-Zarr folder holds; no chunk is opened.

    Parameters
    ----------
    path : Path
    options : ReadOptions
    any_size : bool
        Also answer for images that do not fit into memory.

    Raises
    ------
    InputError
        For plain Zarr without axes, a size over the limit, data outside the folder, unsafe codecs, or no data at all.
    """
    plan = _plan(path, options, any_size=any_size)
    n_bytes = plan.grid.n_voxels * len(plan.kept) * plan.array.dtype.itemsize
    names = tuple(plan.names[c] for c in plan.kept)
    n_frames = dict(zip(plan.axes, plan.array.shape, strict=True)).get("t", 1)
    kind = plan.array.dtype.name
    return Probe(str(path), "zarr", plan.grid, kind, names, n_bytes, warnings=plan.warnings, n_frames=n_frames)


def read_zarr(path: Path, options: ReadOptions) -> Volume:
    """Read the finest level of an OME-Zarr image.

    Returns
    -------
    Volume
        Image space: (c, [z,] y, x), unit um or px. Maps that `write_maps` wrote of a scan come back in patient space.

    Raises
    ------
    InputError
        As `probe_zarr`, and E_INPUT_UNREADABLE if a chunk is damaged or incomplete.
    """
    plan = _plan(path, options)
    array = _voxels(path, plan)
    if plan.grid.space == "patient":
        array = array.transpose(0, 3, 2, 1)
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in plan.files]
    sha256 = hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()
    details: dict[str, Any] = {"chunks": len(plan.files), "chunks_missing": plan.n_missing}
    if classes := label_classes(group_attributes(path)):
        details["classes"] = classes
    source = Source(str(path), "zarr", sha256, sum(f.stat().st_size for f in plan.files), details)
    names = tuple(plan.names[c] for c in plan.kept)
    return Volume(array, plan.grid, names, source, plan.warnings)


def _plan(path: Path, options: ReadOptions, *, any_size: bool = False) -> _Plan:
    attributes = group_attributes(path)
    image, level = _finest(path, attributes)
    axes, units = _axes(path, image)
    array = array_header(path, level.get("path"))
    if len(axes) != len(array.shape):
        raise refusal(path, f"{len(array.shape)} axes with {len(axes)} names", "one name per axis")
    sizes = dict(zip(axes, array.shape, strict=True))
    fixed = {"t": chosen_frame(path, sizes.get("t", 1), options)}
    if not any_size:
        check_size(path, array.n_bytes // sizes.get("t", 1), options.max_bytes)
    check_size(path, math.prod(array.chunks) * array.dtype.itemsize, options.max_bytes)
    files = _existing(path, array)
    names = _names(attributes, sizes.get("c", 1))
    kept = pick_channel(path, names, options.channel)
    notices: tuple[Notice, ...] = ()
    grid = _patient_grid(path, attributes.get("medseg"), tuple(sizes[a] for a in axes if a in "zyx"))
    if grid is None:
        if sizes.get("z") == 1:
            fixed["z"] = 0  # one slice is a flat image
        spatial = tuple(a for a in axes if a in "zyx" and a not in fixed)
        grid, notices = _image_grid(path, sizes, spatial, units, _transforms(path, level, image, axes), options)
    n_missing = array.n_chunks - len(files)
    if n_missing:
        text = f"{n_missing} of {array.n_chunks} chunks are missing; their voxels read as background."
        notices += (Notice("W_CHUNKS_MISSING", text),)
    return _Plan(array, axes, fixed, names, kept, grid, n_missing, tuple(files), notices)


def _finest(path: Path, attributes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    images = attributes.get("multiscales")
    if not isinstance(images, list) or not images or not isinstance(images[0], dict):
        remedy = "Give the folder of one image (not a plate), or save the array as OME-Zarr or TIFF."
        found = "a Zarr folder that is no OME-Zarr image"
        raise refusal(path, found, "OME-Zarr with named axes", code="E_INPUT_FORMAT", remedy=remedy)
    levels = images[0].get("datasets")
    if not isinstance(levels, list) or not levels or not isinstance(levels[0], dict):
        raise refusal(path, "no resolution level", "at least one")
    return images[0], levels[0]


def _image_grid(
    path: Path,
    sizes: dict[str, int],
    spatial: tuple[str, ...],
    units: dict[str, str],
    transforms: tuple[dict[str, float], dict[str, float]],
    options: ReadOptions,
) -> tuple[Grid, tuple[Notice, ...]]:
    scale, shift = transforms
    stored = tuple(_um(scale[a], units[a]) for a in spatial)
    grid, notices = pixel_grid(
        path, tuple(sizes[a] for a in spatial), stored, "the axes have no unit of length", options
    )
    if grid.unit == "um" and options.pixel_size is None:
        affine = grid.world_from_index.copy()
        affine[:-1, -1] = [_um(shift[a], units[a]) or 0.0 for a in spatial]
        grid = replace(grid, world_from_index=affine)
    return grid, notices


def _existing(path: Path, array: ZarrArray) -> list[Path]:
    if array.n_chunks > MAX_CHUNKS:
        raise refusal(path, f"{array.n_chunks:,} chunks", f"at most {MAX_CHUNKS:,}", code="E_TOO_LARGE")
    files = chunk_files(path, array)
    if not files:
        raise refusal(path, f"none of {array.n_chunks} chunks", "the data of the image")
    return files


def _axes(path: Path, scale: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, str]]:
    said = scale.get("axes")
    listed = said if isinstance(said, list) else []
    axes = tuple(str(a.get("name", "")) if isinstance(a, dict) else str(a) for a in listed)
    units = {n: str(a.get("unit", "")) if isinstance(a, dict) else "" for n, a in zip(axes, listed, strict=True)}
    order = [axis for axis in "tczyx" if axis in axes]
    if list(axes) != order or not {"y", "x"} <= set(axes):
        remedy = "Save the image as OME-Zarr 0.4 or 0.5 with the axes t, c, z, y, x in this order."
        found = f"the axes {', '.join(axes) or 'without names'}"
        raise refusal(path, found, "t, c, z, y, x", code="E_DIMENSIONS_UNSUPPORTED", remedy=remedy)
    return axes, units


def _transforms(
    path: Path, level: dict[str, Any], scale: dict[str, Any], axes: tuple[str, ...]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return scale and translation per axis: the level's own, then the image's."""
    size, shift = dict.fromkeys(axes, 1.0), dict.fromkeys(axes, 0.0)
    for owner in (level, scale):
        steps = owner.get("coordinateTransformations") or []
        for step in steps if isinstance(steps, list) else [steps]:
            kind = step.get("type") if isinstance(step, dict) else None
            if kind == "identity":
                continue
            numbers = step.get(kind) if kind in ("scale", "translation") else None
            if not isinstance(numbers, list) or not _are_numbers(numbers, len(axes)):
                raise refusal(path, f"the transformation {str(step)[:60]}", "a scale or translation per axis")
            for axis, number in zip(axes, numbers, strict=True):
                if kind == "scale":
                    size[axis] *= number
                    shift[axis] *= number
                else:
                    shift[axis] += number
    return size, shift


def _patient_grid(path: Path, said: object, shape: tuple[int, ...]) -> Grid | None:
    if not isinstance(said, dict) or said.get("space") != "patient":
        return None
    rows = said.get("world_from_index")
    if len(shape) != 3 or not isinstance(rows, list) or not all(_are_numbers(r, 4) for r in rows) or len(rows) != 4:
        raise refusal(path, "a damaged affine beside the maps", "4 rows of 4 numbers")
    return Grid(shape[::-1], np.array(rows, dtype=np.float64))


def _names(attributes: dict[str, Any], n: int) -> tuple[str, ...]:
    omero = attributes.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    labels = [c.get("label") for c in channels if isinstance(c, dict)] if isinstance(channels, list) else []
    good = len(labels) == n == len(set(map(str, labels))) and all(isinstance(x, str) and x for x in labels)
    return tuple(str(x) for x in labels) if good else tuple(str(c) for c in range(n))


def _voxels(path: Path, plan: _Plan) -> AnyArray:
    import zarr

    where: list[Any] = [plan.fixed.get(a, slice(None)) for a in plan.axes]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata, which were judged by our own rules before
            stored = zarr.open_array(plan.array.folder, mode="r", zarr_format=plan.array.version)
            if tuple(stored.shape) != plan.array.shape:
                raise refusal(path, f"the shape {stored.shape}", f"{plan.array.shape}")
            array = np.asarray(stored[tuple(where)])
    except MedsegError:
        raise
    except (ValueError, RuntimeError, TypeError, KeyError, OSError, EOFError, ArithmeticError) as error:
        raise refusal(path, f"a damaged or incomplete chunk ({error})", "intact chunks") from error
    array = array.astype(plan.array.dtype, copy=False)
    if "c" not in plan.axes:
        return array[np.newaxis]
    return array if len(plan.kept) == len(plan.names) else array[list(plan.kept)]


def _um(size: float, unit: str) -> float | None:
    scale = UM_PER_UNIT.get(unit.lower())
    return None if scale is None else size * scale


def _are_numbers(value: object, n: int) -> bool:
    return (
        isinstance(value, list) and len(value) == n and all(type(x) in (int, float) and math.isfinite(x) for x in value)
    )
