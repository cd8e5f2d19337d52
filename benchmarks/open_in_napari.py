"""How long a whole-body sized scan takes to open and to scroll in napari; needs a screen (or xvfb-run).

    python benchmarks/open_in_napari.py [--shape 512 512 400]

Writes the scan to a temporary folder first, as .nii.gz, .nii and .mha; the figures are seconds of
processor time. The first file also pays for what napari loads once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np


def scan(shape):
    """Return a scan in Hounsfield units that compresses about as a real one."""
    from medseg import Grid, Volume

    rng = np.random.default_rng(0)
    slab = rng.normal(0, 12, (shape[0], shape[1], 16)).astype(np.int16)
    array = np.full(shape, -1000, np.int16)
    inner = tuple(slice(n // 6, n - n // 6) for n in shape[:2])
    for k in range(0, shape[2], 16):
        array[(*inner, slice(k, k + 16))] = 40 + slab[(*inner, slice(0, min(16, shape[2] - k)))]
    affine = np.diag([-0.8, 0.8, 1.5, 1.0])
    return Volume(array[None], Grid(shape, affine))


def timed(work):
    """Return the result, and the seconds of work of this process: other work on the computer does not count."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def main():
    import napari
    from qtpy.QtWidgets import QApplication

    from medseg import read, write

    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 400))
    volume = scan(tuple(parser.parse_args().shape))
    print(f"{volume!r}, {volume.array.nbytes / 1e6:.0f} MB")
    viewer = napari.Viewer()
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".nii.gz", ".nii", ".mha"):
            path = Path(folder, f"scan{suffix}")
            write(volume, path)
            _, alone = timed(lambda path=path: read(path))
            (layer,), opened = timed(lambda path=path: viewer.open(str(path), plugin="medseg"))
            QApplication.processEvents()
            steps = []
            for axis, order in enumerate(((0, 1, 2), (1, 0, 2), (2, 0, 1))):
                viewer.dims.order = order
                low, high, _ = viewer.dims.range[axis]
                for point in np.linspace(low, high, 20):
                    _, seconds = timed(lambda axis=axis, point=point: show(viewer, axis, point))
                    steps.append(seconds)
            print(
                f"{suffix:8} read {alone:.1f} s, open {opened:.1f} s, "
                f"a slice {np.median(steps) * 1e3:.0f} ms (slowest {max(steps) * 1e3:.0f} ms)"
            )
            viewer.layers.remove(layer)
    viewer.close()


def show(viewer, axis, point):
    from qtpy.QtWidgets import QApplication

    viewer.dims.set_point(axis, point)
    QApplication.processEvents()


if __name__ == "__main__":
    main()
