"""Work in slabs or groups on several threads, with a pause after each to report progress or stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from medseg.ops.compiled import n_threads
from medseg.progress import Pace, Steps, finish

_WORTH_THREADS = 1 << 18
_SLABS_PER_THREAD = 8


def slab_edges(length: int, n_voxels: int) -> list[int]:
    """Return where slabs of 0 .. `length` begin and end: one slab for little work, else several per thread.

    Examples
    --------
    >>> slab_edges(10, 100)
    [0, 10]
    """
    n = 1 if n_voxels < _WORTH_THREADS else max(1, min(length, n_threads() * _SLABS_PER_THREAD))
    return [length * i // n for i in range(n + 1)]


def over(work: Callable[[int, int], object], edges: Sequence[int]) -> None:
    """Call ``work(start, stop)`` for every slab."""
    finish(over_steps(work, edges, ""))


def over_steps(work: Callable[[int, int], object], edges: Sequence[int], phase: str) -> Steps[None]:
    """Call ``work(start, stop)`` for every slab, yielding after each.

    Parameters
    ----------
    work : callable
        Frees the interpreter lock and writes only to its own slab. What it raises is passed on.
    edges : (n + 1,) ints
    phase : str
        What is being done, as a user would say it.
    """
    slabs = list(pairwise(edges))
    pace = Pace(phase, len(slabs))
    threads = min(n_threads(), len(slabs))
    if threads <= 1:
        for done, (start, stop) in enumerate(slabs, start=1):
            work(start, stop)
            yield pace.at(done)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        for done, future in enumerate([pool.submit(work, a, b) for a, b in slabs], start=1):
            future.result()
            yield pace.at(done)
    finally:
        pool.shutdown(cancel_futures=True)
