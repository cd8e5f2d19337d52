"""What is this file? Told from its header, before any voxel is read."""

from __future__ import annotations

import os
from pathlib import Path

from medseg.io.formats import prober_of
from medseg.io.options import Probe, ReadOptions
from medseg.io.refusals import foreign_errors
from medseg.io.sniff import sniff


def probe(path: str | os.PathLike[str], *, options: ReadOptions | None = None) -> Probe:
    """Return grid, type, channels, series and warnings of a file or DICOM folder.

    Parameters
    ----------
    path : path-like
        A file, a DICOM folder or an OME-Zarr folder.
    options : ReadOptions, optional

    Raises
    ------
    MedsegError
        If `read` would refuse it because of its header, its size or its kind.
    """
    path = Path(path)
    with foreign_errors(path):
        return prober_of(sniff(path), path)(path, options or ReadOptions())
