"""DICOM objects that are no scans: their names, and what to do instead."""

from __future__ import annotations

_CONTOURS = "Convert the contours to a label image on the grid of the scan, or give the scan itself"
_DRAWN = "Give the scan that it was drawn on, or convert it to a NIfTI label image"
_SCAN = "Give the folder with the slices of the scan"

_BY_CLASS: dict[str, tuple[str, str]] = {
    "1.2.840.10008.1.3.10": ("a DICOMDIR, the table of contents of a medium", _SCAN),
    "1.2.840.10008.5.1.4.1.1.66.4": ("a DICOM segmentation (SEG)", _DRAWN),
    "1.2.840.10008.5.1.4.1.1.66.5": ("a DICOM surface segmentation", _DRAWN),
    "1.2.840.10008.5.1.4.1.1.66.7": ("a DICOM label map segmentation (SEG)", _DRAWN),
    "1.2.840.10008.5.1.4.1.1.481.2": ("a radiotherapy dose grid (RTDOSE)", _SCAN),
    "1.2.840.10008.5.1.4.1.1.481.3": ("radiotherapy contours (RTSTRUCT)", _CONTOURS),
    "1.2.840.10008.5.1.4.1.1.77.1.6": ("a whole-slide microscopy image", "Export the level to be read as TIFF"),
    "1.2.840.10008.5.1.4.1.1.67": ("a real-world value mapping", _SCAN),
}
_BY_CLASS_START: tuple[tuple[str, str, str], ...] = (
    ("1.2.840.10008.5.1.4.1.1.88.", "a structured report (SR)", _SCAN),
    ("1.2.840.10008.5.1.4.1.1.481.", "a radiotherapy plan or record", _SCAN),
    ("1.2.840.10008.5.1.4.1.1.11.", "a presentation state", _SCAN),
    ("1.2.840.10008.5.1.4.1.1.9.", "a waveform", _SCAN),
    ("1.2.840.10008.5.1.4.1.1.104.", "an encapsulated document", _SCAN),
    ("1.2.840.10008.5.1.4.1.1.91.", "microscopy annotations", _SCAN),
)
_BY_MODALITY: dict[str, tuple[str, str]] = {
    "SEG": ("a DICOM segmentation (SEG)", _DRAWN),
    "RTSTRUCT": ("radiotherapy contours (RTSTRUCT)", _CONTOURS),
    "RTDOSE": ("a radiotherapy dose grid (RTDOSE)", _SCAN),
    "RTPLAN": ("a radiotherapy plan", _SCAN),
    "SR": ("a structured report (SR)", _SCAN),
    "SM": ("a whole-slide microscopy image", "Export the level to be read as TIFF"),
    "KO": ("a selection of key images", _SCAN),
    "PR": ("a presentation state", _SCAN),
}


class NotScanError(ValueError):
    """A valid DICOM object that holds no scan.

    Attributes
    ----------
    code : str
        Error code when there is nothing else to read.
    what, remedy : str
        Its name in words, and what to do instead.
    """

    def __init__(self, code: str, what: str, remedy: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.remedy = remedy


def known_object(sop_class: str, modality: str) -> NotScanError | None:
    """Return what an object is if its class or modality says that it is no scan.

    Examples
    --------
    >>> known_object("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT").what
    'radiotherapy contours (RTSTRUCT)'
    >>> known_object("1.2.840.10008.5.1.4.1.1.2", "CT") is None
    True
    """
    if sop_class in _BY_CLASS:
        return NotScanError("E_INPUT_FORMAT", *_BY_CLASS[sop_class])
    for start, what, remedy in _BY_CLASS_START:
        if sop_class.startswith(start):
            return NotScanError("E_INPUT_FORMAT", what, remedy)
    if modality in _BY_MODALITY:
        return NotScanError("E_INPUT_FORMAT", *_BY_MODALITY[modality])
    return None


def without_pixels(name: str) -> NotScanError:
    """Return what an object without pixels is; `name` is the name of its class."""
    return NotScanError("E_INPUT_FORMAT", f"a DICOM object without an image ({name})", _SCAN)


def colour() -> NotScanError:
    """Return what an image in colour is: a screenshot, a photograph, an ultrasound frame."""
    remedy = "Give the series of the scan itself; export a colour picture as PNG or TIFF"
    return NotScanError("E_DIMENSIONS_UNSUPPORTED", "a colour image (a screenshot or photograph), not a scan", remedy)
