"""The endings that image files have, and names without them."""

from __future__ import annotations

IMAGE_SUFFIXES = (
    ".nii.gz", ".ome.tiff", ".ome.tif", ".ome.zarr", ".nii", ".hdr", ".img", ".nrrd", ".nhdr", ".mha", ".mhd",
    ".tiff", ".tif", ".png", ".jpeg", ".jpg", ".zarr", ".czi", ".lif", ".nd2", ".npz", ".npy", ".dcm",
    ".ima",
)  # fmt: skip
"""Suffixes that an image may have; the double ones come first and are taken off as one."""


def split_suffix(name: str) -> tuple[str, str]:
    """Split a file name before its image suffix; an unknown suffix is part of the name.

    Examples
    --------
    >>> split_suffix("pat.01.v2.nii.gz"), split_suffix("IM.0001")
    (('pat.01.v2', '.nii.gz'), ('IM.0001', ''))
    """
    lower = name.lower()
    for suffix in IMAGE_SUFFIXES:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], name[-len(suffix) :]
    return name, ""
