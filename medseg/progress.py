"""Long work is a generator of `Progress` that returns its result; whoever runs it shows it, and may stop it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work.

    Parameters
    ----------
    phase : str
        What is being done, as a user would say it.
    done, total : int
        Finished and all steps of this phase.
    seconds_left : float or None
        Estimate for this phase; None while unknown.
    """

    phase: str
    done: int
    total: int
    seconds_left: float | None = None


Steps = Generator[Progress, None, T]
"""Work that yields `Progress` and returns a T. Closing the generator between two steps cancels it."""


class FinishEarly(Exception):  # noqa: N818 - a request, not an error
    """Thrown into work between two steps: return now with what is done so far.

    Work that cannot do so lets it pass through, and ends without a result.
    """


def finish(steps: Steps[T], show: Callable[[Progress], object] | None = None) -> T:
    """Run long work to its end and return its result.

    Parameters
    ----------
    steps : generator
        Work that yields `Progress`.
    show : callable, optional
        Receives each `Progress`; an exception raised there cancels the work and is passed on.

    Examples
    --------
    >>> def count():
    ...     yield Progress("counting", 1, 1)
    ...     return 42
    >>> finish(count())
    42
    """
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if show is not None:
                show(step)
    finally:
        steps.close()


def to_the_end(steps: Steps[T]) -> Steps[T]:
    """Pass work on that is finished even when it is asked to finish early; closing it cancels it as ever.

    Parameters
    ----------
    steps : generator

    Examples
    --------
    >>> def count():
    ...     yield Progress("counting", 1, 2)
    ...     yield Progress("counting", 2, 2)
    ...     return 42
    >>> steps = to_the_end(count())
    >>> next(steps).done, steps.throw(FinishEarly()).done
    (1, 2)
    """
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                result: T = stop.value
                return result
            with suppress(FinishEarly):
                yield step
    finally:
        steps.close()


def named(steps: Steps[T], phase: str) -> Steps[T]:
    """Pass work on under another name of its phase.

    Examples
    --------
    >>> def count():
    ...     yield Progress("counting", 1, 1)
    ...     return 42
    >>> next(named(count(), "counting 1 cell")).phase
    'counting 1 cell'
    """
    return (yield from retold(steps, lambda step: replace(step, phase=phase)))


def retold(steps: Steps[T], tell: Callable[[Progress], Progress]) -> Steps[T]:
    """Pass work on, with something else told of each of its steps.

    Parameters
    ----------
    steps : generator
    tell : callable
        Returns what is told instead.
    """
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                result: T = stop.value
                return result
            yield tell(step)
    finally:
        steps.close()


class Pace:
    """Estimate the time left from the steps done so far."""

    def __init__(self, phase: str, total: int) -> None:
        self._phase = phase
        self._total = total
        self._start = monotonic()

    def at(self, done: int) -> Progress:
        """Return the `Progress` after `done` of all steps."""
        spent = monotonic() - self._start
        left = spent / done * (self._total - done) if done else None
        return Progress(self._phase, done, self._total, left)
