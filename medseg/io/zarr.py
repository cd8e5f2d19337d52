"""OME-Zarr (NGFF) <-> values: maps, images and labels go out, complete or not at all; simple images come in."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np

from medseg.errors import OutputError, ResourceError
from medseg.io.atomic import TEMPORARY_PREFIX, Receipt
from medseg.io.hashing import digest
from medseg.io.options import ReadOptions
from medseg.io.zarr_read import probe_zarr, read_zarr
from medseg.labels import Instances, LabelMap
from medseg.volume import Volume

__all__ = ["probe_zarr", "read_zarr", "write_maps", "write_zarr"]

_CHUNK = {2: (256, 256), 3: (64, 128, 128)}
_TRIES = 20
_PAUSE_SECONDS = 0.02
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
    _place(volume, path, _attributes(volume))


def write_zarr(value: Volume | LabelMap | Instances, path: Path) -> Receipt:
    """Write an image, or labels with the names of their classes, as OME-Zarr 0.4; complete or not at all.

    Parameters
    ----------
    value : Volume, LabelMap or Instances
        The numbers of labels keep their integer type.
    path : Path
        Folder to make; an older one is replaced.

    Returns
    -------
    Receipt
        Path, SHA-256 over all files with their names, and size.

    Raises
    ------
    ResourceError, OutputError
        As in `write_maps`.
    """
    if isinstance(value, Volume):
        _place(value, path, _attributes(value))
    else:
        volume = Volume(value.array[np.newaxis], value.grid, ("labels",))
        named = value.classes if isinstance(value, LabelMap) else {}
        properties = [{"label-value": int(i), "class": name} for i, name in sorted(named.items())]
        told: dict[str, Any] = {"version": "0.4", **({"properties": properties} if properties else {})}
        _place(volume, path, {**_attributes(volume), "image-label": told})
    found = digest(path)
    return Receipt(str(path), found.sha256, found.n_bytes)


def _place(volume: Volume, path: Path, attributes: dict[str, Any]) -> None:
    partial = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        _write(volume, partial, attributes)
        _flush(partial)
        _check_written(volume, partial, path)
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    except OSError as error:
        raise _in_words(path, error) from error
    finally:
        _remove(partial)


def _write(volume: Volume, folder: Path, attributes: dict[str, Any]) -> None:
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
    (folder / ".zattrs").write_text(json.dumps(attributes, indent=1), encoding="utf-8")


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
            found="other values than those written, on reading them back",
            expected="what was written",
            not_done="the folder was not kept",
            remedy="Check the disk, and report this if it happens again.",
        )


def _remove(folder: Path) -> None:
    # chunks are written on other threads: one may still come to rest while the folder is being emptied
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        sleep(_PAUSE_SECONDS)


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
            expected="room for the output",
            not_done=not_done,
            remedy="Free some space; maps can be left out (without --save-maps).",
        )
    return OutputError(
        "E_PERMISSION",
        path=path,
        found=f"an output that cannot be written ({(error.strerror or 'unknown reason').lower()})",
        expected="a folder that exists and may be written",
        not_done=not_done,
        remedy="Check that the folder exists and that this user may write to it.",
    )
