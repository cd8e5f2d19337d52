"""One piece of long work on a thread of its own; whoever waits for it can stop waiting at once."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from time import monotonic
from typing import Any

from qtpy.QtCore import QObject, Signal

from medseg import MedsegError, Progress
from medseg.progress import FinishEarly, Steps
from napari_plugin._errand import End, Errand, program_ends

Make = Callable[[], Steps[Any]]

PAUSE_S = 0.03
"""Of the steps of one phase the window hears no more often than this: it has to draw each."""
_POLL_S = 0.05


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


@dataclass(slots=True)
class _Wishes:
    """What the window asks of the thread: to wait for its answer, to finish early, to end."""

    wait: Event = field(default_factory=Event)
    keep: Event = field(default_factory=Event)
    end: Event = field(default_factory=Event)


class Run(QObject):
    """Runs one generator of `Progress` off the window's thread.

    `stepped` brings the newest step, `ended` an `Outcome`; neither comes any more after `let_go`. `rested` comes when
    the thread has ended, also then.

    Parameters
    ----------
    make : callable
        Returns the generator; both run on the other thread. After `stop` it waits for `answer`, and is told
        `FinishEarly` where it shall keep what is finished.
    parent : QObject
    """

    stepped = Signal(object)
    ended = Signal(object)
    rested = Signal()

    def __init__(self, make: Make, parent: QObject) -> None:
        super().__init__(parent)
        self._silent = False
        self._wishes = _Wishes()
        # a window that is destroyed while it asks must not leave a thread that waits for the answer
        self.destroyed.connect(self._wishes.end.set)
        self._errand = Errand(partial(_working, make, self._wishes), self)
        self._errand.told.connect(self._pass_on)
        self._errand.ended.connect(self._end)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._wishes.wait.is_set() or self._wishes.end.is_set()

    def start(self) -> None:
        """Begin."""
        self._errand.start()

    def stop(self) -> None:
        """Stop after the step under way, and wait for the answer what to do then."""
        self._wishes.wait.set()

    def answer(self, *, keep: bool) -> None:
        """Say what to do after `stop`: finish early with what is done, or `let_go`."""
        if not keep:
            self.let_go()
            return
        self._wishes.keep.set()  # first: the thread looks when it need not wait any more
        self._wishes.wait.clear()

    def let_go(self) -> None:
        """Forget the result: the thread ends by itself after the step under way, and nobody hears of it."""
        self._silent = True
        self._wishes.end.set()

    def _pass_on(self, steps: list[Progress]) -> None:
        if not self._silent:
            self.stepped.emit(steps[-1])  # those before are outdated

    def _end(self, end: End) -> None:
        if not self._silent:
            self.ended.emit(Outcome(True, error=end.error) if end.error else end.value or Outcome(False))
        self.rested.emit()
        self.deleteLater()


def _working(make: Make, wishes: _Wishes) -> Generator[Progress, None, Outcome]:
    """Run on the other thread."""
    steps = make()
    try:
        step = next(steps)
        phase, told = "", 0.0
        while True:
            if step.phase != phase or monotonic() - told > PAUSE_S:
                phase, told = step.phase, monotonic()
                yield step
            if not _may_go_on(wishes):
                return Outcome(False)
            if wishes.keep.is_set():
                wishes.keep.clear()
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


def _may_go_on(wishes: _Wishes) -> bool:
    """Wait for the answer where one is due; nobody gives it any more when the program ends."""
    while wishes.wait.is_set() and not wishes.end.wait(_POLL_S):
        if program_ends():
            return False
    return not wishes.end.is_set()
