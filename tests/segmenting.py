"""What the tests of Segment share: a scan of several tiles, and a gate between two of them."""

import threading
from dataclasses import replace

import numpy as np

from medseg.io.read import read
from medseg.samples.shelf import samples
from medseg.volume import Volume

LONG = 500_000
"""Milliseconds to wait for a network on a busy computer."""


def sample():
    return read(str(next(s for s in samples() if s.model == "hippocampus").path))


def long_scan(times=3):
    """Return the sample several times beside itself, so that it takes several tiles."""
    one = sample()
    array = np.concatenate([one.numpy()] * times, axis=2)
    return Volume(array, replace(one.grid, shape=array.shape[1:]))


class Gate:
    """Counts the tiles that a network answers, and holds it at one of them until it is opened."""

    def __init__(self, monkeypatch, hold_at):
        import medseg.nets.tiled as tiled

        self.tiles, self.hold_at = 0, hold_at
        self.most_at_once = self._now = 0
        self.reached, self.opened = threading.Event(), threading.Event()
        self._answer = tiled._answer
        monkeypatch.setattr(tiled, "_answer", self._counted)

    def _counted(self, *given):
        self.tiles += 1
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        if self.tiles == self.hold_at:
            self.reached.set()
            assert self.opened.wait(240)
        try:
            return self._answer(*given)
        finally:
            self._now -= 1


def shown(viewer, volume, name="scan"):
    """Add a volume as a reader does."""
    from napari_plugin._layers import volume_layers

    for data, attributes, kind in volume_layers(volume, name):
        getattr(viewer, f"add_{kind}")(data, **attributes)
    return viewer.layers[-1]
