"""What the operating system refuses about an output folder, in our words."""

from __future__ import annotations

import errno
from pathlib import Path

from medseg.errors import MedsegError, OutputError, ResourceError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refused_output(path: Path, error: OSError) -> MedsegError:
    """Return the error of a full disk, or of a folder that may not be written.

    Parameters
    ----------
    path : Path
        The output folder, or the input whose result could not be written.
    error : OSError

    Examples
    --------
    >>> refused_output(Path("out"), OSError(errno.ENOSPC, "No space left on device")).code
    'E_DISK_FULL'
    """
    if error.errno in _NO_SPACE:
        return ResourceError(
            "E_DISK_FULL",
            path=path,
            found="no space left on the disk",
            expected="room for the output",
            not_done="the run was stopped; earlier cases are complete",
            remedy="Free some space, then run again with --resume.",
        )
    return OutputError(
        "E_PERMISSION",
        path=path,
        found=f"a refusal of the operating system ({(error.strerror or type(error).__name__).lower()})",
        expected="an output folder that exists and may be written",
        not_done="the result was not written",
        remedy="Check the folder and its permissions, or choose another one, then run again with --resume.",
    )
