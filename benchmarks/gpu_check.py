"""Is the graphics card right and quick? Trains a minute on generated scans, predicts, compares with the CPU.

Run: ``PYTHONPATH=. python benchmarks/gpu_check.py [--device auto] [--minutes 1]``. Takes what is there: CUDA, Apple's
MPS, else the CPU alone, and then says so. Ends with exit code 1 where the labels of device and CPU differ in more than
one voxel in a thousand, or where a graphics card has learned nothing. What a CPU learns is told and not judged.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from side_by_side import describe

MOST_DIFFERENT = 1e-3
LEAST_DICE = 0.5
"""A network that learned nothing comes to 0. It is asked of a graphics card only: two busy cores came to 0.13 in a
minute, not through their first epoch."""
N_SCANS = 10
UNSEEN = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=1.0)
    options = parser.parse_args()
    import torch

    from medseg.nets.device import choose

    device = choose(options.device)
    describe(torch.get_num_threads(), "torch", "monai", "medseg")
    print(f"device {name_of(device)}")
    with tempfile.TemporaryDirectory() as folder:
        model = trained(Path(folder), str(device), options.minutes)
        return compared(model, str(device))


def name_of(device: Any) -> str:
    import torch

    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 1e9
        return f"{device}: {torch.cuda.get_device_name(device)}, {memory:.0f} GB"
    if device.type == "mps":
        return "mps: the graphics processor of this Mac"
    return "cpu: no graphics card is there (or none was asked for), so the CPU is compared with itself"


def trained(folder: Path, device: str, minutes: float) -> Path:
    """Train on generated scans and print how quick it was."""
    import medseg
    from medseg.models.bundle import load_bundle
    from medseg.samples.phantom import ellipsoids

    for part in ("images", "labels"):
        (folder / "data" / part).mkdir(parents=True)
    for seed in range(N_SCANS):
        made = ellipsoids(seed=seed)
        medseg.write(made.volume, folder / "data" / "images" / f"scan_{seed}.nii.gz")
        medseg.write(made.labels, folder / "data" / "labels" / f"scan_{seed}.nii.gz")
    begin = perf_counter()
    model = medseg.train(folder / "data", folder / "model", minutes=minutes, device=device)
    took = perf_counter() - begin
    card = load_bundle(model).card
    plan, facts = (dict(card.training[name]) for name in ("plan", "facts"))
    pace = facts["epoch"] * plan["samples_per_epoch"] / (60 * minutes)
    patch = " x ".join(str(n) for n in card.input.patch)
    print(f"trained {facts['epoch']:.0f} epochs in {took:.0f} s, preparation and scoring included")
    # the clock ends the last epoch early, and it counts as a whole one
    print(f"at most {pace:.2f} patches of {patch} voxels a second, loss {facts['loss']:.3f}")
    for score in card.scores:
        print("scores on scans kept back: " + ", ".join(f"{name} {value:.3f}" for name, value in score.values.items()))
    return model


@dataclass
class Answer:
    """What one device said of the unseen scan."""

    labels: Any
    seconds: float
    tiles: int


def compared(folder: Path, device: str) -> int:
    """Predict a scan that no training saw on device and CPU; print the throughput and return the exit code."""
    import numpy as np

    from medseg.samples.phantom import ellipsoids

    made = ellipsoids(seed=UNSEEN)
    truth = made.labels.array
    answers = {"cpu": predicted(folder, made.volume, "cpu", "torch")}
    if device != "cpu":
        answers[device] = predicted(folder, made.volume, device, "torch")
    answers["cpu, auto"] = predicted(folder, made.volume, "cpu", "auto")
    reference = answers["cpu"]
    good = True
    print(f"\n{'device':<12}{'seconds':>9}{'tiles/s':>9}{'x cpu':>8}{'voxels unlike cpu':>19}{'Dice':>8}")
    for name, answer in answers.items():
        unlike = float(np.mean(answer.labels != reference.labels))
        dice = mean_dice(answer.labels, truth)
        ratio, pace = reference.seconds / answer.seconds, answer.tiles / answer.seconds
        print(f"{name:<12}{answer.seconds:>9.2f}{pace:>9.1f}{ratio:>8.1f}{unlike:>19.6f}{dice:>8.3f}")
        good = good and unlike <= MOST_DIFFERENT and (device == "cpu" or dice >= LEAST_DICE)
    print(verdict(good=good, device=device))
    return 0 if good else 1


def verdict(*, good: bool, device: str) -> str:
    if device == "cpu":
        agreed = "All agree." if good else "NOT GOOD: the labels differ."
        return f"\n{agreed} What was learned is not judged on a CPU."
    return "\nAll agree." if good else "\nNOT GOOD: the labels differ, or the training has learned nothing."


def predicted(folder: Path, volume: Any, device: str, backend: str) -> Answer:
    """Predict twice and time the second: the first compiles and warms up."""
    from medseg.pipeline import load_model, segment_steps
    from medseg.progress import finish

    model = load_model(str(folder), device=device, backend=backend)
    finish(segment_steps(volume, model))
    seen: list[int] = []
    hook = model.network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    begin = perf_counter()
    labels = finish(segment_steps(volume, model)).labels.array
    seconds = perf_counter() - begin
    hook.remove()
    return Answer(labels, seconds, sum(seen))


def mean_dice(found: Any, truth: Any) -> float:
    import numpy as np

    classes = [k for k in np.unique(truth) if k]
    shared = [np.count_nonzero((found == k) & (truth == k)) for k in classes]
    sizes = [np.count_nonzero(found == k) + np.count_nonzero(truth == k) for k in classes]
    return float(np.mean([2 * a / b for a, b in zip(shared, sizes, strict=True)]))


if __name__ == "__main__":
    sys.exit(main())
