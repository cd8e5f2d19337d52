"""What can go wrong, in words: one root error, stable codes, and notices for what was read with reservations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ERROR_CODES: dict[str, str] = {
    "E_INPUT_UNREADABLE": "the file is damaged, incomplete or cannot be opened",
    "E_INPUT_EMPTY": "the file or folder holds nothing to work on",
    "E_INPUT_FORMAT": "the content is not of a format that medseg reads",
    "E_PERMISSION": "the operating system refused access",
    "E_UNSAFE_CONTENT": "the content could run code or exhaust the machine",
    "E_PATH_UNSAFE": "a file names another file outside its own folder, or a name is not a plain name",
    "E_TOO_LARGE": "the image would not fit into memory",
    "E_GEOMETRY_INVALID": "the position of the voxels in space is impossible",
    "E_GEOMETRY_AMBIGUOUS": "the position of the voxels in space is not known for sure",
    "E_GEOMETRY_MISMATCH": "two images that belong together lie on different grids",
    "E_DIMENSIONS_UNSUPPORTED": "the number or kind of axes is not supported",
    "E_SERIES_AMBIGUOUS": "a folder or file holds several series and none was chosen",
    "E_SERIES_INCOMPLETE": "slices are missing",
    "E_SERIES_NONUNIFORM": "slices are unevenly spaced",
    "E_VALUES_NONFINITE": "too many values are not numbers",
    "E_LABELS_INVALID": "the values are not valid labels",
    "E_OUTPUT_NONFINITE": "the network answered with values that are not numbers",
    "E_BUNDLE_UNSAFE": "the model folder holds content that could run code",
    "E_BUNDLE_INTEGRITY": "the model folder is damaged",
    "E_BUNDLE_INCOMPATIBLE": "the model folder is not one that this version understands",
    "E_NETWORK_REFUSED": "medseg does not fetch anything from a network",
    "E_USAGE": "the request contradicts itself",
    "E_OUTPUT_EXISTS": "the output is already there",
    "E_OUTPUT_COLLISION": "two inputs would write the same output",
    "E_OUTPUT_BUSY": "another run writes to the output folder",
    "E_DISK_FULL": "no space is left for the output",
    "E_OOM_GPU": "the graphics memory is too small",
    "E_OOM_CPU": "the main memory is too small",
    "E_WORKER_LOST": "a worker process died",
    "E_TIMEOUT": "a case took longer than allowed",
    "E_INTERRUPTED": "the run was stopped",
    "E_NO_WINDOW": "napari, Qt or a screen to open a window on is missing",
    "E_INTERNAL": "a fault of medseg itself",
}
"""Every error code with its meaning. Codes are part of the public contract and never change their meaning."""

WARNING_CODES: dict[str, str] = {
    "W_QFORM_SFORM_DIFFER": "the two positions stored in a NIfTI header differ slightly",
    "W_UNITS_ASSUMED_MM": "no unit is stored; millimetres were assumed",
    "W_SPACING_UNTRUSTED": "the pixel size is missing or a screen default",
    "W_SMALLER_THAN_PATCH": "the image is smaller than the region that the model looks at",
    "W_NONFINITE_REPLACED": "values that are not numbers were replaced",
    "W_CONSTANT_IMAGE": "all values are equal",
    "W_INTENSITY_OUT_OF_RANGE": "some values are far outside the plausible range and were clipped",
    "W_LABELS_ROUNDED": "labels stored as fractions were rounded",
    "W_MONOCHROME1": "the image is stored inverted for display; the stored values were kept",
    "W_INVERTED_PHOTOMETRIC": "the image is stored inverted (white is zero) and was turned round",
    "W_ALPHA_DROPPED": "the transparency channel was left out",
    "W_DUPLICATE_SOP": "a slice is stored twice; it was used once",
    "W_FEWER_THAN_DECLARED": "the series declares more images than there are",
    "W_NOT_PART10": "a DICOM file lacks its preamble",
    "W_TRAILING_DATA": "data follow the end of the image and were ignored",
    "W_CHUNKS_MISSING": "parts of the image are missing and read as background",
    "W_DEVICE_FALLBACK": "the work moved to a smaller batch or another device",
    "W_PRECISION_FALLBACK": "the work was repeated in full precision",
    "W_BACKEND_FALLBACK": "the quicker way to compute failed or did not agree, and was not used",
    "W_TOUCHES_BORDER": "a structure is cut by the edge of the image",
    "W_OUT_OF_DISTRIBUTION": "the image is unlike those that the model was trained on",
    "W_LOW_CONFIDENCE": "the outline of a structure is probably worse than usual",
    "W_OBJECT_SIZE": "the size of the objects could not be told from the image, or not be followed",
    "W_PARTIAL": "the run was stopped and only a part of the image was looked at",
    "W_FILE_SKIPPED": "a file was left out because it is no image",
}
"""Every warning code with its meaning."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning that travels with a value: a stable code and a sentence.

    Parameters
    ----------
    code : str
        One of `WARNING_CODES`.
    text : str
        One sentence with the particulars of this file.
    """

    code: str
    text: str

    def __post_init__(self) -> None:
        if self.code not in WARNING_CODES:
            raise ValueError(f"unknown warning code {self.code!r}")

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class MedsegError(Exception):
    """The root of every error that medseg raises on purpose.

    Parameters
    ----------
    code : str
        One of `ERROR_CODES`.
    path : path-like, optional
        The file or folder that the error is about.
    found, expected : str
        What is there, and what should be.
    not_done : str
        What medseg did not do because of it.
    remedy : str
        What the user can do.

    Examples
    --------
    >>> error = MedsegError("E_INPUT_EMPTY", path="scan.nii.gz", found="0 bytes", expected="a NIfTI image",
    ...                     not_done="it was not read", remedy="Copy the file again.")
    >>> print(error)
    scan.nii.gz: found 0 bytes, expected a NIfTI image; it was not read. Copy the file again. [E_INPUT_EMPTY]
    """

    def __init__(
        self,
        code: str,
        *,
        path: str | Path | None = None,
        found: str,
        expected: str,
        not_done: str,
        remedy: str,
    ) -> None:
        if code not in ERROR_CODES:
            raise ValueError(f"unknown error code {code!r}")
        self.code = code
        self.path = None if path is None else str(path)
        self.found = found
        self.expected = expected
        self.not_done = not_done
        self.remedy = remedy
        super().__init__(code, self.path, found, expected, not_done, remedy)

    def __str__(self) -> str:
        place = "" if self.path is None else f"{printable(self.path)}: "
        remedy = self.remedy if self.remedy.endswith((".", "?", "!")) else f"{self.remedy}."
        return f"{place}found {self.found}, expected {self.expected}; {self.not_done}. {remedy} [{self.code}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__.copy())

    def as_dict(self) -> dict[str, Any]:
        """Return the code and the four parts as plain text, for JSON."""
        names = ("code", "path", "found", "expected", "not_done", "remedy")
        return {name: getattr(self, name) for name in names}


class InputError(MedsegError, ValueError):
    """An input file or folder cannot be used."""


class GeometryError(MedsegError, ValueError):
    """The position of voxels in space is impossible, unknown or does not match."""


class SeriesAmbiguousError(InputError):
    """A folder holds several series.

    Attributes
    ----------
    choices : tuple of (str, str)
        The key to choose a series by, and its description.
    """

    choices: tuple[tuple[str, str], ...] = ()


class FramesAmbiguousError(InputError):
    """A file holds several time points, and none was chosen.

    Attributes
    ----------
    n_frames : int
    series : str or None
        The series or image of the file that was chosen before.
    """

    n_frames: int = 0
    series: str | None = None


class ModelError(MedsegError, ValueError):
    """A model folder cannot be used."""


class UsageError(MedsegError, ValueError):
    """A request contradicts itself or the state of the output folder."""


class ResourceError(MedsegError, RuntimeError):
    """Disk, memory or workers ran out."""


class OutputError(MedsegError, RuntimeError):
    """The result of a computation cannot be used."""


def printable(text: str) -> str:
    r"""Return `text` with control characters escaped, so that a file name cannot break or forge a log line.

    Examples
    --------
    >>> printable("a\nb")
    'a\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _rebuild(kind: type[MedsegError], state: dict[str, Any]) -> MedsegError:
    fields = {key: state[key] for key in ("path", "found", "expected", "not_done", "remedy")}
    error = kind(state["code"], **fields)
    error.__dict__.update(state)
    return error
