"""Read and write `.nii.gz`: ours (checked, hashed, flushed, read back) against nibabel as it is usually called.

Run: ``python benchmarks/nifti_io.py [--size 160] [--rounds 5]``. Interleaved rounds, medians. What each side does:

- read: `medseg.io.read.read` to the end of the stream with SHA-256, then one cast to float32; nibabel `get_fdata`
  in its float32 form, and as it is usually called (float64);
- codec: the decoder alone into one array of the stored type, against nibabel's `dataobj`;
- write: `medseg.io.write.write` (temporary file, fsync, read back, rename) and the encoder alone (`write_nifti`),
  against a plain `nibabel.save`; once more from an array in C order, as a network leaves its labels.

Writing packs on as many threads as there are cores, or as ``OMP_NUM_THREADS`` says. Seconds are those of the clock,
followed by those of the processor; both come with their ratio.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import isal
import nibabel
import numpy as np
from scipy import ndimage

from medseg.grid import Grid
from medseg.io.nifti_write import write_nifti
from medseg.io.read import read, read_labels
from medseg.io.write import write
from medseg.labels import LabelMap
from medseg.volume import Volume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=160, help="slices; each is 1.6 times as wide")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", choices=("ours", "nibabel", "nothing"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print_peak(options.peak, options.file)
        return
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    print(f"cpu {platform.processor() or platform.machine()}, {os.cpu_count()} cores, OMP_NUM_THREADS {threads}")
    print(f"python {platform.python_version()}, numpy {np.__version__}, nibabel {nibabel.__version__}", end=", ")
    print(f"isal {isal.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for name, value in phantoms(options.size).items():
            compare(name, value, Path(folder), options.rounds)


def phantoms(n: int) -> dict[str, Volume | LabelMap]:
    """Return a CT-like image with noise and a label map of smooth structures, on an oblique grid."""
    rng = np.random.default_rng(7)
    width = int(1.6 * n)
    shape = (width, width, n)
    coarse = rng.normal(size=tuple(-(-s // 8) for s in shape)).astype(np.float32)
    smooth = ndimage.zoom(ndimage.gaussian_filter(coarse, 1.5), 8, order=1)[:width, :width, :n]
    affine = np.eye(4)
    turn = np.deg2rad(12.0)
    affine[:3, :3] = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    affine[:3, :3] = affine[:3, :3] @ np.diag([-0.8, -0.8, 1.5])
    affine[:3, 3] = (150.0, 120.5, -300.25)
    grid = Grid(shape, affine.astype(np.float32).astype(np.float64))
    body = np.where(smooth > -0.08, smooth * 900 + rng.normal(size=shape) * 12, -1024)
    labels = np.clip(np.floor(smooth * 60), 0, 26)
    return {
        "CT": Volume(np.asfortranarray(body.astype(np.int16))[np.newaxis], grid),
        "labels": LabelMap(np.asfortranarray(labels.astype(np.uint8)), grid),
    }


def compare(name: str, value: Volume | LabelMap, folder: Path, rounds: int) -> None:
    array = value.numpy()[0] if isinstance(value, Volume) else value.array
    image = nibabel.Nifti1Image(array, value.grid.world_from_index)
    turned = replace(value, array=np.ascontiguousarray(value.array))
    turned_image = nibabel.Nifti1Image(np.ascontiguousarray(array), value.grid.world_from_index)
    ours, peer, bare = folder / f"{name}_ours.nii.gz", folder / f"{name}_peer.nii.gz", folder / f"{name}_bare.nii.gz"
    nibabel.save(image, peer)
    write(value, ours)
    load = read if isinstance(value, Volume) else read_labels
    print(f"\n{name}: {array.shape} {array.dtype}, {array.nbytes / 1e6:.0f} MB", end="; ")
    print(f"file ours {ours.stat().st_size / 1e6:.2f} MB, nibabel {peer.stat().st_size / 1e6:.2f} MB")
    read_tasks: dict[str, Callable[[], Any]] = {
        "ours": lambda: read(peer).array.astype(np.float32),
        "nibabel float32": lambda: nibabel.load(peer).get_fdata(dtype=np.float32),
        "nibabel get_fdata": lambda: nibabel.load(peer).get_fdata(),
    }
    codec_tasks: dict[str, Callable[[], Any]] = {
        "ours": lambda: load(peer).array,
        "nibabel dataobj": lambda: np.asarray(nibabel.load(peer).dataobj),
    }
    write_tasks: dict[str, Callable[[], Any]] = {
        "ours": lambda: write(value, ours),
        "nibabel": lambda: nibabel.save(image, peer),
    }
    turned_tasks: dict[str, Callable[[], Any]] = {
        "ours": lambda: write(turned, ours),
        "nibabel": lambda: nibabel.save(turned_image, peer),
    }
    encode_tasks: dict[str, Callable[[], Any]] = {
        "ours": lambda: write_nifti(value, bare),
        "nibabel": lambda: nibabel.save(image, peer),
    }
    report("read + hash + float32", timed(read_tasks, rounds))
    report("read + hash, stored type", timed(codec_tasks, rounds))
    report("safe write against plain", timed(write_tasks, rounds))
    report("the same from C order", timed(turned_tasks, rounds))
    report("encoder alone", timed(encode_tasks, rounds))
    back = np.asarray(nibabel.load(ours).dataobj)
    same = np.array_equal(back, array) and np.array_equal(load(peer).array.reshape(array.shape), array)
    print(f"  agreement: voxels {'identical both ways' if same else 'DIFFER'}", end=", ")
    print(f"affine off by {np.abs(nibabel.load(ours).affine - value.grid.world_from_index).max():.2g} mm")
    base = peak_mb("nothing", peer)
    for who in ("ours", "nibabel"):
        print(f"  peak memory of a read, {who}: {(peak_mb(who, peer) - base) / (array.nbytes / 2**20):.2f} x the array")


def timed(tasks: dict[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median seconds of each task by the clock and of the processor; the rounds are interleaved."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            gc.collect()
            start, busy = perf_counter(), process_time()
            task()
            seconds[name].append((perf_counter() - start, process_time() - busy))
    middle = statistics.median
    return {name: (middle(s for s, _ in values), middle(b for _, b in values)) for name, values in seconds.items()}


def report(what: str, seconds: dict[str, tuple[float, float]]) -> None:
    ours, busy = seconds["ours"]
    others = ", ".join(
        f"{name} {s:.3f} / {b:.3f} s = {s / ours:.2f}x / {b / busy:.2f}x"
        for name, (s, b) in seconds.items()
        if name != "ours"
    )
    print(f"  {what}: ours {ours:.3f} / {busy:.3f} s, {others}")


def peak_mb(who: str, file: Path) -> float:
    command = [sys.executable, __file__, "--peak", who, "--file", str(file)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(who: str, file: Path) -> None:
    if who == "ours":
        kept: Any = read(file)
    elif who == "nibabel":
        kept = nibabel.load(file).get_fdata()
    else:
        kept = None
    # not getrusage: its maximum survives the exec and would show the parent's
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
    del kept


if __name__ == "__main__":
    main()
