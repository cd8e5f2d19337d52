"""One DICOM file -> the facts about each of its slices; no pixels, no patient data."""

from __future__ import annotations

import hashlib
import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from medseg.io import dicom_objects
from medseg.io.dicom_enhanced import first, frames_of, number, numbers, text
from medseg.io.dicom_slice import Moment, SliceHeader, Stored
from medseg.io.dicom_structure import (
    DOUBLE_PIXELS,
    FLOAT_PIXELS,
    PIXEL_DATA,
    DamagedDicomError,
    NotDicomError,
    Skeleton,
    opened,
)

PARSE_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on damaged bytes (measured); anything else is a fault of ours."""

_TAGS = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "AcquisitionNumber",
    "AcquisitionTime",
    "EchoNumbers",
    "EchoTime",
    "TriggerTime",
    "TemporalPositionIdentifier",
    "DiffusionBValue",
    "ImagesInAcquisition",
    "NumberOfSlices",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "PlanarConfiguration",
    "PixelSpacing",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_BITS = {PIXEL_DATA: (8, 16, 32), FLOAT_PIXELS: (32,), DOUBLE_PIXELS: (64,)}
_LOCALIZER = ("LOCALIZER", "SCOUT")

MAX_FRAMES = 65536
"""Most frames of one file; more is a mistake or an attack."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom: its warnings quote values, and values may be names."""
    log = logging.getLogger("pydicom")
    before = log.disabled
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = before


def slices_of_file(path: Path) -> tuple[SliceHeader, ...]:
    """Read the header of one file, and no pixels.

    Raises
    ------
    NotDicomError, DamagedDicomError, NotScanError
        If the file is of another kind, damaged, or a DICOM object that is no scan.
    """
    with path.open("rb") as stream:
        n_bytes = stream.seek(0, io.SEEK_END)
        plain, skeleton = opened(stream)
        dataset = parsed(plain)
        plain.seek(0)
        mark = header_mark(plain.read(skeleton.pixels_at))
    try:
        with quiet():
            stored = _stored(dataset, skeleton, mark)
            frames = frames_of(dataset, stored.n_frames)
            return tuple(_slice(places, k, stored, skeleton, path, n_bytes) for k, places in enumerate(frames))
    except (DamagedDicomError, NotDicomError, dicom_objects.NotScanError):
        raise
    except PARSE_FAULTS:
        raise DamagedDicomError("has a header with values that cannot be understood") from None


def header_mark(header: bytes) -> str:
    """Return a hash that tells whether a header is still the one that was read."""
    return hashlib.blake2b(header, digest_size=16).hexdigest()


def parsed(stream: BinaryIO, *, pixels: bool = False) -> Any:
    """Return the pydicom dataset with the elements that matter here, with or without the pixels."""
    import pydicom

    tags = [*_TAGS, "PixelData", "FloatPixelData", "DoubleFloatPixelData"] if pixels else _TAGS
    try:
        with quiet():
            return pydicom.dcmread(stream, stop_before_pixels=not pixels, force=True, specific_tags=list(tags))
    except PARSE_FAULTS:
        raise DamagedDicomError("cannot be parsed as DICOM") from None


def _stored(dataset: Any, skeleton: Skeleton, mark: str) -> Stored:
    sop_class = str(dataset.get("SOPClassUID") or skeleton.media_class)
    modality = str(dataset.get("Modality") or "")
    rows, columns = dataset.get("Rows"), dataset.get("Columns")
    _check_is_scan(dataset, skeleton, sop_class, modality)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    photometric = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").strip()
    if samples != 1 or not photometric.startswith("MONOCHROME"):
        raise dicom_objects.colour()
    bits = int(dataset.BitsAllocated)
    if not rows or not columns or bits not in _BITS[skeleton.pixel_tag or PIXEL_DATA]:
        raise DamagedDicomError(f"declares an impossible image of {rows} x {columns} with {bits} bits")
    if dataset.get("ModalityLUTSequence"):
        what = "an image whose values go through a lookup table"
        raise dicom_objects.NotScanError("E_INPUT_FORMAT", what, "Export the scan with a rescale slope and intercept")
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    if not 1 <= n_frames <= MAX_FRAMES:
        raise DamagedDicomError(f"declares {n_frames} frames")
    _check_pixel_bytes(skeleton.pixel_bytes, int(rows), int(columns), n_frames, bits)
    bits_stored = int(dataset.get("BitsStored") or bits)
    if not 1 <= bits_stored <= bits:
        raise DamagedDicomError(f"declares {bits_stored} bits stored in {bits}")
    return Stored(
        rows=int(rows),
        columns=int(columns),
        n_frames=n_frames,
        bits_allocated=bits,
        bits_stored=bits_stored,
        is_signed=bool(dataset.get("PixelRepresentation", 0)),
        photometric=photometric,
        pixel_tag=skeleton.pixel_tag or PIXEL_DATA,
        transfer_syntax=skeleton.transfer_syntax,
        is_deflated=skeleton.is_deflated,
        pixels_at=skeleton.pixels_at,
        header_mark=mark,
    )


def _check_pixel_bytes(found: int | None, rows: int, columns: int, n_frames: int, bits: int) -> None:
    declared = rows * columns * n_frames * bits // 8
    # A spare line or more means that the number of rows or columns may be wrong, and the image sheared.
    if found is not None and not declared <= found < declared + max(min(rows, columns) * bits // 8, 2):
        raise DamagedDicomError(f"declares an image of {declared} bytes and holds {found}")


def _check_is_scan(dataset: Any, skeleton: Skeleton, sop_class: str, modality: str) -> None:
    import pydicom

    if not (sop_class or modality or dataset.get("Rows")):
        if skeleton.has_preamble:
            raise DamagedDicomError("holds nothing that can be understood after its file header")
        raise NotDicomError("is no DICOM file")
    if (known := dicom_objects.known_object(sop_class, modality)) is not None:
        raise known
    if skeleton.pixel_tag is not None:
        return
    name = str(pydicom.uid.UID(sop_class).name) if sop_class else modality
    if dataset.get("Rows") or "Image Storage" in name:
        raise DamagedDicomError("ends before its pixels, or holds none")
    raise dicom_objects.without_pixels(name)


def _slice(
    places: tuple[Any, ...], frame: int, stored: Stored, skeleton: Skeleton, path: Path, n_bytes: int
) -> SliceHeader:
    dataset = places[-1]
    image_type = text(places, "FrameType") or text(places, "ImageType")
    # A position for the file as a whole says nothing about each of several frames.
    has_position = stored.n_frames == 1 or len(places) > 1
    slope, intercept = number(places, "RescaleSlope"), number(places, "RescaleIntercept")
    if slope == 0 or (slope is None and first(places, "RescaleSlope") not in (None, "")):
        raise DamagedDicomError("has a rescale slope that is zero or no number")
    sop_uid = text((dataset,), "SOPInstanceUID")
    return SliceHeader(
        path=path,
        frame=frame,
        n_bytes=n_bytes,
        has_preamble=skeleton.has_preamble,
        series_uid=text((dataset,), "SeriesInstanceUID"),
        sop_uid=sop_uid,
        frame_of_reference=text((dataset,), "FrameOfReferenceUID"),
        modality=text((dataset,), "Modality"),
        is_localizer=any(word in image_type.upper() for word in _LOCALIZER),
        stored=stored,
        position=numbers(places, "ImagePositionPatient", 3) if has_position else None,
        orientation=numbers(places, "ImageOrientationPatient", 6),
        pixel_spacing=numbers(places, "PixelSpacing", 2),
        thickness=number(places, "SliceThickness"),
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
        padding=_padding(dataset),
        n_declared=_declared(dataset),
        moment=_moment(places, image_type, sop_uid if stored.n_frames > 1 else ""),
    )


def _moment(places: tuple[Any, ...], image_type: str, multiframe: str) -> Moment:
    return Moment(
        temporal_position=text(places, "TemporalPositionIndex") or text(places, "TemporalPositionIdentifier"),
        echo_number=text(places, "EchoNumbers"),
        stack=text(places, "StackID"),
        image_type=image_type,
        b_value=text(places, "DiffusionBValue"),
        trigger_time=text(places, "NominalCardiacTriggerDelayTime") or text(places, "TriggerTime"),
        echo_time=text(places, "EffectiveEchoTime") or text(places, "EchoTime"),
        acquisition=text(places, "FrameAcquisitionNumber") or text(places, "AcquisitionNumber"),
        acquisition_time=text(places, "AcquisitionTime"),
        multiframe=multiframe,
    )


def _padding(dataset: Any) -> tuple[float, float] | None:
    value = number((dataset,), "PixelPaddingValue")
    if value is None:
        return None
    limit = number((dataset,), "PixelPaddingRangeLimit")
    other = value if limit is None else limit
    return min(value, other), max(value, other)


def _declared(dataset: Any) -> int | None:
    value = number((dataset,), "ImagesInAcquisition") or number((dataset,), "NumberOfSlices")
    return None if value is None else int(value)
