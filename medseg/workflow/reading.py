"""Read a case: one or several channel files -> one Volume, and the hashes of exactly the bytes it was made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medseg.errors import GeometryError, InputError, MedsegError
from medseg.io.options import ReadOptions
from medseg.io.read import read_with
from medseg.volume import Source, Volume
from medseg.workflow.hashing import digest, files_below
from medseg.workflow.inputs import Case
from medseg.workflow.litter import why_litter
from medseg.workflow.options import RunOptions
from medseg.workflow.record import InputFile

_HEADER_SUFFIXES = (".mhd", ".nhdr", ".mha", ".nrrd")
_HEADER_BYTES = 1 << 16


def read_case(case: Case, options: ReadOptions, channels: tuple[str, ...]) -> tuple[Volume, tuple[InputFile, ...]]:
    """Read the image of a case.

    Parameters
    ----------
    case : Case
    options : ReadOptions
    channels : tuple of str
        Names of the model's channels, given to channel files in order.

    Returns
    -------
    volume : Volume
    files : tuple of InputFile
        Hash and size of each file it was made of.

    Raises
    ------
    MedsegError
        If the image is refused, or a file changed while it was read.
    """
    if case.problem is not None:
        raise case.problem
    chosen = options if case.series is None else replace(options, series=case.series)
    volumes = [read_with(path, chosen) for path in case.files]
    volume = volumes[0] if len(volumes) == 1 else _stacked(case, volumes, channels)
    files = input_files(case)
    for path, part in zip(case.files, volumes, strict=True):
        _check_unchanged(case, path, part, files)
    return volume, files


def reading_for(options: RunOptions) -> ReadOptions:
    """Return how the image of a case is read: whole, where one of its channels tells positive objects apart."""
    if options.positive is None or options.positive.is_stain:
        return options.read
    return replace(options.read, channel=None)


def seen_by_model(volume: Volume, options: RunOptions) -> Volume:
    """Return the channels that the model looks at: all, or the one of ``--channel`` beside the channel of positives.

    Raises
    ------
    InputError
        If it is not clear which channel shows the objects.
    """
    positive = options.positive
    if positive is None or positive.is_stain:
        return volume
    marker = positive.channel_of(volume)
    wanted = options.read.channel
    if wanted is not None:
        at = wanted if isinstance(wanted, int) else _named(volume, wanted)
    else:
        others = [number for number in range(len(volume.channels)) if number != marker]
        at = others[0] if len(others) == 1 else -1
    if not 0 <= at < len(volume.channels):
        raise InputError(
            "E_DIMENSIONS_UNSUPPORTED",
            path=None if volume.source is None else volume.source.path,
            found=f"the channels {', '.join(volume.channels)}" + ("" if wanted is None else f", and not {wanted!r}"),
            expected="the name of the channel that shows the objects",
            not_done="the objects were not counted",
            remedy="Name it with --channel.",
        )
    return replace(volume, array=volume.numpy()[at : at + 1], channels=(volume.channels[at],))


def _named(volume: Volume, name: str) -> int:
    folded = [channel.casefold() for channel in volume.channels]
    return folded.index(name.casefold()) if name.casefold() in folded else -1


def input_files(case: Case) -> tuple[InputFile, ...]:
    """Return hash and size of every file that a case is made of.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE if one of them cannot be read.
    """
    found = []
    for path in _parts(case):
        try:
            part = digest(path)
        except OSError as error:
            raise _unreadable(path, (error.strerror or type(error).__name__).lower()) from error
        found.append(InputFile(path=case.relative(path), sha256=part.sha256, n_bytes=part.n_bytes))
    return tuple(found)


def _parts(case: Case) -> list[Path]:
    parts: list[Path] = []
    for path in case.files:
        if path.is_dir() and path.name.lower().endswith(".zarr"):
            parts += files_below(path)
        elif path.is_dir():
            names = sorted(os.listdir(path))
            parts += [path / name for name in names if why_litter(name) is None and (path / name).is_file()]
        else:
            parts += [path, *_companions(path)]
    return parts


def _companions(path: Path) -> list[Path]:
    """Return the file that a header names for its voxels; the header's own reader judges names that are unsafe."""
    if path.name.lower().endswith(".hdr"):
        return [image for image in (path.with_suffix(".img"), path.with_suffix(".IMG")) if image.is_file()][:1]
    if not path.name.lower().endswith(_HEADER_SUFFIXES):
        return []
    from medseg.io.image_space import inside_folder
    from medseg.io.itk_header import read_header

    try:
        with path.open("rb") as file:
            name = read_header(path, file.read(_HEADER_BYTES)).data_name
        return [] if name is None else [inside_folder(path, name)]
    except (MedsegError, OSError):
        return []


def _stacked(case: Case, volumes: Sequence[Volume], channels: tuple[str, ...]) -> Volume:
    """Join channel files that lie on one grid."""
    first = volumes[0]
    for path, other in zip(case.files[1:], volumes[1:], strict=True):
        if not first.grid.same_as(other.grid):
            raise GeometryError(
                "E_GEOMETRY_MISMATCH",
                path=path,
                found=repr(other.grid),
                expected=f"the grid of the first channel, {first.grid!r}",
                not_done="the channels were not joined",
                remedy="Resample the channels of one case to the same grid.",
            )
    array = np.concatenate([volume.numpy() for volume in volumes])
    names = channels if len(channels) == array.shape[0] else ()
    sources = [volume.source for volume in volumes if volume.source is not None]
    hashes = "".join(sorted(source.sha256 for source in sources))
    source = Source(
        path=str(case.files[0]),
        format=sources[0].format if sources else "",
        sha256=hashlib.sha256(hashes.encode()).hexdigest(),
        n_bytes=sum(source.n_bytes for source in sources),
        details=sources[0].details if sources else {},
    )
    warnings = tuple(dict.fromkeys(notice for volume in volumes for notice in volume.warnings))
    return Volume(array, first.grid, names, source, warnings)


def _check_unchanged(case: Case, path: Path, volume: Volume, files: tuple[InputFile, ...]) -> None:
    """Refuse a file whose bytes on disk are no longer those that were read."""
    if volume.source is None or path.is_dir():
        return
    names = {case.relative(part) for part in (path, *_companions(path))}
    hashes = sorted(file.sha256 for file in files if file.path in names)
    together = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    if volume.source.sha256 != together:
        raise _unreadable(path, "a file that changed while it was read")


def _unreadable(path: Path, found: str) -> InputError:
    return InputError(
        "E_INPUT_UNREADABLE",
        path=path,
        found=found,
        expected="a file that can be read to its end and stays as it is",
        not_done="the case was not segmented",
        remedy="Wait until the copy is complete, then run again with --resume.",
    )
