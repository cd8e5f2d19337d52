"""Open what medseg reads: images as image layers, label images as labels layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medseg import Instances, MedsegError, Volume, probe, read, read_labels
from medseg.errors import FramesAmbiguousError, SeriesAmbiguousError
from medseg.io.sniff import sniff
from medseg.io.suffixes import split_suffix
from medseg.workflow.beside import classes_beside, is_named_as_labels, objects_beside
from napari_plugin._layers import LayerData, instances_layer, labels_layer, volume_layers

Read = Callable[[str | list[str]], list[Any]]

NOTHING: list[Any] = [(None,)]
"""What napari takes as "read, but no layer": the user is asked, or was told why."""


def reader(path: str | list[str]) -> Read | None:
    """Return the function that opens `path`, or None for a folder that medseg cannot read as one image.

    Parameters
    ----------
    path : str or list of str
    """
    for one in [path] if isinstance(path, str) else path:
        try:
            if Path(one).is_dir():
                sniff(Path(one))
        except MedsegError as error:
            if error.code in ("E_INPUT_FORMAT", "E_INPUT_EMPTY"):
                return None  # a folder of something else: other readers may know it
    return open_in_window


def open_in_window(path: str | list[str]) -> list[Any]:
    """Open files; with a window, refusals are told in it and a choice between several series is asked for.

    Without a window, or in a script, refusals are raised.
    """
    window = _window()
    if window is None:
        return open_layers(path)
    layers: list[Any] = []
    for one in [path] if isinstance(path, str) else path:
        try:
            layers += open_layers(one)
        except SeriesAmbiguousError as several:
            from napari_plugin._series import ask

            ask(window, one, several)
        except FramesAmbiguousError as several:
            from napari_plugin._series import ask_frame

            ask_frame(window, one, several)
        except MedsegError as error:
            from napari_plugin._telling import tell

            tell(error)
    return layers or NOTHING


def open_layers(path: str | list[str], *, series: str | None = None) -> list[LayerData]:
    """Read one or several files; a file that looks like a label image by name and values opens as labels.

    Parameters
    ----------
    path : str or list of str
    series : str, optional
        Which series of a DICOM folder, or image of a file that holds several.

    Raises
    ------
    MedsegError
        If one of them is refused; SeriesAmbiguousError lists the series to choose from.
    """
    layers: list[LayerData] = []
    for one in [path] if isinstance(path, str) else path:
        name = split_suffix(Path(one).name)[0]
        if sniff(Path(one)) == "zarr" and not _are_small_labels(one):
            from napari_plugin._lazy import lazy_layers

            layers += lazy_layers(one, name)
        elif is_named_as_labels(Path(one)) and _may_be_labels(one):
            layers.append(_labels(one, name))
        else:
            layers += scan_layers(read(one, series=series), name)
    return layers


def scan_layers(volume: Volume, name: str) -> list[LayerData]:
    """Return the layers of an image that was read; its warnings are shown where there is a window."""
    if volume.warnings and _window() is not None:
        from napari_plugin._telling import warn

        warn(volume.warnings)
    return volume_layers(volume, name)


def _labels(path: str, name: str) -> LayerData:
    try:
        labels = read_labels(path)
    except MedsegError as error:
        if error.code != "E_LABELS_INVALID":
            raise
        return volume_layers(read(path), name)[0]  # named like labels, but its values are none
    known = objects_beside(Path(path))
    if known is None and not name.endswith("_instances"):
        return labels_layer(_named(labels, path), name)
    segments, classes = known or ((), {})
    objects = Instances(labels.array, labels.grid, segments, classes, labels.source, labels.warnings)
    return instances_layer(objects, name)


def _named(labels: Any, path: str) -> Any:
    from dataclasses import replace

    return replace(labels, classes=classes_beside(Path(path)) or labels.classes)


def _are_small_labels(path: str) -> bool:
    """Tell whether a zarr folder holds labels that may be held in memory, to be edited."""
    if not is_named_as_labels(Path(path)) or not _may_be_labels(path):
        return False
    from napari_plugin._lazy import EDITABLE_BYTES

    found = probe(path)
    return np.dtype(found.dtype).kind in "iu" and found.n_bytes <= EDITABLE_BYTES


def _may_be_labels(path: str) -> bool:
    found = probe(path)
    return len(found.channels) == 1 and not found.dtype.startswith("complex")


def _window() -> Any:
    """Return the viewer whose window is open, or None."""
    import napari

    return napari.current_viewer()
