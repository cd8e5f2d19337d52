"""A run of medseg in a process of its own: no shell, its words kept, its exit code in a sentence."""

from __future__ import annotations

import json
import sys

from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from medseg import Progress

KILL_AFTER = 60_000
"""Milliseconds that a run has to complete its tile and its summary after it was asked to stop."""
CLOSE_AFTER = 3_000
"""Milliseconds that it has when the window closes; what it cannot complete then is told by the next run."""
_TAIL = 4000

_SENTENCES = {
    0: "Done.",
    1: "A fault of medseg itself; see below.",
    2: "Not started; see below.",
    3: "Done, but some cases were refused or failed: see the table.",
    4: "No case gave a result: see the table.",
    5: "The model was refused; see below.",
    6: "Stopped because memory or disk ran out: see the table.",
    130: "Stopped. What is complete is kept; Resume goes on.",
    143: "Stopped. What is complete is kept; Resume goes on.",
}


class Run(QObject):
    """Runs ``medseg`` with arguments, one run at a time.

    `ended` brings the exit code; -1 where the process could not be started or was killed. `stepped` brings the
    `Progress` that the process tells.

    Parameters
    ----------
    parent : QObject, optional
    """

    ended = Signal(int)
    stepped = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._words = ""
        self._half = b""
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(KILL_AFTER)
        self._patience.timeout.connect(self._kill)

    @property
    def busy(self) -> bool:
        """Whether the process runs."""
        return self._process is not None

    @property
    def words(self) -> str:
        """The last words of the process on its error stream."""
        return self._words.strip()

    def start(self, arguments: list[str], *, threads: int = 0) -> None:
        """Start ``medseg`` with arguments.

        Parameters
        ----------
        arguments : list of str
        threads : int
            Processor threads it may use; 0 for all.
        """
        if self.busy:
            raise RuntimeError("one run at a time")
        self._words, self._half = "", b""
        process = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        if threads:
            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
                environment.insert(name, str(threads))
        environment.insert("MEDSEG_PROGRESS", "json")
        process.setProcessEnvironment(environment)
        process.readyReadStandardOutput.connect(self._follow)
        process.readyReadStandardError.connect(self._listen)
        process.finished.connect(self._end)
        process.errorOccurred.connect(self._fail)
        self._process = process
        process.start(sys.executable, ["-m", "medseg.cli", *arguments])

    def stop(self) -> None:
        """Ask the process to stop; it completes its summary. It is killed where it does not listen."""
        if self._process is not None:
            self._process.terminate()
            self._patience.start()

    def close_down(self) -> None:
        """Stop the process and wait for it: for a widget that is being closed."""
        process = self._process
        if process is None:
            return
        process.terminate()
        if not process.waitForFinished(CLOSE_AFTER):
            process.kill()
            process.waitForFinished(1000)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _listen(self) -> None:
        if self._process is not None:
            more = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace")
            self._words = (self._words + more)[-_TAIL:]

    def _follow(self) -> None:
        """Read the lines that tell of progress; of those that came together only the newest counts."""
        if self._process is None:
            return
        *lines, self._half = (self._half + bytes(self._process.readAllStandardOutput().data())).split(b"\n")
        steps = [step for step in map(_step_of, lines) if step is not None]
        if steps:
            self.stepped.emit(steps[-1])

    def _end(self, code: int, status: QProcess.ExitStatus) -> None:
        self._listen()
        self._rest(code if status == QProcess.ExitStatus.NormalExit else -1)

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self._words = f"{sys.executable} could not be started."
            self._rest(-1)

    def _rest(self, code: int) -> None:
        self._patience.stop()
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
        self.ended.emit(code)


def _step_of(line: bytes) -> Progress | None:
    """Return the step that a line of the process tells of; None for its other words."""
    try:
        found = json.loads(line)
        return Progress(str(found["phase"]), int(found["done"]), int(found["total"]), found["seconds_left"])
    except (ValueError, TypeError, KeyError):
        return None


def sentence(code: int) -> str:
    """Return what an exit code of medseg means.

    Examples
    --------
    >>> sentence(0)
    'Done.'
    """
    return _SENTENCES.get(code, "The run was cut off. What is complete is kept; Resume goes on.")
