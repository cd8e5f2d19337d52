"""One network at a time: work that was given up ends its step before the next one computes."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from medseg import Progress
from medseg.progress import Steps

T = TypeVar("T")

WAITING = "waiting for the run before, or for your answer there …"
_POLL_S = 0.05


class Turn:
    """Lets one piece of work go on at a time; the others say that they wait, and can be cancelled meanwhile.

    Examples
    --------
    >>> def count():
    ...     yield Progress("counting", 1, 1)
    >>> turn = Turn()
    >>> first, second = turn.steps(count), turn.steps(count)
    >>> next(first).phase, next(second).phase
    ('counting', 'waiting for the run before, or for your answer there …')
    >>> first.close()
    >>> next(second).phase
    'counting'
    """

    def __init__(self) -> None:
        self._lock = Lock()

    def steps(self, make: Callable[[], Steps[T]]) -> Steps[T]:
        """Wait for the turn, then do the work that `make` returns.

        Parameters
        ----------
        make : callable
            Returns a generator of `Progress`; not called before it is its turn.
        """
        while not self._lock.acquire(timeout=_POLL_S):
            yield Progress(WAITING, 0, 0)
        try:
            return (yield from make())
        finally:
            self._lock.release()


NETWORKS = Turn()
"""Of all widgets of all windows: they share one processor and one memory."""
