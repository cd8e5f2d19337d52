"""Save a labels layer on exactly the grid of its image."""

from __future__ import annotations

from typing import Any

from medseg import write
from napari_plugin._layers import labels_from_layer


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one labels layer; the file is complete or not there at all.

    Parameters
    ----------
    path : str
        Its suffix chooses the format.
    data : integer array
    attributes : dict
        The layer's attributes.

    Raises
    ------
    MedsegError
        If the layer was moved since its image was read.
    """
    write(labels_from_layer(data, attributes), path)
    return [path]
