"""How hot loops are compiled and spread over threads; everything works without the compiler, only slower."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any

SLABS_PER_THREAD = 4


def kernels(name: str) -> ModuleType | None:
    """Return the module of compiled loops ``medseg.ops.<name>``, or None where numba cannot be used.

    Parameters
    ----------
    name : str
        Such as ``"argmax_kernels"``. The module imports numba, so it is only imported here, when it is needed.
    """
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return None  # uncompiled loops would take hours
    try:
        return import_module(f"medseg.ops.{name}")
    except ImportError:  # numba is absent, or refuses the installed numpy
        return None


def compiled(*, sums_in_any_order: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator that compiles a loop; its machine code is kept between runs where a folder can be written.

    Parameters
    ----------
    sums_in_any_order : bool
        Let sums vectorise, at the price of their last digit. Infinities and NaN keep their meaning.
    """
    from numba import njit

    fast: Any = {"reassoc", "contract"} if sums_in_any_order else False

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(cache=True, nogil=True, fastmath=fast)(function)
        except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
            return njit(nogil=True, fastmath=fast)(function)

    return decorate


def n_threads() -> int:
    """Return how many threads to use: ``OMP_NUM_THREADS`` where set, else the cores that this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over_slabs(work: Callable[[int, int], object], length: int) -> None:
    """Call ``work(start, stop)`` for slabs that together cover 0 to `length`, on several threads.

    Threads of our own rather than the compiler's: its pools may not be entered from two threads at once,
    nor survive a fork, and a viewer and a workflow do both.

    Parameters
    ----------
    work : callable
        Frees the interpreter lock and writes only to its own slab. What it raises is passed on.
    length : int
    """
    threads = min(n_threads(), length)
    if threads <= 1:
        work(0, length)
        return
    n_slabs = min(length, threads * SLABS_PER_THREAD)
    edges = [length * i // n_slabs for i in range(n_slabs + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, a, b) for a, b in pairwise(edges)]:
            done.result()
