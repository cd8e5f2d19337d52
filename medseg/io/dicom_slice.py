"""What is known about one DICOM slice before its pixels are read: values only, without patient data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.io.dicom_structure import BIG_ENDIAN, EXPLICIT, IMPLICIT


@dataclass(frozen=True, slots=True)
class Stored:
    """How the pixels of a file are stored.

    `pixels_at` is their place in the (inflated) bytes, `header_mark` a hash of the bytes before it: a file that still
    has the mark has the same header.
    """

    rows: int
    columns: int
    n_frames: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    photometric: str
    pixel_tag: int
    transfer_syntax: str
    is_deflated: bool
    pixels_at: int
    header_mark: str

    @property
    def is_compressed(self) -> bool:
        """Whether the pixels are a stream of compressed frames."""
        return self.transfer_syntax not in (IMPLICIT, EXPLICIT, BIG_ENDIAN)

    @property
    def needs_decoder(self) -> bool:
        """Whether the pixels are more than a plain array (single bytes in big-endian words are swapped)."""
        return self.is_compressed or (self.transfer_syntax == BIG_ENDIAN and self.bits_allocated == 8)


@dataclass(frozen=True, slots=True)
class Moment:
    """What tells slices at one position apart: phase, echo, weighting. Texts as stored, empty where absent."""

    temporal_position: str = ""
    echo_number: str = ""
    stack: str = ""
    image_type: str = ""
    b_value: str = ""
    trigger_time: str = ""
    echo_time: str = ""
    acquisition: str = ""
    acquisition_time: str = ""
    multiframe: str = ""


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One slice: a single-frame file, or one frame of a multi-frame file. Positions are DICOM's own LPS millimetres.

    Parameters
    ----------
    path : Path
    frame : int
        Index of the frame in the file.
    n_bytes : int
        Size of the file.
    position, orientation, pixel_spacing : tuple of float or None
        Centre of the first voxel; directions along a row and down a column; mm between rows and between columns.
    thickness : float or None
    slope, intercept : float
    padding : (float, float) or None
        Lowest and highest stored value that mean "outside the scan".
    n_declared : int or None
        Number of images that the series says it has.
    """

    path: Path
    frame: int
    n_bytes: int
    has_preamble: bool
    series_uid: str
    sop_uid: str
    frame_of_reference: str
    modality: str
    is_localizer: bool
    stored: Stored
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness: float | None
    slope: float
    intercept: float
    padding: tuple[float, float] | None
    n_declared: int | None
    moment: Moment
