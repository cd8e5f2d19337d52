"""Training on several devices: one process for each, started, listened to, and never left behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import Any, TextIO

from torch import nn

from medseg import errors
from medseg.errors import MedsegError, ResourceError
from medseg.learn import checkpoint
from medseg.learn.fit import EpochReport
from medseg.training.job import Job
from medseg.training.start import STATE

PATIENCE = 10.0
"""Seconds within which a process that was told to end does so."""
_LOOK = 0.5

Process = subprocess.Popen[str]
_Heard = tuple[int, str | None]


def fit_on_devices(module: str, job: Job, fresh: Callable[[], nn.Module]) -> Generator[EpochReport, None, nn.Module]:
    """Train with one process for each device; yields the reports of the first and returns the averaged network.

    Closing the generator ends the processes; the state of the last whole epoch is kept. Each writes what goes wrong in
    it to ``device_N.log`` in the training folder.

    Parameters
    ----------
    module : str
        Name of the module that each process runs; it calls `medseg.training.rank.serve`.
    job : Job
    fresh : callable
        Builds the network.

    Raises
    ------
    MedsegError
        What one of the processes refuses; E_WORKER_LOST if one has died.
    """
    with _processes(module, job) as (processes, heard):
        yield from _reports(processes, heard, Path(job.folder))
    network = fresh()
    network.load_state_dict(checkpoint.load(Path(job.folder) / STATE)["average"])
    return network.eval().requires_grad_(requires_grad=False)


@contextmanager
def _processes(module: str, job: Job) -> Iterator[tuple[Sequence[Process], Queue[_Heard]]]:
    """Start the processes and tell them their job; whatever happens, none of them is left behind."""
    port, heard = _free_port(), Queue[_Heard]()
    started, listeners = list[Process](), list[Thread]()
    try:
        for rank in range(job.devices):
            with _log(job, rank).open("w", encoding="utf-8") as log:
                process = _start([module, str(rank), str(job.devices), str(port)], log, job)
            started.append(process)
            listeners.append(Thread(target=_listen, args=(rank, process, heard), daemon=True))
            listeners[-1].start()
            _tell(process, job)
        yield started, heard
    finally:
        _end(started)
        for listener in listeners:
            listener.join()


def _start(words: list[str], log: TextIO, job: Job) -> Process:
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        encoding="utf-8",
        env=_environment(job),
        start_new_session=True,  # Ctrl-C is for the parent, which ends them
    )


def _tell(process: Process, job: Job) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # one that is dead already is noticed by its listener
        process.stdin.write(json.dumps(job.as_dict()) + "\n")
        process.stdin.flush()  # and stay open: a process ends when this pipe does


def _end(processes: Sequence[Process]) -> None:
    for process in processes:
        with suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.close()
    until = monotonic() + PATIENCE
    for process in processes:
        try:
            process.wait(max(0.0, until - monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _reports(processes: Sequence[Process], heard: Queue[_Heard], folder: Path) -> Generator[EpochReport, None, None]:
    done: set[int] = set()
    while len(done) < len(processes):
        try:
            rank, line = heard.get(timeout=_LOOK)  # never for long, so that Ctrl-C is heard everywhere
        except Empty:
            continue
        if line is None:
            if rank not in done:
                raise _lost(processes, folder)
            continue
        message = json.loads(line)
        if "error" in message:
            raise _repeated(message)
        if "report" in message:
            yield EpochReport(**message["report"])
        else:
            done.add(rank)


def _listen(rank: int, process: Process, heard: Queue[_Heard]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            heard.put((rank, line))
    heard.put((rank, None))


def _repeated(message: dict[str, Any]) -> MedsegError:
    kind = getattr(errors, message["kind"], MedsegError)
    parts = dict(message["error"])
    error: MedsegError = kind(parts.pop("code"), **parts)
    return error


def _lost(processes: Sequence[Process], folder: Path) -> ResourceError:
    """Say which process has died; the others fail because of it, a moment later or earlier."""
    until = monotonic() + 2.0
    codes: list[int | None] = []
    for process in processes:
        try:
            codes.append(process.wait(max(0.0, until - monotonic())))
        except subprocess.TimeoutExpired:
            codes.append(None)
    killed = [rank for rank, code in enumerate(codes) if code is not None and code < 0]
    failed = killed or [rank for rank, code in enumerate(codes) if code]
    which = failed[0] if failed else 0
    how = f"was killed (signal {-(codes[which] or 0)})" if killed else "ended by a fault"
    return ResourceError(
        "E_WORKER_LOST",
        path=str(folder / f"device_{which}.log"),
        found=f"process {which + 1} of {len(processes)} {how}; all were ended",
        expected="that all processes train to the end",
        not_done="the training stopped; the state of the last whole epoch is kept",
        remedy="Go on with --resume, with fewer --devices if the memory was too small; the log tells more.",
    )


def _log(job: Job, rank: int) -> Path:
    return Path(job.folder) / f"device_{rank}.log"


def _environment(job: Job) -> dict[str, str]:
    # what this process can import the others can, too, also from a checkout that is not installed
    found = os.pathsep.join(path for path in sys.path if path)
    threads = {name: str(job.threads) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    return {**os.environ, "PYTHONPATH": found, **threads}


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port
