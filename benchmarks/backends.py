"""The tiles of one network by PyTorch, by OpenVINO and by nnU-Net's predictor: same weights, tiles, overlap, threads.

Run: ``make peers``, then ``PYTHONPATH=. python benchmarks/backends.py [--size 128] [--patch 96] [--rounds 2]``.
The network is the U-Net that nnU-Net plans for a CT; its filters are drawn at random, its last layer is fitted to the
organs of a generated CT, and its input is another. OpenVINO must pass the check of every model, or PyTorch computes.
Every way runs in a process of its own, in turn; the time is that of the prediction alone, the network loaded and warm.
The ratio is that of processor seconds, which a busy computer changes least. What bfloat16 does to a trained network
tells held_out_backends.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from same_network import Cost, ct_like, peers_or_stop, plan, run_alone, save_for_both, scaled
from side_by_side import describe, set_threads

PEER = "nnU-Net's predictor"
OURS = ("torch", "openvino", "openvino-bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--first", type=int, default=16, help="channels of the first level")
    parser.add_argument("--classes", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without-peer", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    set_threads(options.threads)
    if options.one:
        print("\n" + json.dumps(one_way(options.one[0], Path(options.one[1]), options.threads)))
        return
    describe(options.threads, "torch", "openvino", "monai")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options)
        compared(folder, options)


def prepare(folder: Path, options: argparse.Namespace) -> None:
    import numpy as np

    made = plan(options.classes, options.patch, options.first)
    save_for_both(folder, made)
    image, _ = ct_like((options.size,) * 3, options.classes)
    np.save(folder / "image.npy", scaled(image, made)[None])
    print(f"{options.size}^3 voxels, tiles of {options.patch}^3, {options.classes} classes, filters {made['filters']}")


def compared(folder: Path, options: argparse.Namespace) -> None:
    here = [sys.executable, __file__, "--threads", str(options.threads), "--one"]
    commands = {way: [*here, way, str(folder)] for way in OURS}
    if not options.without_peer:
        script = str(Path(__file__).with_name("peer_nnunet.py"))
        commands = {PEER: [peers_or_stop(), script, "tiles", str(folder)], **commands}
    costs: dict[str, list[Cost]] = {way: [] for way in commands}
    for _ in range(options.rounds):
        for way, command in commands.items():
            costs[way].append(run_alone(command, options.threads))
    reference = "peer" if PEER in commands else "torch"
    first = next(iter(commands))
    base = statistics.median(cost.answer.get("cpu", 0.0) for cost in costs[first])
    heads = f"{'cpu s':>9}{'wall s':>9}{'x faster':>10}{'peak GB':>9}"
    print(f"\n{'way':<22}{heads}  labels equal to those of {first}")
    for way, spent in costs.items():
        answers = [cost.answer for cost in spent]
        if "problem" in answers[0]:
            print(f"{way:<22}  not here: {answers[0]['problem']}")
            continue
        cpu, wall = (statistics.median(answer[kind] for answer in answers) for kind in ("cpu", "wall"))
        peak = max(cost.peak_gb for cost in spent)
        same = equal(folder, "peer" if way == PEER else way, reference)
        print(f"{way:<22}{cpu:>9.2f}{wall:>9.2f}{base / cpu:>10.2f}{peak:>9.2f}  {same:.6f}  {answers[0]['versions']}")


def equal(folder: Path, way: str, reference: str) -> float:
    import numpy as np

    return float(np.mean(np.load(folder / f"{way}_labels.npy") == np.load(folder / f"{reference}_labels.npy")))


def one_way(way: str, folder: Path, threads: int) -> dict[str, Any]:
    """Predict once, in this process."""
    import numpy as np
    import torch

    from medseg.errors import UsageError
    from medseg.nets.tiled import TileOptions, predict_maps
    from medseg.pipeline import load_model
    from medseg.progress import finish

    torch.set_num_threads(threads)
    try:
        model = load_model(str(folder / "ours"), device="cpu", backend=way)
    except UsageError as problem:
        return {"problem": problem.found}
    patch, n_out = model.card.input.patch, len(model.card.outputs)
    image, cpu = np.load(folder / "image.npy"), torch.device("cpu")
    with torch.inference_mode():
        model.network(torch.zeros(1, 1, *patch))  # warm
    wall, spent = perf_counter(), process_time()
    maps, _ = finish(predict_maps(model.network, image, options=TileOptions(patch, n_out), device=cpu))
    answer = {"wall": perf_counter() - wall, "cpu": process_time() - spent}
    np.save(folder / f"{way}_labels.npy", maps.argmax(0).astype(np.uint8))
    backend = model.computed_by
    return answer | {"versions": f"{backend}{'; ' + backend.reason if backend and backend.fell_back else ''}"}


if __name__ == "__main__":
    main()
