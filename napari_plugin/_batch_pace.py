"""How long a run over a folder will still take, told from the cases that have ended."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class BatchPace:
    """Takes note of when cases begin, and estimates the time left.

    Parameters
    ----------
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._first: float | None = None
        self._case, self._began, self._n_begun = "", 0.0, 0
        self._left_in_case: float | None = None

    def begin(self, case: str, left: float | None) -> None:
        """Take note of a step of a case; `left` is what it says of its own time left."""
        if case != self._case:
            self._case, self._began = case, self._clock()
            self._n_begun += 1
            self._first = self._began if self._first is None else self._first
        self._left_in_case = left

    def left(self, done: int, total: int) -> float | None:
        """Return the seconds left after `done` of `total` cases; None while nothing tells.

        Examples
        --------
        >>> ticks = iter([0.0, 10.0, 15.0])
        >>> pace = BatchPace(lambda: next(ticks))
        >>> pace.begin("a", None), pace.begin("b", None), pace.left(1, 4)
        (None, None, 25.0)
        """
        if self._first is None or self._n_begun < 2:
            return self._left_in_case if total == 1 else None
        # cases that are complete from an earlier run never begin, and take no time
        each = (self._began - self._first) / (self._n_begun - 1)
        return max(0.0, each * (total - done) - (self._clock() - self._began))
