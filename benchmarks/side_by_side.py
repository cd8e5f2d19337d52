"""Run ways to the same result in turn, and say how much faster, how equal and how large each is."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import statistics
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

Way = Callable[[], Any]


def set_threads(n: int) -> None:
    """Give every library the same number of threads; call before numpy is imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = str(n)


def describe(threads: int, *packages: str) -> None:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    print(f"cpu {names[0] if names else platform.processor()}, {os.cpu_count()} cores, {threads} threads each")
    print(f"python {platform.python_version()}, " + ", ".join(f"{p} {version(p)}" for p in packages))


def compare(
    title: str,
    ways: dict[str, Way],
    agreement: Callable[[Any, Any], str],
    rounds: int,
    *,
    own_references: dict[str, Way] | None = None,
    clock: Callable[[], float] = perf_counter,
) -> None:
    """Print one row per way; the first is ours, the second the one whose outcome the others are compared with.

    One uncounted round warms up and gives peak memory and agreement; then the ways take turns. A way that samples
    other places than ours has its own reference: our slow, general sampling at those places. `process_time` as
    `clock` counts the seconds of all threads, and leaves out what other programs take.
    """
    print(f"\n{title}\n  {'way':<42}{'seconds':>10}{'x ours':>9}{'extra peak MB':>15}  agreement")
    outcome = None
    notes: dict[str, tuple[float, str]] = {}
    for name in [*list(ways)[1:2], *list(ways)[:1], *list(ways)[2:]]:
        ways[name]() if name == next(iter(ways)) else None  # compiled once, as after the first run ever
        peak, result = _peak_megabytes(ways[name])
        outcome = result if outcome is None else outcome
        note = "reference" if result is outcome else agreement(result, outcome)
        if name in (own_references or {}):
            note = agreement(result, (own_references or {})[name]()) + " at its own places"
        notes[name] = (peak, note)
        del result
    del outcome
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = clock()
            way()
            spent[name].append(clock() - start)
    ours = statistics.median(next(iter(spent.values())))
    for name, seconds in spent.items():
        middle = statistics.median(seconds)
        print(f"  {name:<42}{middle:>10.3f}{middle / ours:>9.2f}{notes[name][0]:>15.0f}  {notes[name][1]}")


def _peak_megabytes(way: Way) -> tuple[float, Any]:
    """Return how far the memory in use rose while `way` ran (sampled every millisecond), and its result."""
    gc.collect()
    if platform.system() == "Linux":
        ctypes.CDLL(None).malloc_trim(0)  # memory freed by the way before would hide what this one takes
    before = top = _resident()
    stop = threading.Event()

    def watch() -> None:
        nonlocal top
        while not stop.is_set():
            top = max(top, _resident())
            sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = way()
    finally:
        top = max(top, _resident())
        stop.set()
        watcher.join()
    return (top - before) / 1e6, result


def _resident() -> float:
    fields = " ".join(_lines("/proc/self/statm")).split()
    return float(fields[1]) * os.sysconf("SC_PAGE_SIZE") if fields else float("nan")


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
