"""A generator on a thread of its own. The thread touches nothing of Qt, so no window can be torn from under it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread, main_thread
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

Work = Callable[[], Generator[Any, None, Any]]

LOOK_MS = 15
"""How often the window looks for what the thread has said; only while there is one."""


@dataclass(frozen=True, slots=True)
class End:
    """How a generator ended: with a value, or with an error."""

    value: Any = None
    error: Exception | None = None


class Errand(QObject):
    """Runs a generator beside the window, whose thread is told what it yields, in lists, and then how it ended.

    Neither napari's workers nor the threads of Qt are used: they send from the other thread through objects that the
    window may be destroying, and they share as many threads as there are cores, so that one that waits holds up others.
    When the errand, the window or the program is over, the generator is closed at its next step.

    Parameters
    ----------
    work : callable
        Returns the generator; both run on the other thread.
    parent : QObject
    """

    told = Signal(object)
    ended = Signal(object)

    def __init__(self, work: Work, parent: QObject) -> None:
        super().__init__(parent)
        self._said: SimpleQueue[Any] = SimpleQueue()
        unwanted = Event()
        # a method, of which Qt holds no more than a weak reference: a partial may be collected before the window is
        # destroyed, and PyQt would call what is left of it
        self.destroyed.connect(unwanted.set)
        self._thread = Thread(target=_carry_out, args=(work, self._said, unwanted), name="medseg")
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)

    def start(self) -> None:
        """Begin."""
        self._timer.start()
        self._thread.start()

    def _look(self) -> None:
        """Tell what was said since the last look; Qt does not call this again while somebody still hears of it."""
        fresh: list[Any] = []
        with suppress(Empty):
            while True:
                fresh.append(self._said.get_nowait())
        end = fresh.pop() if fresh and isinstance(fresh[-1], End) else None
        if end is not None:
            self._timer.stop()
        if fresh:
            self.told.emit(fresh)
        if end is not None:
            self.ended.emit(end)
            self.deleteLater()


def program_ends() -> bool:
    """Tell whether Python waits for its threads, and nobody for what they do."""
    return not main_thread().is_alive()


def _carry_out(work: Work, said: SimpleQueue[Any], unwanted: Event) -> None:
    """Run on the other thread."""
    try:
        generator = work()
        try:
            while not (unwanted.is_set() or program_ends()):
                said.put(next(generator))
        except StopIteration as end:
            said.put(End(end.value))
            return
        finally:
            generator.close()
        said.put(End())
    except Exception as error:  # noqa: BLE001 - handed to the window, which shows it
        said.put(End(error=error))
