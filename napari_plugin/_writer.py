"""Save a labels layer on exactly the grid of its image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medseg import write
from medseg.workflow.beside import write_objects
from napari_plugin._layers import instances_from_layer, labels_from_layer


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one labels layer; the file is complete or not there at all.

    Objects get a table beside them, ``NAME_objects.csv``, with the class, score and flags of each.

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
    objects = instances_from_layer(data, attributes)
    if objects is None:
        write(labels_from_layer(data, attributes), path)
        return [path]
    write(objects, path)
    return [path, str(write_objects(objects, Path(path)))]
