"""Refusals of the DICOM door, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.errors import InputError, SeriesAmbiguousError, UsageError
from medseg.io.dicom_scan import Scan

_NAMED = 3
_LISTED = 12


def nothing_to_read(path: Path, scan: Scan) -> InputError:
    """Say what is there instead of a scan."""
    if scan.damaged:
        return damaged(path, scan.damaged)
    if scan.objects:
        kinds = sorted({error.what for _, error in scan.objects})
        more = f"; and {len(kinds) - _NAMED} other kinds" if len(kinds) > _NAMED else ""
        file, first = scan.objects[0]
        return InputError(
            first.code,
            path=file if len(scan.objects) == 1 else path,
            found="; ".join(kinds[:_NAMED]) + more,
            expected="the slices of a scan (CT, MR, PET ...)",
            not_done="it was not read",
            remedy=first.remedy,
        )
    n_files = len(scan.litter)
    return InputError(
        "E_INPUT_FORMAT" if n_files else "E_INPUT_EMPTY",
        path=path,
        found=f"{n_files} files, none of them DICOM" if path.is_dir() else "no DICOM file",
        expected="DICOM slices",
        not_done="nothing was read",
        remedy="Give the folder with the slices of the scan",
    )


def damaged(path: Path, files: Sequence[tuple[Path, str]]) -> InputError:
    """Name the first damaged file and what is wrong with it; a damaged slice is a missing slice, not litter."""
    file, reason = files[0]
    others = f", and {len(files) - 1} other damaged files" if len(files) > 1 else ""
    is_member = file != path
    return InputError(
        "E_INPUT_UNREADABLE",
        path=file,
        found=f"a DICOM file that {reason}{others}",
        expected="whole slices" if is_member else "a whole DICOM file",
        not_done="the series was not read without it, since its slice would be missing"
        if is_member
        else "it was not read",
        remedy="Copy or export the series again",
    )


def not_opened(path: Path, error: OSError) -> InputError:
    """Say that the operating system did not hand out a file."""
    is_denied = isinstance(error, PermissionError)
    return InputError(
        "E_PERMISSION" if is_denied else "E_INPUT_UNREADABLE",
        path=error.filename or path,
        found="a file or folder that may not be opened" if is_denied else "a file or folder that cannot be read",
        expected="permission to read" if is_denied else "a file that stays readable",
        not_done="the series was not read without it",
        remedy="Ask for the right to read it, or copy it to a place of your own",
    )


def too_large(path: Path, shape: tuple[int, ...], n_bytes: int, max_bytes: int) -> InputError:
    """Say how large the volume would be."""
    return InputError(
        "E_TOO_LARGE",
        path=path,
        found=f"an image of {'x'.join(str(n) for n in shape)} voxels, {n_bytes / 2**20:.0f} MiB",
        expected=f"at most {max_bytes / 2**20:.0f} MiB",
        not_done="its pixels were not read",
        remedy="Crop the scan, or allow more memory",
    )


def several_series(path: Path, choices: tuple[tuple[str, str], ...], asked: str | None) -> SeriesAmbiguousError:
    """List the series to choose from; `asked` is the name that none of them has."""
    lines = "; ".join(f"{key} ({text})" for key, text in choices[:_LISTED])
    lines += f"; and {len(choices) - _LISTED} more" if len(choices) > _LISTED else ""
    error = SeriesAmbiguousError(
        "E_SERIES_AMBIGUOUS",
        path=path,
        found=f"{len(choices)} series: {lines}" if asked is None else f"no series {asked!r}, but {lines}",
        expected="one series",
        not_done="none was chosen by guessing",
        remedy="Name the one to read with the option --series",
    )
    error.choices = choices
    return error


def no_such_stack(path: Path, asked: int, n_stacks: int) -> UsageError:
    """Say how many stacks the series has."""
    return UsageError(
        "E_USAGE",
        path=path,
        found=f"a request for stack {asked} of {n_stacks} in the series",
        expected=f"a number from 0 to {n_stacks - 1}",
        not_done="nothing was read",
        remedy="Choose one of the stacks that exist",
    )


def no_such_channel(path: Path, asked: str | int) -> UsageError:
    """Say that a scan has one channel."""
    return UsageError(
        "E_USAGE",
        path=path,
        found=f"a request for channel {asked!r}",
        expected="no channel, since a DICOM scan has one",
        not_done="nothing was read",
        remedy="Leave the channel out; choose a series instead",
    )
