"""A whole case by `medseg segment` and as `nnUNetv2_predict` does it: one network, same weights, file to file.

Run: ``make peers``, then ``PYTHONPATH=. python benchmarks/whole_case.py [--part 4] [--classes 25] [--rounds 1]``.
The scan is a generated CT of 512 x 512 x 300 voxels of 0.8 x 0.8 x 1.5 mm, or a part of it (--part 4: half of the
first two axes, --part 8: of all); the network works at 1.5 mm in tiles of 96^3, half overlapping, without mirroring.
Each way is a process of its own from start to end: reading, resampling, network, labels on the scan's grid, writing
(ours also a table, a picture, a page and a record). nnU-Net runs by its sequential predictor, whose memory is all in
that process. It clips the intensities before it resamples and we after it, so that labels differ most at the skin.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from same_network import Cost, ct_like, peers_or_stop, plan, run_alone, save_for_both
from side_by_side import describe, set_threads

WHOLE = (512, 512, 300)
PARTS = {1: (1, 1, 1), 4: (2, 2, 1), 8: (2, 2, 2), 64: (4, 4, 4)}
"""Of the whole, and what each axis is divided by."""
SPACING = (0.8, 0.8, 1.5)
OURS = "medseg segment, "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", type=int, default=4, choices=tuple(PARTS), help="one of so many of the whole")
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--first", type=int, default=16, help="channels of the first level")
    parser.add_argument("--classes", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--overlap", type=float, default=0.5, help="of our tiles; nnU-Net's overlap by half")
    parser.add_argument("--ways", nargs="*", help="only these, by their names in the table")
    parser.add_argument("--keep", type=Path, help="keep scan, network and results in this folder, and use them again")
    options = parser.parse_args()
    set_threads(options.threads)
    describe(options.threads, "medseg", "torch", "openvino", "numpy")
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "plan.json").exists():
            prepare(folder, options)
        compared(folder, options)


def prepare(folder: Path, options: argparse.Namespace) -> None:
    import nibabel
    import numpy as np

    shape = tuple(n // parts for n, parts in zip(WHOLE, PARTS[options.part], strict=True))
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-100.0, -90.0, 40.0)
    nibabel.save(nibabel.Nifti1Image(ct_like(shape, options.classes)[0], affine), folder / "ct_0000.nii.gz")
    save_for_both(folder, plan(options.classes, options.patch, options.first))
    print(f"{shape} voxels of {SPACING} mm, 1/{options.part} of {WHOLE}; tiles of {options.patch}^3, {options.classes}"
          " classes")  # fmt: skip


def ways(folder: Path, options: argparse.Namespace) -> dict[str, list[str]]:
    peer = [peers_or_stop(), str(Path(__file__).with_name("peer_nnunet.py")), "case", str(folder)]
    found = {"nnU-Net, its default": peer, "nnU-Net, torch resampling": [*peer, "torch"]}
    for backend in ("torch", "openvino", "openvino-bf16"):
        found[OURS + backend] = [
            sys.executable, "-m", "medseg.cli", "segment", str(folder / "ct_0000.nii.gz"), "-o", str(folder / backend),
            "-m", str(folder / "ours"), "--device", "cpu", "--backend", backend, "--overwrite",
            "--overlap", str(options.overlap),
        ]  # fmt: skip
    return {name: command for name, command in found.items() if not options.ways or name in options.ways}


def compared(folder: Path, options: argparse.Namespace) -> None:
    costs: dict[str, list[Cost]] = {}
    labels: dict[str, Any] = {}
    for _ in range(options.rounds):
        for way, command in ways(folder, options).items():
            costs.setdefault(way, []).append(run_alone(command, options.threads))
            labels[way] = read_labels(folder, way)
    first = next(iter(costs))
    base = statistics.median(cost.cpu for cost in costs[first])
    top = max(cost.peak_gb for cost in costs[first])
    heads = f"{'cpu s':>9}{'wall s':>9}{'x faster':>10}{'peak GB':>9}{'of first':>10}"
    print(f"\n{'way':<32}{heads}  voxels equal, mean Dice with the first")
    for way, spent in costs.items():
        cpu, wall = (statistics.median(getattr(cost, kind) for cost in spent) for kind in ("cpu", "wall"))
        peak = max(cost.peak_gb for cost in spent)
        row = f"{way:<32}{cpu:>9.1f}{wall:>9.1f}{base / cpu:>10.2f}{peak:>9.2f}{peak / top:>10.2f}"
        told = spent[0].answer
        what = f"{told['tiles']} tiles, {told['versions']}" if told else computed_by(folder, way, options.overlap)
        print(f"{row}  {agreement(labels[way], labels[first])}  {what}", flush=True)


def computed_by(folder: Path, way: str, overlap: float) -> str:
    """Return what our record says computed the labels, and how many tiles there are."""
    record = json.loads((folder / way.removeprefix(OURS) / "ct.medseg.json").read_text())
    network = record["device"]
    fallen = f"; {network['reason']}" if network["backend"] not in way else ""
    version = f"{network['version']} {network.get('precision', '')}".strip()
    return f"{n_tiles(folder, overlap)} tiles, {network['backend']} {version}{fallen}"


def n_tiles(folder: Path, overlap: float) -> int:
    from medseg.io.read import read
    from medseg.learn.preprocess import working_grid
    from medseg.models.bundle import load_bundle
    from medseg.ops.tiles import starts

    spec = load_bundle(folder / "ours").card.input
    shape = working_grid(read(folder / "ct_0000.nii.gz").grid, spec).shape
    return math.prod(len(starts(n, side, overlap)) for n, side in zip(shape, spec.patch, strict=True))


def read_labels(folder: Path, way: str) -> Any:
    import nibabel
    import numpy as np

    ours = folder / way.removeprefix(OURS)
    path = next(ours.glob("*_labels.nii.gz")) if way.startswith(OURS) else folder / "peer.nii.gz"
    return np.asarray(nibabel.load(path).dataobj).astype(np.uint8)


def agreement(found: Any, reference: Any) -> str:
    import numpy as np

    dice = []
    for k in np.unique(reference)[1:]:
        a, b = found == k, reference == k
        dice.append(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))
    return f"{np.mean(found == reference):.5f}, {np.mean(dice):.5f} over {len(dice)} classes"


if __name__ == "__main__":
    main()
