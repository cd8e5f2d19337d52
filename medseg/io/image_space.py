"""What micrographs and pictures share: pixel size in micrometres, channels, size limit, and words for refusals."""

from __future__ import annotations

import hashlib
import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, Notice, UsageError
from medseg.grid import Grid, image_grid
from medseg.io.memory import check_size
from medseg.io.options import ReadOptions
from medseg.io.refusals import COPY_AGAIN, foreign_errors

RGB = ("red", "green", "blue")
UM_PER_UNIT = {
    "nm": 1e-3, "nanometer": 1e-3, "nanometre": 1e-3,
    "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0,
    "mm": 1e3, "millimeter": 1e3, "millimetre": 1e3,
    "cm": 1e4, "centimeter": 1e4, "centimetre": 1e4,
    "m": 1e6, "meter": 1e6, "metre": 1e6,
    "inch": 25400.0, "in": 25400.0,
    "å": 1e-4, "angstrom": 1e-4, "pm": 1e-6, "picometer": 1e-6,
}  # fmt: skip
"""Micrometres in one unit of length, by the names that microscopes, ImageJ, OME and OME-Zarr write."""
PLAUSIBLE_UM = (1e-5, 1e5)
PRINT_DPI = 1200.0
"""Up to this many dots per inch a resolution describes a screen or a printer, not a microscope."""

AnyArray = npt.NDArray[Any]


def refusal(
    path: Path, found: str, expected: str, *, code: str = "E_INPUT_UNREADABLE", remedy: str = COPY_AGAIN
) -> InputError:
    """Return the refusal of a file, to be raised."""
    return InputError(
        code,
        path=path,
        found=found,
        expected=expected,
        not_done="the file was not read",
        remedy=remedy,
    )


def usage_refusal(path: Path, found: str, expected: str, *, remedy: str) -> UsageError:
    """Return the refusal of a request that does not fit the file, to be raised."""
    return UsageError(
        "E_USAGE", path=path, found=found, expected=expected, not_done="the file was not read", remedy=remedy
    )


def not_writable(found: str, expected: str, *, remedy: str) -> UsageError:
    """Return the refusal to write a value that the format cannot hold; a writer's path is temporary, so unnamed."""
    return UsageError("E_USAGE", found=found, expected=expected, not_done="nothing was written", remedy=remedy)


def file_bytes(path: Path, options: ReadOptions) -> tuple[bytes, str]:
    """Read a whole regular file once; hash and pixels then come from the same bytes.

    Returns
    -------
    data : bytes
    sha256 : str
        Hash of `data`, in hexadecimal.
    """
    check_size(path, file_size(path), options.max_bytes)
    with foreign_errors(path):
        data = path.read_bytes()
    return data, hashlib.sha256(data).hexdigest()


def file_size(path: Path) -> int:
    """Return the size of a regular file in bytes; anything else that may stand at `path` is refused."""
    with foreign_errors(path):
        status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise refusal(path, "no regular file", "a file", code="E_INPUT_FORMAT", remedy="Give the path of a file.")
    if status.st_size == 0:
        raise refusal(path, "0 bytes", "an image", code="E_INPUT_EMPTY")
    return status.st_size


def inside_folder(path: Path, name: str) -> Path:
    """Return the companion file `name` of `path`; a name that leads out of the folder is refused, unread.

    Raises
    ------
    InputError
        E_PATH_UNSAFE if the name is absolute, climbs out or passes through a link that leads out.
    """
    folder = path.resolve().parent
    plain = name.replace("\\", "/")
    try:
        target = (folder / plain).resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a name with a zero byte
        target = Path("/")
    if plain.startswith("/") or ":" in plain.split("/")[0] or not target.is_relative_to(folder):
        raise refusal(
            path,
            f"a reference to {name!r}, outside the file's own folder",
            "companion files beside the file that names them",
            code="E_PATH_UNSAFE",
            remedy="Put the data file beside its header and correct the name in the header, if you trust it.",
        )
    return target


def pixel_grid(
    path: Path, shape: tuple[int, ...], stored_um: tuple[float | None, ...], why: str, options: ReadOptions
) -> tuple[Grid, tuple[Notice, ...]]:
    """Return the grid of a picture: the user's pixel size, else the stored one, else unit "px" with a notice.

    Parameters
    ----------
    shape : (n,) ints
        Voxels along ([z,] y, x).
    stored_um : (n,) floats or None
        What the file says in micrometres, None where it says nothing that can be trusted.
    why : str
        What is wrong with the stored values, for the notice.
    """
    if options.pixel_size is not None:
        return image_grid(shape, _stated(path, options.pixel_size, len(shape)), "um"), ()
    low, high = PLAUSIBLE_UM
    known = [s for s in stored_um if s is not None and math.isfinite(s) and low <= s <= high]
    if len(known) == len(shape):
        return image_grid(shape, tuple(known), "um"), ()
    reason = why or f"pixel sizes of {stored_um} µm are stored"
    text = f"{reason}; sizes are given in pixels. State the pixel size in µm to get lengths, areas and volumes."
    return image_grid(shape, (1.0,) * len(shape), "px"), (Notice("W_SPACING_UNTRUSTED", text),)


def trusted_resolution(per_unit: float | None, unit: str | None) -> float | None:
    """Return the pixel size in µm from a resolution in pixels per `unit`; None where it is a print or screen value."""
    scale = UM_PER_UNIT.get((unit or "").strip().lower())
    if scale is None or per_unit is None or not math.isfinite(per_unit) or per_unit <= 0:
        return None
    pixel_um = scale / per_unit
    return pixel_um if pixel_um < UM_PER_UNIT["inch"] / PRINT_DPI else None


def pick_channel(path: Path, names: tuple[str, ...], channel: str | int | None) -> tuple[int, ...]:
    """Return the numbers of the channels to keep: all, or the one that was asked for by name or number."""
    if channel is None:
        return tuple(range(len(names)))
    if isinstance(channel, str) and channel in names:
        return (names.index(channel),)
    text = str(channel)
    if text.isdecimal() and int(text) < len(names):
        return (int(text),)
    raise usage_refusal(
        path,
        f"the channels {', '.join(names)}",
        f"a channel {channel!r}",
        remedy=f"Choose one of the names, or a number from 0 to {len(names) - 1}.",
    ) from None


def without_alpha(samples: AnyArray, n_colours: int) -> tuple[AnyArray, tuple[Notice, ...]]:
    """Split the transparency off an array (s, ...) whose sample `n_colours` is alpha, and say what it held."""
    alpha = samples[n_colours]
    opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1
    n_open = int(np.count_nonzero(alpha < opaque))
    told = "it was opaque everywhere" if n_open == 0 else f"{n_open} of {alpha.size} pixels were not opaque"
    keep = [s for s in range(samples.shape[0]) if s != n_colours]
    return samples[keep], (Notice("W_ALPHA_DROPPED", f"the transparency channel was left out; {told}."),)


def _stated(path: Path, pixel_size: tuple[float, ...], n: int) -> tuple[float, ...]:
    sizes = pixel_size * n if len(pixel_size) == 1 else pixel_size
    if len(sizes) != n or not all(math.isfinite(s) and s > 0 for s in sizes):
        raise usage_refusal(
            path,
            f"a stated pixel size of {pixel_size} µm",
            f"one number or {n} numbers above zero",
            remedy="Give one number, or one per axis in the order (z,) y, x.",
        )
    return tuple(float(s) for s in sizes)
