"""A process of a tiny training on several devices: a line is learned; what it is told to do it does at its rank."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from medseg.errors import OutputError
from medseg.learn.fit import FitSettings, fit, supervised
from medseg.learn.together import fabric_for
from medseg.training.rank import serve
from medseg.training.start import STATE

STEPS, SIZE = 4, 6


def batch(epoch, number):
    generator = torch.Generator().manual_seed(1000 * epoch + number)
    x = torch.randn(SIZE, 3, generator=generator)
    return x, x.sum(1, keepdim=True) + 0.1 * torch.randn(SIZE, 1, generator=generator)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def settings(job, steps):
    return FitSettings(epochs=job.epochs, minutes=job.minutes, steps_per_epoch=steps, learning_rate=0.05, seed=job.seed)


def scored(folder):
    with (folder / "scored.txt").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return {"score": 1.0}


def loop_of(job, place):
    folder = Path(job.folder)
    trouble = json.loads((folder / "trouble.json").read_text()) if (folder / "trouble.json").exists() else {}
    (folder / f"pid_{place.rank}").write_text(str(os.getpid()))
    seen = []

    def batches(epoch):
        for number in place.share(STEPS):
            if trouble.get("rank") == place.rank and epoch == 1:
                do(trouble["what"])
            seen.append([epoch, number])
            yield batch(epoch, number)

    steps = fit(
        network,
        supervised(nn.functional.mse_loss),
        batches,
        lambda _: scored(folder),
        settings=settings(job, STEPS),
        fabric=fabric_for(torch.device(job.device), "32-true", place),
        state_file=folder / STATE,
        resume=job.resume,
    )
    learned = yield from steps
    torch.save(learned.state_dict(), folder / f"weights_{place.rank}.pt")
    (folder / f"seen_{place.rank}.json").write_text(json.dumps(seen))
    return learned


def do(what):
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "fault":
        raise ZeroDivisionError("a fault of ours")
    if what == "refuse":
        raise OutputError("E_OUTPUT_NONFINITE", found="a loss of its own", expected="b", not_done="c", remedy="d")
    sys.stdout.write("a library chatters\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(loop_of)
