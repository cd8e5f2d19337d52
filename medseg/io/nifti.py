"""NIfTI file -> `Volume`: own header check, then one pass over the voxels, into one array of the stored type."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import MedsegError, Notice, UsageError
from medseg.io.choice import several_frames
from medseg.io.gzip_stream import MAX_DEFLATE_RATIO, PIECE, ByteStream
from medseg.io.memory import check_size
from medseg.io.nifti_geometry import Placed, place
from medseg.io.nifti_header import SIZE_1, SIZE_2, NiftiHeader, check_extensions, header_size, parse_header
from medseg.io.options import Probe, ReadOptions
from medseg.io.refusals import foreign_errors, unreadable, unsupported_axes
from medseg.volume import Source, Volume


@dataclass(frozen=True, slots=True)
class OpenNifti:
    """A NIfTI file whose header passed every check; the stream stands at the first voxel.

    Attributes
    ----------
    header : NiftiHeader
    placed : Placed
    stream : ByteStream
    first : int
        Number of voxels before the chosen time point.
    other_files : tuple of (str, int)
        Hash and size of the header file of a pair.
    """

    header: NiftiHeader
    placed: Placed
    stream: ByteStream
    first: int
    other_files: tuple[tuple[str, int], ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values in memory."""
        return _type_in_memory(self.header)


def probe_nifti(path: Path, options: ReadOptions) -> Probe:
    """Tell from the header alone what a NIfTI file holds.

    Parameters
    ----------
    path : Path
    options : ReadOptions
        `form`, `assume_orientation`, `frame`, `channel` and `max_bytes` are obeyed.

    Raises
    ------
    MedsegError
        For a file that `read_nifti` would refuse because of its header or size.
    """
    with open_nifti(path, options, hashed=False) as opened:
        return Probe(
            path=str(path),
            format="nifti",
            grid=opened.placed.grid,
            dtype=opened.dtype.name,
            channels=("0",),
            n_bytes=opened.placed.grid.n_voxels * opened.dtype.itemsize,
            warnings=opened.placed.notices,
            n_frames=prod(opened.header.shape[3:]),
        )


def read_nifti(path: Path, options: ReadOptions) -> Volume:
    """Read a NIfTI file; the array is (1, i, j, k) as stored, in Fortran order.

    The values keep their stored type; where the header scales them they become float32. The file is read to its
    end, so that its checksum and length are always verified.

    Parameters
    ----------
    path : Path
    options : ReadOptions

    Raises
    ------
    MedsegError
        E_INPUT_UNREADABLE for a damaged or incomplete file, E_TOO_LARGE before anything large is allocated, and the
        codes of the header.
    """
    with open_nifti(path, options) as opened:
        stream, grid = opened.stream, opened.placed.grid
        itemsize = opened.header.dtype.itemsize
        stream.skip(opened.first * itemsize)
        flat = _voxels(opened)
        rest = prod(opened.header.shape) - opened.first - grid.n_voxels
        stream.skip(rest * itemsize)
        surplus = stream.finish()
        array = flat.reshape(grid.shape[::-1]).T[np.newaxis]
        notices = opened.placed.notices + _trailing_notices(stream, surplus)
        return Volume(array, grid, source=_source(path, opened), warnings=notices)


@contextmanager
def open_nifti(path: Path, options: ReadOptions, *, hashed: bool = True) -> Iterator[OpenNifti]:
    """Open a file, check its header and size, and leave the stream at the first voxel.

    Raises
    ------
    MedsegError
        Everything that can be refused without reading voxels.
    """
    with foreign_errors(path), ByteStream(path, hashed=hashed) as stream:
        head = _head(stream)
        header = parse_header(head, path)
        if header.kind == "single":
            _pass_extensions(stream, header, path)
            yield _checked(path, header, stream, options)
            return
        stream.finish()
        other = ((stream.sha256, stream.file_bytes),)
        _place(header, path, options)  # a header without a position is refused with or without its image half
        image_path = _companion(path)
        with foreign_errors(image_path), ByteStream(image_path) as image:
            image.skip(header.offset)
            yield replace(_checked(path, header, image, options), other_files=other)


def _head(stream: ByteStream) -> bytes:
    try:
        start = stream.read(12)
        return start + stream.read(header_size(start) - 12)
    except MedsegError as error:
        if stream.is_gzip:
            raise
        raise unreadable(
            stream.path,
            f"{stream.file_bytes} bytes",
            f"a NIfTI header of {SIZE_1} or {SIZE_2} bytes and the voxels behind it",
        ) from error


def _pass_extensions(stream: ByteStream, header: NiftiHeader, path: Path) -> None:
    size = SIZE_1 if header.version == 1 else SIZE_2
    order = ">" if header.dtype.byteorder == ">" else "<"
    _check_promise(stream, header.offset)
    check_extensions(stream.read(header.offset - size), order, path)


def _checked(path: Path, header: NiftiHeader, stream: ByteStream, options: ReadOptions) -> OpenNifti:
    placed, first = _place(header, path, options)
    opened = OpenNifti(header, placed, stream, first)
    _check_promise(stream, header.offset + prod(header.shape) * header.dtype.itemsize)
    return opened


def _place(header: NiftiHeader, path: Path, options: ReadOptions) -> tuple[Placed, int]:
    shape, first = _chosen_axes(header.shape, path, options)
    check_size(path, prod(shape) * _type_in_memory(header).itemsize, options.max_bytes)
    return place(header, shape, path, options), first


def _type_in_memory(header: NiftiHeader) -> np.dtype[Any]:
    return np.dtype(np.float32) if header.is_scaled else header.dtype.newbyteorder("=")


def _check_promise(stream: ByteStream, content_bytes: int) -> None:
    """Refuse a file that is too small for the content that its header promises, before anything is allocated."""
    possible = stream.file_bytes * (MAX_DEFLATE_RATIO if stream.is_gzip else 1)
    if content_bytes > possible:
        raise unreadable(
            stream.path,
            f"a file of {stream.file_bytes} bytes",
            f"{content_bytes} bytes of content, as its header says",
        )


def _chosen_axes(shape: tuple[int, ...], path: Path, options: ReadOptions) -> tuple[tuple[int, ...], int]:
    """Return the three axes in space, and the number of voxels before the chosen time point or channel."""
    if len(shape) < 3:
        raise unsupported_axes(
            path,
            f"{len(shape)} axes",
            "3 axes in space",
            "Store the image as a volume of one slice, or as PNG or TIFF.",
        )
    space, n_more = shape[:3], prod(shape[3:])
    choice = options.frame
    if choice is None and options.channel is not None and str(options.channel).isdecimal():
        choice = int(options.channel)
    is_series = sum(n > 1 for n in shape[3:]) == 1
    if n_more > 1 and (choice is None or not is_series):
        found = f"{len(shape)} axes ({'x'.join(str(n) for n in shape)}): {n_more} volumes in one file"
        if is_series:
            raise several_frames(path, found, n_more, options)
        raise unsupported_axes(path, found, "one volume", "Export one volume per file.")
    if choice is not None and not 0 <= choice < n_more:
        raise UsageError(
            "E_USAGE",
            path=path,
            found=f"a request for volume {choice}",
            expected=f"a number from 0 to {n_more - 1}",
            not_done="the image was not read",
            remedy="Leave the option out, or give a number in that range.",
        )
    return space, (choice or 0) * prod(space)


def _voxels(opened: OpenNifti) -> npt.NDArray[Any]:
    n = opened.placed.grid.n_voxels
    if opened.header.is_scaled:
        return _scaled(opened, n)
    flat = np.empty(n, dtype=opened.header.dtype)
    opened.stream.fill(flat.view(np.uint8).data)
    if not flat.dtype.isnative:
        flat = flat.byteswap(inplace=True).view(opened.dtype)
    return flat


def _scaled(opened: OpenNifti, n: int) -> npt.NDArray[np.float32]:
    # Piece by piece: the peak is one float32 array, and float64 keeps large stored integers exact on the way.
    header = opened.header
    result = np.empty(n, dtype=np.float32)
    piece = np.empty(min(n, PIECE // header.dtype.itemsize), dtype=header.dtype)
    for start in range(0, n, len(piece)):
        part = piece[: n - start]
        opened.stream.fill(part.view(np.uint8).data)
        with np.errstate(over="ignore", invalid="ignore"):
            result[start : start + len(part)] = part.astype(np.float64) * header.slope + header.inter
    return result


def _trailing_notices(stream: ByteStream, surplus: int) -> tuple[Notice, ...]:
    if not (surplus or stream.has_trailing_garbage):
        return ()
    what = f"{surplus} bytes" if surplus else "Bytes that are no compressed data"
    return (Notice("W_TRAILING_DATA", f"{what} follow the last voxel in the file; they were ignored."),)


def _source(path: Path, opened: OpenNifti) -> Source:
    files = sorted([*opened.other_files, (opened.stream.sha256, opened.stream.file_bytes)])
    digest = files[0][0]
    if len(files) > 1:
        digest = hashlib.sha256("".join(name for name, _ in files).encode()).hexdigest()
    return Source(
        path=str(path),
        format="nifti",
        sha256=digest,
        n_bytes=sum(size for _, size in files),
        details={
            **opened.placed.details,
            "nifti_version": opened.header.version,
            "stored_dtype": opened.header.dtype.name,
            "slope": opened.header.slope,
            "inter": opened.header.inter,
        },
    )


def _companion(path: Path) -> Path:
    name = path.name
    for suffix, other in ((".hdr.gz", ".img.gz"), (".hdr", ".img"), (".HDR", ".IMG")):
        if name.endswith(suffix):
            found = path.with_name(name[: -len(suffix)] + other)
            if found.is_file():
                return found
            break
    raise unreadable(
        path,
        "the header half of a pair of files, without the image half",
        "a file of the same name ending in .img beside it",
        "Put both files into one folder under the same name.",
    )
