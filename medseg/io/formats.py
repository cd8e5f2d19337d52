"""Which module reads which format; each is imported when the first such file is met."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from medseg.io.options import Probe, ReadOptions
from medseg.volume import Volume

READERS: dict[str, tuple[str, str]] = {
    "nifti": ("medseg.io.nifti", "nifti"),
    "nifti.gz": ("medseg.io.nifti", "nifti"),
    "analyze": ("medseg.io.nifti", "nifti"),
    "dicom": ("medseg.io.dicom", "dicom"),
    "dicom-folder": ("medseg.io.dicom", "dicom"),
    "nrrd": ("medseg.io.itk", "itk"),
    "mha": ("medseg.io.itk", "itk"),
    "mhd": ("medseg.io.itk", "itk"),
    "tiff": ("medseg.io.tiff", "tiff"),
    "png": ("medseg.io.picture", "picture"),
    "jpeg": ("medseg.io.picture", "picture"),
    "zarr": ("medseg.io.zarr", "zarr"),
    "czi": ("medseg.io.czi", "czi"),
    "lif": ("medseg.io.lif", "lif"),
    "nd2": ("medseg.io.nd2", "nd2"),
    "npz": ("medseg.io.npz", "npz"),
    "npy": ("medseg.io.npz", "npz"),
}
"""Format as `sniff` names it -> module, and the ending of its functions ``probe_...`` and ``read_...``."""


def prober_of(kind: str, path: Path) -> Callable[[Path, ReadOptions], Probe]:
    """Return the function that probes a format."""
    return _function("probe", kind, path)


def reader_of(kind: str, path: Path) -> Callable[[Path, ReadOptions], Volume]:
    """Return the function that reads a format."""
    return _function("read", kind, path)


def _function(verb: str, kind: str, path: Path) -> Callable[..., Any]:
    module, ending = READERS[kind]
    return getattr(import_module(module), f"{verb}_{ending}")
