"""Open what medseg reads: images as image layers, label images as labels layers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from medseg import MedsegError, probe, read, read_labels
from medseg.io.suffixes import split_suffix
from napari_plugin._layers import LayerData, labels_layer, volume_layers

Read = Callable[[str | list[str]], list[LayerData]]

_LABEL_NAME = re.compile(r"(^|[_\-.])(labels?|instances?|seg(mentation)?|masks?)$", re.IGNORECASE)


def reader(path: str | list[str]) -> Read | None:
    """Return the function that opens `path`, or None for a folder that medseg cannot read as one image.

    Parameters
    ----------
    path : str or list of str
    """
    paths = [path] if isinstance(path, str) else path
    if any(Path(p).is_dir() for p in paths):
        try:
            for p in paths:
                probe(p)
        except MedsegError as error:
            if error.code in ("E_INPUT_FORMAT", "E_INPUT_EMPTY"):
                return None  # a folder of something else: other readers may know it
    return open_layers


def open_layers(path: str | list[str]) -> list[LayerData]:
    """Read one or several files; a file that looks like a label image by name and values opens as labels."""
    layers: list[LayerData] = []
    for one in [path] if isinstance(path, str) else path:
        name = split_suffix(Path(one).name)[0]
        if _LABEL_NAME.search(name) and _holds_integers(one):
            layers.append(labels_layer(read_labels(one), name))
        else:
            layers += volume_layers(read(one), name)
    return layers


def _holds_integers(path: str) -> bool:
    found = probe(path)
    return len(found.channels) == 1 and not found.dtype.startswith(("float", "complex"))
