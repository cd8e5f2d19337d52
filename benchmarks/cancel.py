"""How soon Cancel is answered in the plugin, in every phase of the work, and whether the window ever stands still.

    python benchmarks/cancel.py [--only segment,count,stack,split,measure] [--threads 1]

A real napari window, as a user sees it; on a machine without a screen put ``xvfb-run -a`` in front. Every scene is run
once to its end to learn its phases, and then once for each phase, in the middle of which Cancel is pressed (and
Discard, where finished tiles could be kept). *answered* is the time until the widget is ready for the next run, *at
rest* until the last thread works no more, and in brackets the processor time that this took. *still* is the longest
time between two turns of the window's own clock, and in brackets the processor time that the window's thread spent
meanwhile. The goals are one second and 100 ms; on a busy machine the clock tells about the others. The first run of a
scene ends with napari's adding of a layer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time, sleep, thread_time
from typing import Any

from side_by_side import describe, set_threads

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

GOAL_S, GOAL_STILL_MS = 1.0, 100.0
TICK_MS = 5
LATER_S = 0.05


class Clock:
    """Ticks in the window's thread, and keeps the longest time between two ticks."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self._timer = QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self.begin()
        self._timer.start()

    def begin(self) -> None:
        self.still = self.worked = 0.0
        self._last = perf_counter(), thread_time()

    def _tick(self) -> None:
        now = perf_counter(), thread_time()
        self.still = max(self.still, now[0] - self._last[0])
        self.worked = max(self.worked, now[1] - self._last[1])
        self._last = now


def wait(true: Callable[[], bool]) -> None:
    """Turn the window's loop until something is true."""
    from qtpy.QtWidgets import QApplication

    while not true():
        QApplication.processEvents()
        sleep(TICK_MS / 2000)  # else the window's thread would take the processor from the work


def phases_of(bar: Any, start: Callable[[], None]) -> list[str]:
    """Run to the end; return the phases that came, but for numbers in their names."""
    found: list[str] = []

    def note(step: Any) -> None:
        if step.phase not in found:
            found.append(step.phase)

    ended: list[bool] = []
    bar.stepped.connect(note)
    bar.ended.connect(lambda: ended.append(True))
    start()
    wait(lambda: bool(ended))
    bar.stepped.disconnect(note)
    return found


def cancelled(bar: Any, start: Callable[[], None], phase: str) -> tuple[float, float, float] | None:
    """Press Cancel soon after a phase has begun; return the seconds to the answer, to rest, and those of the core."""
    seen: list[float] = []

    def note(step: Any) -> None:
        if step.phase == phase and not seen:
            seen.append(perf_counter())

    bar.stepped.connect(note)
    start()
    wait(lambda: not bar.busy or bool(seen and perf_counter() > seen[0] + LATER_S))
    bar.stepped.disconnect(note)
    if not bar.busy:
        wait(lambda: bar.resting)
        return None
    pressed, used = perf_counter(), process_time()
    bar.cancel()
    if bar.busy:
        bar.answer(keep=False)
    wait(lambda: not bar.busy)
    answered = perf_counter() - pressed
    wait(lambda: bar.resting)
    return answered, perf_counter() - pressed, process_time() - used


def scenes(viewer: Any, wanted: list[str]) -> list[tuple[str, Any, Callable[[], None]]]:
    """Return name, bar and starter of each scene."""
    made: dict[str, Callable[[Any], tuple[Any, Callable[[], None]]]] = {
        "segment": lambda v: segmenting(v, "hippocampus", scan()),
        "count": lambda v: segmenting(v, "nuclei", picture((512, 512))),
        "stack": lambda v: segmenting(v, "nuclei", picture((24, 128, 128))),
        "split": splitting,
        "measure": measuring,
    }
    return [(name, *made[name](viewer)) for name in wanted]


def scan() -> Any:
    """Return the sample scan, three times beside itself."""
    from dataclasses import replace

    import numpy as np

    from medseg.io.read import read
    from medseg.samples.shelf import samples
    from medseg.volume import Volume

    one = read(str(next(s for s in samples() if s.model == "hippocampus").path))
    array = np.concatenate([one.numpy()] * 3, axis=2)
    return Volume(array, replace(one.grid, shape=array.shape[1:]))


def picture(shape: tuple[int, ...]) -> Any:
    """Return a crowd of bright touching cells."""
    import numpy as np
    from scipy import ndimage
    from splitting import cells

    from medseg.grid import image_grid
    from medseg.volume import Volume

    light = ndimage.gaussian_filter(cells(shape).astype(np.float32), 1.0)
    return Volume((200 * light)[None].astype(np.uint8), image_grid(shape, (1.0,) * len(shape), "px"))


def segmenting(viewer: Any, model: str, volume: Any) -> tuple[Any, Callable[[], None]]:
    """Open a volume and the Segment widget."""
    from napari_plugin._layers import volume_layers
    from napari_plugin._segment import SegmentWidget

    viewer.layers.clear()
    for data, attributes, kind in volume_layers(volume, "scene"):
        getattr(viewer, f"add_{kind}")(data, **attributes)
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    widget.model.choose_first(lambda card: card.name == model)
    widget.device_combo.setCurrentText("cpu")

    def start() -> None:
        widget._loaded.forget()  # every run loads the model anew: that is a phase too
        widget.segment()

    return widget.bar, start


def splitting(viewer: Any) -> tuple[Any, Callable[[], None]]:
    """Open a mask and the Split widget."""
    import numpy as np
    from splitting import cells

    from medseg.grid import image_grid
    from medseg.labels import LabelMap
    from napari_plugin._layers import labels_layer
    from napari_plugin._split import SplitWidget

    viewer.layers.clear()
    mask = cells((96, 256, 256)).astype(np.uint8)
    labels = LabelMap(mask, image_grid(mask.shape, (1.0,) * 3, "px"), {1: "cell"})
    data, attributes, _ = labels_layer(labels, "mask")
    viewer.add_labels(data, **attributes)
    widget = SplitWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Split")
    widget.live_box.setChecked(False)
    return widget.bar, widget.apply


def measuring(viewer: Any) -> tuple[Any, Callable[[], None]]:
    """Open objects and the Objects widget."""
    from splitting import cells, ours

    from medseg.grid import image_grid
    from medseg.labels import Instances, Segment
    from napari_plugin._layers import instances_layer
    from napari_plugin._objects import ObjectsWidget

    viewer.layers.clear()
    array = ours(cells((96, 256, 256)), (1.0, 1.0, 1.0))
    segments = tuple(Segment(i) for i in range(1, int(array.max()) + 1))
    objects = Instances(array, image_grid(array.shape, (1.0,) * 3, "px"), segments, {1: "cell"})
    data, attributes, _ = instances_layer(objects, "objects")
    viewer.add_labels(data, **attributes)
    widget = ObjectsWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Objects")
    wait(lambda: not widget.view.run.busy)
    return widget.view.run, widget.measure


def row(name: str, phase: str, times: tuple[float, float, float] | None, clock: Clock) -> str:
    """Return a line of the table."""
    told = "over before Cancel was pressed"
    if times is not None:
        told = "answered {:5.2f} s, at rest {:5.2f} s ({:4.2f} s)".format(*times)
    if phase == "to the end":
        told = ""
    return f"{name:8} {phase:40} {told:44} still {1e3 * clock.still:5.0f} ms ({1e3 * clock.worked:4.0f} ms of the core)"


def main() -> int:
    """Print a row for every scene and phase; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="segment,count,stack,split,measure")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    set_threads(given.threads)
    describe(given.threads, "napari", "torch", "numba")
    import napari

    viewer = napari.Viewer()
    clock = Clock()
    missed = False
    for name in given.only.split(","):
        [(_, bar, start)] = scenes(viewer, [name])
        clock.begin()
        found = phases_of(bar, start)
        print(row(name, "to the end", None, clock), flush=True)
        for phase in found:
            clock.begin()
            times = cancelled(bar, start, phase)
            print(row(name, phase, times, clock), flush=True)
            missed |= max(times or (0.0,)) > GOAL_S or 1e3 * clock.worked > GOAL_STILL_MS
        for dock in list(viewer.window.dock_widgets):
            viewer.window.remove_dock_widget(viewer.window.dock_widgets[dock])
    viewer.close()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
