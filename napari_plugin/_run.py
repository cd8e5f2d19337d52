"""One piece of long work on a thread of its own; whoever waits for it can stop waiting at once."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from threading import Event
from time import monotonic
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from medseg import MedsegError, Progress
from medseg.progress import FinishEarly, Steps

Make = Callable[[], Steps[Any]]

PAUSE_S = 0.03
"""Of the steps of one phase the window hears no more often than this: it has to draw each."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How work ended.

    Parameters
    ----------
    whole : bool
        It brought a result, or an error; otherwise it was stopped.
    value : object
        The result.
    error : Exception, optional
        What it failed with: an error of medseg, or a fault that napari shows.
    """

    whole: bool
    value: Any = None
    error: Exception | None = None


class Run(QObject):
    """Runs one generator of `Progress` off the window's thread.

    `stepped` brings each step, `ended` an `Outcome`; neither comes any more after `let_go`. `rested` comes when the
    thread has ended, also then.

    Parameters
    ----------
    make : callable
        Returns the generator; both run on the other thread.
    keepable : bool
        The work understands `FinishEarly`: after `stop` it waits for `answer`.
    parent : QObject
    """

    stepped = Signal(object)
    ended = Signal(object)
    rested = Signal()

    def __init__(self, make: Make, *, keepable: bool, parent: QObject) -> None:
        super().__init__(parent)
        self._make, self._keepable = make, keepable
        self._stop, self._answered, self._keep, self._silent = Event(), Event(), False, False
        # a window that is destroyed while it asks must not leave a thread that waits for the answer
        self.destroyed.connect(partial(_end_waiting, self._stop, self._answered))
        self._worker: Any = create_worker(self._work)
        self._worker.yielded.connect(self._pass_on)
        self._worker.returned.connect(self._end)
        self._worker.errored.connect(self._fail)
        self._worker.finished.connect(self._rest)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """Stop after the step under way, and wait for the answer what to do then."""
        self._stop.set()

    def answer(self, *, keep: bool) -> None:
        """Say what to do after `stop`: finish early with what is done, or end without a result."""
        self._keep = keep
        self._answered.set()

    def let_go(self) -> None:
        """Forget the result: the thread ends by itself after the step under way, and nobody hears of it."""
        self._silent = True
        self.stop()
        self.answer(keep=False)

    def _work(self) -> Generator[Progress, None, Outcome]:
        """Run on the other thread."""
        steps = self._make()
        try:
            step = next(steps)
            phase, told = "", 0.0
            while True:
                if step.phase != phase or monotonic() - told > PAUSE_S:
                    phase, told = step.phase, monotonic()
                    yield step
                if self._stop.is_set():
                    self._answered.wait()
                    if not self._keep:
                        return Outcome(False)
                    self._keep = False
                    self._stop.clear()
                    self._answered.clear()
                    step = steps.throw(FinishEarly())
                else:
                    step = next(steps)
        except StopIteration as end:
            return Outcome(True, end.value)
        except FinishEarly:
            return Outcome(False)
        except MedsegError as error:
            return Outcome(True, error=error)
        finally:
            steps.close()

    def _pass_on(self, step: Progress) -> None:
        if not self._silent:
            self.stepped.emit(step)

    def _end(self, outcome: Outcome) -> None:
        if not self._silent:
            self.ended.emit(outcome)

    def _fail(self, error: Exception) -> None:
        self._end(Outcome(True, error=error))

    def _rest(self) -> None:
        self._worker = None
        self.rested.emit()
        self.deleteLater()


def _end_waiting(stop: Event, answered: Event, _: object = None) -> None:
    stop.set()
    answered.set()
