"""Segmenting: a scan in slices and in space, a run under way, a stopped one with what was kept, and a folder."""

from __future__ import annotations

import tempfile
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from medseg import Volume, read, write
from medseg.samples.shelf import samples
from napari_plugin._layers import volume_layers
from napari_plugin._views import camera_of

LONGEST = 300_000
"""Milliseconds to wait for a run on a busy computer."""


def _until(signal: Any) -> None:
    loop = QEventLoop()
    signal.connect(lambda *_: loop.quit())
    QTimer.singleShot(LONGEST, loop.quit)
    loop.exec()


def _sample() -> Volume:
    return read(str(next(s for s in samples() if s.model == "hippocampus").path))


def _several() -> Volume:
    """Return the sample several times beside itself, so that it takes some tiles."""
    one = _sample()
    array = np.concatenate([one.numpy(), one.numpy()[:, ::-1], one.numpy()], axis=1)
    return Volume(array, replace(one.grid, shape=array.shape[1:]))


def _widget(viewer: Any, name: str) -> Any:
    return viewer.window.add_plugin_dock_widget("medseg", name)[1]


def segmented(viewer: Any) -> None:
    """Segment the sample."""
    viewer.open_sample("medseg", "hippocampus_mean")
    widget = _widget(viewer, "Segment")
    widget.run_button.click()
    _until(widget.bar.ended)


def segmented_in_space(viewer: Any) -> None:
    """Show the structures of the sample from the side."""
    segmented(viewer)
    viewer.layers[0].visible = False
    viewer.layers[-1].iso_gradient_mode = "smooth"
    viewer.layers[-1].opacity = 1.0
    viewer.dims.ndisplay = 3
    viewer.reset_view()
    camera = camera_of(viewer)
    camera.angles = (10.0, 35.0, 60.0)
    camera.zoom *= 1.2


def _started(viewer: Any) -> Any:
    for data, attributes, kind in volume_layers(_several(), "three in a row"):
        getattr(viewer, f"add_{kind}")(data, **attributes)
    widget = _widget(viewer, "Segment")
    QApplication.processEvents()
    viewer.reset_view()
    enough = QEventLoop()
    # the second tile, not a clock: the picture is the same on a slow computer
    widget.bar.stepped.connect(lambda step: enough.quit() if step.phase == "segmenting" and step.done >= 2 else None)
    QTimer.singleShot(LONGEST, enough.quit)
    widget.run_button.click()
    enough.exec()
    return widget


def running(viewer: Any) -> None:
    """Segment a larger image, and look while tiles are being done."""
    _started(viewer)


def stopped(viewer: Any) -> None:
    """Stop it after some tiles, and keep what is finished."""
    widget = _started(viewer)
    widget.bar.cancel()
    widget.bar.answer(keep=True)
    _until(widget.bar.ended)
    viewer.dims.set_point(0, viewer.dims.range[0].start + 16)


def folder(viewer: Any) -> None:
    """Segment a folder with a damaged file in it, and open a finished case."""
    home = Path(tempfile.mkdtemp())
    one = _sample()
    (home / "scans").mkdir()
    for name, array in (("patient_01", one.numpy()), ("patient_02", one.numpy()[:, ::-1])):
        write(replace(one, array=np.ascontiguousarray(array), source=None), home / "scans" / f"{name}.nii.gz")
    whole = (home / "scans" / "patient_02.nii.gz").read_bytes()
    (home / "scans" / "patient_03.nii.gz").write_bytes(whole[: len(whole) // 2])
    widget = _widget(viewer, "Batch")
    with chdir(home):
        widget.inputs.path = Path("scans")
        widget.run_button.click()
        _until(widget.run.ended)
        widget.open_case("patient_01")
        _until(widget.bar.ended)


PICTURES = {
    "napari_segmented": segmented,
    "napari_segmented_3d": segmented_in_space,
    "napari_running": running,
    "napari_stopped": stopped,
    "napari_batch": folder,
}
