"""What a user may say about a file that the file does not say clearly itself, and what a probe found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medseg.errors import Notice
from medseg.grid import Grid


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options wherever a file is read.

    Parameters
    ----------
    series : str, optional
        Key of the DICOM series to read, or of the image of a file that holds several, as listed by `probe`.
    channel : str or int, optional
        Name or number of the only channel to keep.
    frame : int, optional
        Time point or page to read from a file that holds several.
    pixel_size : tuple of float, optional
        Spacing in micrometres, one number or one per array axis ([z,] y, x); overrides the file (pictures only).
    form : {"qform", "sform"}, optional
        Which of two contradicting NIfTI positions to believe.
    assume_orientation : str, optional
        Orientation such as "RAS" for files that store none.
    max_bytes : int
        Largest predicted size in memory that is read.
    """

    series: str | None = None
    channel: str | int | None = None
    frame: int | None = None
    pixel_size: tuple[float, ...] | None = None
    form: Literal["qform", "sform"] | None = None
    assume_orientation: str | None = None
    max_bytes: int = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One series of a DICOM folder, or one image of a file that holds several.

    Its key for `ReadOptions.series`, and a description: for DICOM without patient data, for files of microscopes
    the name that a person gave the image.
    """

    key: str
    description: str
    n_images: int
    shape: tuple[int, ...]
    is_localizer: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file is, told from its header alone.

    Parameters
    ----------
    path : str
    format : str
        ``nifti``, ``dicom``, ``nrrd``, ``mha``, ``tiff``, ``png``, ``jpeg`` ...
    grid : Grid
    dtype : str
        Type of the stored values, as a numpy name.
    channels : tuple of str
    n_bytes : int
        Predicted bytes of the array in memory.
    series : tuple of SeriesInfo
    warnings : tuple of Notice
    n_frames : int
        Time points or unnamed pages that the file holds, of which one is read.
    """

    path: str
    format: str
    grid: Grid
    dtype: str
    channels: tuple[str, ...]
    n_bytes: int
    series: tuple[SeriesInfo, ...] = ()
    warnings: tuple[Notice, ...] = ()
    n_frames: int = 1
