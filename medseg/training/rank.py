"""One of several processes that train together: it is told its place, trains, reports, and ends with its parent."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator
from dataclasses import asdict
from threading import Thread
from typing import Any

import torch
from torch import nn

from medseg.errors import MedsegError
from medseg.learn.fit import EpochReport
from medseg.learn.together import Place
from medseg.training.job import Job

MakeLoop = Callable[[Job, Place], Generator[EpochReport, None, nn.Module]]


def serve(make_loop: MakeLoop) -> None:
    """Train as one of several processes.

    The place stands in the arguments of the process, the job in the first line that it reads. It answers with a line of
    JSON for each epoch, and a last one when it is done or refuses.

    Parameters
    ----------
    make_loop : callable
        Makes the loop of a branch of a job and a place.
    """
    tell = _private_output()
    place = Place(*(int(word) for word in sys.argv[1:4]))
    job = Job(**json.loads(sys.stdin.readline()))
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(job.threads)
    try:
        for report in make_loop(job, place):
            if place.rank == 0:
                tell({"report": asdict(report)})
        tell({"done": place.rank})
    except MedsegError as error:
        parts = {name: getattr(error, name) for name in ("code", "path", "found", "expected", "not_done", "remedy")}
        tell({"error": parts, "kind": type(error).__name__})
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _private_output() -> Callable[[dict[str, Any]], None]:
    """Return what writes a line to the parent; what libraries print goes to the log instead."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(message: dict[str, Any]) -> None:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    return tell


def _end_with_parent() -> None:
    sys.stdin.read()  # returns when the parent closes the pipe, or is no more
    os._exit(1)
