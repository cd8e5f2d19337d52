"""How long a whole-body sized scan takes to open and to scroll in napari; needs a screen (or xvfb-run).

    python benchmarks/open_in_napari.py [--shape 512 512 400] [--unprepared]

First a result is added, as the Segment widget does it: classes, the same again, and objects; the figures are
milliseconds of processor time of the window's thread, which stands still meanwhile. With --unprepared nothing was made
ready beside the window before. Then the scan is written to a temporary folder, as .nii.gz, .nii and .mha, and opened;
the figures are seconds of processor time. The first file also pays for what napari loads once.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
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
    parser.add_argument("--unprepared", action="store_true")
    given = parser.parse_args()
    volume = scan(tuple(given.shape))
    print(f"{volume!r}, {volume.array.nbytes / 1e6:.0f} MB")
    viewer = napari.Viewer()
    add_results(viewer, volume, prepared=not given.unprepared)
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


def add_results(viewer, volume, *, prepared):
    """Print how long the window stands still when results are added."""
    from qtpy.QtWidgets import QApplication

    from medseg.labels import Instances, LabelMap, Segment
    from napari_plugin._layers import instances_layer, labels_layer, volume_layers
    from napari_plugin._ready import ready

    for data, attributes, _ in volume_layers(volume, "scan"):
        viewer.add_image(data, **attributes)
    array = np.zeros(volume.grid.shape, np.uint8)
    array[tuple(slice(n // 3, n // 2) for n in array.shape)] = 1
    classes = LabelMap(array, volume.grid, {1: "organ"})
    objects = Instances(array.astype(np.int32), volume.grid, (Segment(1),), {1: "lesion"})
    for name, made in (("classes", classes), ("the same again", classes), ("objects", objects)):
        QApplication.processEvents()
        layer = labels_layer(made, name) if made is classes else instances_layer(made, name)
        if prepared:
            beside = threading.Thread(target=ready, args=([layer],))
            beside.start()
            beside.join()
        start = time.thread_time()
        viewer.add_labels(layer[0], **layer[1])
        added = time.thread_time()
        QApplication.processEvents()
        print(f"{name:15} added {1e3 * (added - start):5.0f} ms, drawn {1e3 * (time.thread_time() - added):4.0f} ms")
    viewer.layers.clear()


def show(viewer, axis, point):
    from qtpy.QtWidgets import QApplication

    viewer.dims.set_point(axis, point)
    QApplication.processEvents()


if __name__ == "__main__":
    main()
