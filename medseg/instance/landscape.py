"""Network maps -> the mask of all objects and the landscape whose summits are the objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.instance.options import SplitOptions
from medseg.volume import Volume

_TOP = 4095

Floats = npt.NDArray[np.float32]
Box = tuple[slice, ...]


def check_maps(maps: Volume, options: SplitOptions) -> None:
    """Raise unless the maps hold what the decoder needs.

    Raises
    ------
    InputError
        With code E_INPUT_FORMAT, naming the maps that are there and those that are missing.
    """
    have = set(maps.channels)
    if options.decoder == "offsets":
        names = offset_names(maps.grid.ndim)
        wanted, enough = " and ".join(map(repr, names)), have.issuperset(names)
    else:
        usable = {"distance": ["distance"], "boundary": ["interior", "boundary"], "combined": ["distance", "interior"]}
        wanted, enough = " or ".join(map(repr, usable[options.decoder])), not have.isdisjoint(usable[options.decoder])
    if not have & {"foreground", "interior"}:
        wanted = "'foreground' or 'interior'"
    elif enough:
        return
    raise InputError(
        "E_INPUT_FORMAT",
        found=f"maps {', '.join(map(repr, maps.channels))}",
        expected=f"a map {wanted} for decoder {options.decoder!r}",
        not_done="the objects were not separated",
        remedy="Choose another decoder, or maps saved by an instance model.",
    )


def offset_names(n_axes: int) -> tuple[str, ...]:
    """Return the names of the maps that hold the way to the centre along each axis.

    Examples
    --------
    >>> offset_names(2)
    ('offset_y', 'offset_x')
    """
    return tuple(f"offset_{axis}" for axis in "zyx"[-n_axes:])


def ways(maps: Volume, box: Box) -> Floats:
    """Return the way to the centre in a box, (n, *s), in voxels of each axis; what is not a number counts as no way."""
    spacing = maps.grid.spacing
    names = offset_names(maps.grid.ndim)
    steps = [_channel(maps, name, box) * np.float32(min(spacing) / s) for name, s in zip(names, spacing, strict=True)]
    return np.stack(steps)


def foreground(maps: Volume, box: Box) -> Floats:
    """Return the probability that a voxel of a box belongs to an object; values that are not numbers count as 0."""
    if "foreground" in maps.channels:
        return _channel(maps, "foreground", box)
    found = _channel(maps, "interior", box)
    if "boundary" in maps.channels:
        found = np.minimum(found + _channel(maps, "boundary", box), np.float32(1))
    return found


def landscape(maps: Volume, options: SplitOptions, box: Box) -> Floats:
    """Return heights in [0, 1] for a box: the map, or the product of the maps, of the decoder; not yet smoothed."""
    have = maps.channels
    if options.decoder == "boundary":
        if "interior" in have:
            return _channel(maps, "interior", box)
        return _channel(maps, "foreground", box) * (1 - _channel(maps, "boundary", box))
    if "distance" not in have:
        return _channel(maps, "interior", box)
    found = _channel(maps, "distance", box)
    if options.decoder == "combined":
        if "boundary" in have:
            found = found * (1 - _channel(maps, "boundary", box))
        elif "interior" in have:
            found = found * _channel(maps, "interior", box)
    return found


def smoothed(heights: Floats, options: SplitOptions, spacing: tuple[float, ...]) -> Floats:
    """Return heights smoothed by the Gaussian of the options; each axis by its own number of voxels."""
    if options.smoothing == 0:
        return heights
    from scipy import ndimage

    widths = [options.smoothing / s for s in spacing]
    return np.asarray(ndimage.gaussian_filter(heights, widths, radius=halo(options, spacing)), np.float32)


def halo(options: SplitOptions, spacing: tuple[float, ...]) -> tuple[int, ...]:
    """Return how many voxels around a box the smoothing looks at, per axis."""
    return tuple(int(np.ceil(3 * options.smoothing / s)) for s in spacing)


def levels_of(heights: Floats, out: npt.NDArray[np.uint16]) -> None:
    """Write heights in [0, 1] as levels: 0 is the top."""
    clipped = np.clip(heights, 0, 1)
    np.rint((1 - clipped) * np.float32(_TOP), out=out, casting="unsafe")


def _channel(maps: Volume, name: str, box: Box) -> Floats:
    place: Any = (maps.channels.index(name), *box)
    values = np.asarray(maps.array[place], np.float32)
    if np.isfinite(values).all():
        return values
    return np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)


def as_box(start: Any, stop: Any) -> Box:
    """Return the slices of a box."""
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
