"""The process around a verb: streams that survive a closed pipe, signals, silence of the libraries underneath."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import warnings
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM); it ends as after Ctrl-C, with its own exit code."""


class _UnbrokenFile(io.FileIO):
    """A file descriptor whose reader may leave: what nobody reads any more is dropped."""

    def write(self, data: Any) -> int:
        """Write bytes, or drop them once the reader is gone."""
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):
                raise  # once; the interpreter flushes again when it leaves
            return len(memoryview(data).cast("B"))


def debugging() -> bool:
    """Tell whether the user asked for tracebacks and logs (``MEDSEG_DEBUG=1``)."""
    return os.environ.get("MEDSEG_DEBUG", "") not in ("", "0")


def prepare() -> None:
    """Make the process ready for a verb: streams, SIGTERM, logging."""
    sys.stdout = _unbroken(sys.stdout, 1)
    sys.stderr = _unbroken(sys.stderr, 2)
    signal.signal(signal.SIGTERM, _terminate)
    if debugging():
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
        return
    # libraries warn in their own words about things that medseg says in its own, with a code
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())


def _unbroken(stream: Any, descriptor: int) -> Any:
    if stream is None:  # closed by whoever started us
        return open(os.devnull, "w", encoding="utf-8")
    raw = _UnbrokenFile(descriptor, "w", closefd=False)
    # a locale without µ or ± must not stop a run, hence backslashreplace
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.isatty() or descriptor == 2,
    )


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
