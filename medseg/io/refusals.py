"""The sentences that several readers share, and the net that turns foreign exceptions into them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.errors import InputError, MedsegError, ResourceError

COPY_AGAIN = "Copy or export the file again and compare its size with the original."


def unreadable(path: Path, found: str, expected: str, remedy: str = COPY_AGAIN) -> InputError:
    """Return the refusal of a damaged or incomplete file."""
    return InputError(
        "E_INPUT_UNREADABLE",
        path=path,
        found=found,
        expected=expected,
        not_done="the image was not read",
        remedy=remedy,
    )


def wrong_format(path: Path, found: str, expected: str, remedy: str) -> InputError:
    """Return the refusal of content that is not an image that medseg reads."""
    return InputError(
        "E_INPUT_FORMAT", path=path, found=found, expected=expected, not_done="it was not read", remedy=remedy
    )


def unsupported_axes(path: Path, found: str, expected: str, remedy: str) -> InputError:
    """Return the refusal of an image with too many or the wrong kind of axes."""
    return InputError(
        "E_DIMENSIONS_UNSUPPORTED",
        path=path,
        found=found,
        expected=expected,
        not_done="the image was not read",
        remedy=remedy,
    )


@contextmanager
def foreign_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into a `MedsegError`.

    Raises
    ------
    InputError
        For a file that is missing, forbidden or damaged.
    ResourceError
        If memory ran out in spite of the prediction.
    """
    try:
        yield
    except MedsegError:
        raise
    except MemoryError as error:
        raise ResourceError(
            "E_OOM_CPU",
            path=path,
            found="not enough free memory",
            expected="room for the whole image",
            not_done="the image was not read",
            remedy="Close other programs, or use a machine with more memory.",
        ) from error
    except OSError as error:
        raise _from_system(path, error) from error


def _from_system(path: Path, error: OSError) -> InputError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return InputError(
            "E_PERMISSION",
            path=path,
            found="no permission to read it",
            expected="a file that this user may read",
            not_done="the image was not read",
            remedy="Ask its owner for read permission.",
        )
    if error.errno == errno.ENOENT:
        return unreadable(path, "nothing there", "a file or folder", "Check the spelling of the path.")
    if error.errno == errno.ELOOP:
        return unreadable(path, "a link that leads back to itself", "a file", "Remove the link and name the real file.")
    reason = (error.strerror or type(error).__name__).lower()
    return unreadable(path, f"a read error ({reason})", "a file that can be read to its end")
