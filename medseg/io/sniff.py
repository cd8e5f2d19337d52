"""What kind of file is this? Answered from the file system and the first bytes, never from the name alone."""

from __future__ import annotations

import os
import stat
import zlib
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from pathlib import Path

from medseg.errors import InputError
from medseg.io.nifti_header import looks_like_nifti
from medseg.io.refusals import foreign_errors, unreadable, wrong_format

HEAD_BYTES = 4096
_READS = "NIfTI, DICOM, NRRD, MHA, TIFF, PNG, JPEG, OME-Zarr, CZI, LIF or ND2"
_EXPORT = "Export the image in one of these formats."
_DOWNLOAD = "Download the file again; open it in a text editor to see what it says."
_IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".dcm",
                   ".czi", ".lif", ".nd2")  # fmt: skip
_ZARR_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
_DICOM_SUFFIXES = (".dcm", ".ima")
_MOST_FILES = 5000

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"NRRD000", "nrrd"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"PK\x03\x04", "npz"),
    (b"\x93NUMPY", "npy"),
    (b"ZISRAWFILE", "czi"),
    (b"\xda\xce\xbe\n", "nd2"),
)
_NAMED: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a git-lfs pointer, not the data", "Fetch the data with: git lfs pull."),
    (b"/annex/objects/", "a git-annex pointer, not the data", "Fetch the data with: git annex get."),
    (
        b"\x00\x05\x16\x07",
        "a macOS side file (AppleDouble), not the data",
        "Use the file of the same name without '._'.",
    ),
    (b"\x89HDF\r\n", "an HDF5 or MINC file", _EXPORT),
    (b"CDF\x01", "a MINC or NetCDF file", _EXPORT),
    (b"BM", "a BMP picture", _EXPORT),
    (b"GIF8", "a GIF picture", _EXPORT),
    (b"%PDF", "a PDF document", _EXPORT),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _EXPORT),
    (b"{", "a text file (JSON)", _DOWNLOAD),
)


def sniff(path: Path) -> str:
    """Return the format of a file or folder.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
        ``nifti``, ``nifti.gz``, ``analyze``, ``dicom``, ``dicom-folder``, ``nrrd``, ``mha``, ``mhd``, ``tiff``,
        ``png``, ``jpeg``, ``zarr``, ``czi``, ``lif``, ``nd2``, ``npz`` or ``npy``.

    Raises
    ------
    InputError
        For everything else, in words: nothing there, a pipe, a link to nothing, no bytes, a web page, a pointer of a
        version control system, a folder without images.
    """
    path = Path(path)
    with foreign_errors(path):
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            return _folder_format(path)
        if not stat.S_ISREG(mode):
            raise wrong_format(path, "a pipe, socket or device", "a regular file", "Save the data into a file first.")
        return _file_format(path)


def looks_like_dicom(path: Path) -> bool:
    """Tell whether a regular file begins as DICOM does, with or without its preamble."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return _is_dicom(file.read(HEAD_BYTES)) or path.name.lower().endswith(_DICOM_SUFFIXES)
    except OSError:
        return False


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise unreadable(
                path, "a link to a file that is not there", "a file", "Restore the file that the link names."
            ) from None
        raise
    except (NotADirectoryError, ValueError) as error:
        raise unreadable(path, "nothing there", "a file or folder", "Check the spelling of the path.") from error


def _file_format(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise InputError(
            "E_INPUT_EMPTY",
            path=path,
            found="0 bytes",
            expected="an image",
            not_done="it was not read",
            remedy="Copy or download the file again.",
        )
    if head.startswith(b"\x1f\x8b"):
        return _inside_gzip(path, head)
    for test in (_nifti_format, _magic_format, _header_text_format):
        found = test(path, head)
        if found is not None:
            return found
    if _is_dicom(head):
        return "dicom"
    raise _unknown(path, head)


def _nifti_format(path: Path, head: bytes) -> str | None:
    name = path.name.lower()
    if name.endswith(".img") and path.with_suffix(".hdr").exists():
        raise wrong_format(
            path, "the image half of a pair of files", "its header half", f"Name the file {path.stem}.hdr instead."
        )
    if not looks_like_nifti(head):
        return None
    if name.endswith(".nii.gz"):
        raise wrong_format(
            path,
            "a NIfTI file that is named .nii.gz but is not gzip",
            "gzip data under that name",
            "Rename the file so that it ends in .nii.",
        )
    has_magic = head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2")
    return "nifti" if has_magic or name.endswith(".nii") else "analyze"


def _magic_format(path: Path, head: bytes) -> str | None:
    found = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
    if head[:4] == b"\x70\0\0\0" and head[8:9] == b"\x2a":
        return "lif"
    if found == "npz" and not path.name.lower().endswith(".npz"):
        raise wrong_format(path, "a ZIP archive", _READS, "Unpack it and give the images inside.")
    return found


def _header_text_format(path: Path, head: bytes) -> str | None:
    first = head.lstrip().split(b"=", 1)[0].strip()
    if first in (b"ObjectType", b"NDims", b"Comment", b"ObjectSubType") and b"NDims" in head:
        return "mhd" if path.name.lower().endswith(".mhd") else "mha"
    return None


def _is_dicom(head: bytes) -> bool:
    if head[128:132] == b"DICM":
        return True
    # Without a preamble the data begin with the file meta group or the identifying group, the lowest tags there are.
    little, big = head[:2] in (b"\x02\0", b"\x08\0"), head[:2] in (b"\0\x02", b"\0\x08")
    if (little and head[3:4] == b"\0") or (big and head[2:3] == b"\0"):
        return len(head) > 8
    return False


def _inside_gzip(path: Path, head: bytes) -> str:
    if path.name.lower().endswith(".nii"):
        raise wrong_format(
            path,
            "gzip data that are named .nii",
            "plain NIfTI under that name",
            "Rename the file so that it ends in .nii.gz.",
        )
    try:
        inside = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error as error:
        raise unreadable(path, f"damaged compressed data ({error})", "a complete gzip file") from error
    if len(inside) < 348:
        raise unreadable(path, f"compressed data that hold {len(inside)} bytes", "at least a header of 348 bytes")
    if looks_like_nifti(inside):
        return "nifti.gz"
    raise wrong_format(path, "gzip data that hold no NIfTI image", _READS, "Unpack it and look at what is inside.")


def _unknown(path: Path, head: bytes) -> InputError:
    for magic, found, remedy in _NAMED:
        if head.startswith(magic):
            return wrong_format(path, found, f"an image: {_READS}", remedy)
    text = head.lstrip()[:200].lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body")):
        return wrong_format(
            path, "a web page, probably of a download that failed", f"an image: {_READS}", "Download the file again."
        )
    if _is_text(head):
        return wrong_format(path, "a text file", f"an image: {_READS}", _DOWNLOAD)
    return wrong_format(path, "content of an unknown kind", _READS, _EXPORT)


def _is_text(head: bytes) -> bool:
    try:
        text = getincrementaldecoder("utf-8")().decode(head)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c.isspace() for c in text)


def _folder_format(path: Path) -> str:
    if path.name.lower().endswith(".zarr") or any((path / name).exists() for name in _ZARR_FILES):
        return "zarr"
    if path.name.lower().endswith(_IMAGE_SUFFIXES):
        raise wrong_format(path, "a folder that is named like an image file", "a file", "Give the files inside it.")
    n_files = 0
    for file in _files_below(path):
        n_files += 1
        if looks_like_dicom(file):
            return "dicom-folder"
    if n_files == 0:
        raise _empty(path, "a folder without files")
    raise _empty(path, f"a folder of {n_files} files, none of them DICOM")


def _files_below(path: Path) -> Iterator[Path]:
    fail: Callable[[OSError], None] | None = _reraise
    n_seen = 0
    for folder, folders, names in os.walk(path, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            n_seen += 1
            if not name.startswith("._") and n_seen <= _MOST_FILES:
                yield Path(folder, name)


def _reraise(error: OSError) -> None:
    raise error


def _empty(path: Path, found: str) -> InputError:
    return InputError(
        "E_INPUT_EMPTY",
        path=path,
        found=found,
        expected="a file, or a folder with a DICOM series",
        not_done="no images were read",
        remedy="Give the path of an image, or of the folder that holds the series.",
    )
