"""One run at a time in an output folder: an exclusive lock that names its holder and outlives no crash."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from medseg.errors import UsageError, printable
from medseg.workflow.refusals import refused_output

LOCK_NAME = ".medseg.lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock.

    Parameters
    ----------
    pid : int
    host : str
    start : str
        When the lock was taken, as an ISO time in UTC.
    birth : str
        Start of the process as the system counts it, to tell it from a later process with the same pid; may be empty.
    """

    pid: int
    host: str
    start: str
    birth: str = ""


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the lock of an output folder for as long as the context lasts.

    The lock of a dead process on this machine is taken over. Whether a process on another machine still lives
    cannot be seen from here, so its lock is respected and named.

    Raises
    ------
    UsageError
        E_OUTPUT_BUSY with pid, host and start of the holder.
    """
    path = out / LOCK_NAME
    handle = _take(path)
    try:
        yield
    finally:
        # removed while still held: whoever waits for the file finds it gone and makes its own
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _take(path: Path) -> int:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise refused_output(path.parent, error) from error
        try:
            if _took(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder removed it between our opening and locking: try the new one


def _took(handle: int, path: Path) -> bool:
    """Lock an open lock file in our name; False where it is no longer the one at `path`."""
    held = _hold(handle)
    holder = _read(handle)
    if not held or (holder is not None and _may_live(holder)):
        raise _busy(path, holder)
    if not _is_at(handle, path):
        return False
    try:
        _write(handle, Holder(os.getpid(), socket.gethostname(), _now(), _birth(os.getpid())))
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise refused_output(path.parent, error) from error
        raise
    return True


def _hold(handle: int) -> bool:
    """Try to get the system's own lock, which dies with its process; True where the system has none to give."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # some network disks know no such lock: the holder's name decides
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _read(handle: int) -> Holder | None:
    os.lseek(handle, 0, os.SEEK_SET)
    try:
        return Holder(**json.loads(os.read(handle, 4096)))
    except (ValueError, TypeError):
        return None  # empty: new, or its holder died before it could write its name


def _write(handle: int, holder: Holder) -> None:
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, json.dumps(asdict(holder)).encode())
    os.fsync(handle)


def _may_live(holder: Holder) -> bool:
    """Tell whether the named process may still run, given that its system lock is free."""
    if holder.host != socket.gethostname():
        return True
    if holder.pid == os.getpid():
        return False  # we are not it: a machine that was started anew gave us the number of a dead process
    if sys.platform == "win32":
        return True
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not holder.birth or holder.birth == _birth(holder.pid)


def _birth(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return fields[19]
    except (OSError, IndexError):
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _busy(path: Path, holder: Holder | None) -> UsageError:
    if holder is None:
        found, remedy = "a lock of another run", "Wait until it ends, or choose another output folder."
    else:
        here = holder.host == socket.gethostname()
        place = "this machine" if here else f"the machine {printable(holder.host)}"
        found = f"a lock of the run with process number {holder.pid} on {place}, begun {printable(holder.start)}"
        remedy = "Wait until it ends, or choose another output folder."
        if not here:
            remedy += f" If that run is dead for certain, delete the file {LOCK_NAME} in the output folder."
    return UsageError(
        "E_OUTPUT_BUSY",
        path=path.parent,
        found=found,
        expected="an output folder that no other run writes to",
        not_done="nothing was written",
        remedy=remedy,
    )
