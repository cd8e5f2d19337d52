"""What napari does for the first layer of labels of a session, done on the thread of the work and not in the window."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_plugin._layers import LayerData


def ready(layers: Iterable[LayerData]) -> None:
    """Make a throw-away layer of one voxel like each labels layer; what was done stays done for the real one.

    For the first layer with colours of its own napari compiles how numbers become colours, and it loads pandas for the
    names of the classes: together more than a second of work, in which the window would stand still.
    """
    from napari.layers import Labels

    for data, attributes, kind in layers:
        if kind == "labels":
            known = {name: attributes[name] for name in ("colormap", "features") if name in attributes}
            finest = data[0] if attributes.get("multiscale") else data
            Labels(np.zeros((1,) * finest.ndim, finest.dtype), **known)
