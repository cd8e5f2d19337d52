"""OME-Zarr without reading it: every resolution level as an array that loads the chunks it is asked for."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medseg.io.image_space import inside_folder, refusal
from medseg.io.memory import check_size
from medseg.io.options import Probe, ReadOptions
from medseg.io.zarr_header import array_header, chunk_files, group_attributes, label_classes
from medseg.io.zarr_read import probe_zarr


@dataclass(frozen=True, slots=True)
class LazyImage:
    """An OME-Zarr image whose voxels lie on the disk.

    Parameters
    ----------
    found : Probe
        Grid and type of the finest level, names of the channels, warnings.
    levels : tuple of zarr arrays
        The finest first.
    axes : tuple of str
        Of each level, such as ("c", "z", "y", "x").
    frame : int
        The time point to show where there is an axis ``t``.
    labels : tuple of (str, LazyImage)
        Label images that belong to it.
    classes : dict of int to str
        Names of classes, where it is a label image that carries them.
    """

    found: Probe
    levels: tuple[Any, ...]
    axes: tuple[str, ...]
    frame: int = 0
    labels: tuple[tuple[str, LazyImage], ...] = ()
    classes: dict[int, str] = field(default_factory=dict)

    def index(self, channel: int) -> tuple[Any, ...]:
        """Return the index into a level that leaves the axes of the grid: [z,] y, x."""
        flat = self.found.grid.ndim == 2
        fixed = {"c": channel, "t": self.frame} | ({"z": 0} if flat else {})
        return tuple(fixed.get(axis, slice(None)) for axis in self.axes)


def open_zarr(path: Path, options: ReadOptions | None = None) -> LazyImage:
    """Open an OME-Zarr image of any size; no voxel is read.

    Parameters
    ----------
    path : Path
    options : ReadOptions, optional
        `max_bytes` bounds one chunk, not the image.

    Raises
    ------
    InputError
        As `probe_zarr`; E_TOO_LARGE for a chunk over the limit.
    """
    options = options or ReadOptions()
    found = probe_zarr(path, options, any_size=True)
    attributes = group_attributes(path)
    image = attributes["multiscales"][0]
    axes = tuple(str(axis["name"] if isinstance(axis, dict) else axis) for axis in image["axes"])
    levels = tuple(_level(path, level, len(axes), options) for level in image["datasets"])
    labels = tuple(
        (name, open_zarr(inside_folder(path / "labels" / ".zattrs", name), options)) for name in _label_names(path)
    )
    return LazyImage(found, levels, axes, options.frame or 0, labels, label_classes(attributes))


def _level(path: Path, level: Any, n_axes: int, options: ReadOptions) -> Any:
    import zarr

    header = array_header(path, level.get("path") if isinstance(level, dict) else None)
    if len(header.shape) != n_axes:
        raise refusal(path, f"a level of {len(header.shape)} axes", f"{n_axes} axes in each level")
    check_size(path, math.prod(header.chunks) * header.dtype.itemsize, options.max_bytes)
    chunk_files(path, header)  # refuses links that lead elsewhere
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on odd metadata, which were judged by our own rules before
        try:
            return zarr.open_array(header.folder, mode="r", zarr_format=header.version)
        except (ValueError, RuntimeError, TypeError, KeyError, OSError) as error:
            raise refusal(path, f"a damaged level ({error})", "intact metadata") from error


def _label_names(path: Path) -> tuple[str, ...]:
    folder = path / "labels"
    listed = group_attributes(folder).get("labels") if folder.is_dir() else None
    if listed is None:
        return ()
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise refusal(path, "a damaged list of labels", "names")
    return tuple(listed)
