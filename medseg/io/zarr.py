"""OME-Zarr (NGFF) <-> Volume: the maps behind a prediction go out, complete or not at all; simple images come in."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import OutputError, ResourceError
from medseg.io.atomic import TEMPORARY_PREFIX
from medseg.io.options import ReadOptions
from medseg.io.zarr_read import probe_zarr, read_zarr
from medseg.volume import Volume

__all__ = ["probe_zarr", "read_zarr", "write_maps"]

_CHUNK = {2: (256, 256), 3: (64, 128, 128)}
_UNIT_NAMES = {"um": "micrometer", "mm": "millimeter"}


def write_maps(volume: Volume, path: Path) -> None:
    """Write a volume of one or more channels as OME-Zarr 0.4; the folder appears complete or not at all.

    A scan in patient space is stored as (c, z, y, x) with its spacing, as viewers want it, and its full affine beside.

    Parameters
    ----------
    volume : Volume
    path : Path
        Folder to make, usually ``NAME_maps.ome.zarr``; an older one is replaced.

    Raises
    ------
    ResourceError
        E_DISK_FULL; no part of the folder is left behind.
    OutputError
        E_PERMISSION if the folder cannot be made; E_INTERNAL if it does not read back as written.
    """
    partial = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        _write(volume, partial)
        _flush(partial)
        _check_written(volume, partial, path)
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    except OSError as error:
        raise _in_words(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(volume: Volume, folder: Path) -> None:
    import zarr
    from numcodecs import Blosc  # type: ignore[import-untyped]

    array, grid = volume.numpy(), volume.grid
    if grid.space == "patient":
        array = array.transpose(0, 3, 2, 1)
    chunks = (1, *(min(n, c) for n, c in zip(array.shape[1:], _CHUNK[grid.ndim], strict=True)))
    zarr.create_array(
        folder / "0",
        shape=array.shape,
        dtype=array.dtype,
        chunks=chunks,
        zarr_format=2,
        compressors=Blosc(cname="lz4", clevel=5, shuffle=Blosc.BITSHUFFLE),
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=0,
        config={"write_empty_chunks": True},  # a missing chunk then always means loss
    )[...] = array
    (folder / ".zgroup").write_text(json.dumps({"zarr_format": 2}), encoding="utf-8")
    (folder / ".zattrs").write_text(json.dumps(_attributes(volume), indent=1), encoding="utf-8")


def _attributes(volume: Volume) -> dict[str, Any]:
    grid = volume.grid
    is_patient = grid.space == "patient"
    spacing = grid.spacing[::-1] if is_patient else grid.spacing
    origin = (0.0,) * grid.ndim if is_patient else grid.origin
    unit = {"unit": _UNIT_NAMES[grid.unit]} if grid.unit in _UNIT_NAMES else {}
    axes = [{"name": "c", "type": "channel"}] + [{"name": a, "type": "space", **unit} for a in "zyx"[-grid.ndim :]]
    steps = [{"type": "scale", "scale": [1.0, *spacing]}, {"type": "translation", "translation": [0.0, *origin]}]
    level = {"path": "0", "coordinateTransformations": steps}
    own: dict[str, Any] = {"space": grid.space, "unit": grid.unit}
    if is_patient:
        own["world_from_index"] = grid.world_from_index.tolist()
    window = {"start": 0.0, "end": 1.0, "min": 0.0, "max": 1.0}
    return {
        "multiscales": [{"version": "0.4", "name": "maps", "axes": axes, "datasets": [level]}],
        "omero": {
            "version": "0.4",
            "channels": [{"label": n, "color": "FFFFFF", "active": True, "window": window} for n in volume.channels],
        },
        "medseg": own,
    }


def _check_written(volume: Volume, partial: Path, path: Path) -> None:
    back = read_zarr(partial, ReadOptions(max_bytes=1 << 62))
    wanted = volume.numpy()
    same = np.array_equal(back.array, wanted, equal_nan=wanted.dtype.kind == "f") and back.grid.same_as(volume.grid)
    if not same:
        raise OutputError(
            "E_INTERNAL",
            path=path,
            found="other maps than those written, on reading them back",
            expected="what was written",
            not_done="the maps were not kept",
            remedy="Check the disk, and report this if it happens again.",
        )


def _flush(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("r+b") as handle:
                os.fsync(handle.fileno())


def _in_words(path: Path, error: OSError) -> ResourceError | OutputError:
    not_done = "nothing was written under this name"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError(
            "E_DISK_FULL",
            path=path,
            found="no space left on the disk",
            expected="room for the maps",
            not_done=not_done,
            remedy="Free some space, or run again without --save-maps.",
        )
    return OutputError(
        "E_PERMISSION",
        path=path,
        found=f"an output that cannot be written ({(error.strerror or 'unknown reason').lower()})",
        expected="a folder that exists and may be written",
        not_done=not_done,
        remedy="Check that the folder exists and that this user may write to it.",
    )
