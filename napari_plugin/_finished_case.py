"""A finished case of a folder run as layers: its image, its classes and its objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medseg import read
from medseg.workflow.record import load_record, record_path
from napari_plugin._layers import LayerData, volume_layers
from napari_plugin._reader import open_layers

_SHOWN = ("labels", "instances")


def case_layers(row: dict[str, Any], folder: Path, out: Path) -> list[LayerData]:
    """Read the image of a case and what was made of it; classes are hidden where there are objects.

    Parameters
    ----------
    row : dict
        Its line of ``report.jsonl``.
    folder, out : Path
        Where the run looked for images, and where its results lie.

    Raises
    ------
    MedsegError
        If the image or a result is gone or damaged.
    """
    name = str(row["case"])
    record = load_record(record_path(out, name))
    path = folder / str(row["input"])
    # a folder of DICOM slices that was chosen itself is called by its own name
    volume = read(path if path.exists() else folder, series=record.input.series)
    outputs = sorted((output for output in record.outputs if output.kind in _SHOWN), key=lambda o: _SHOWN.index(o.kind))
    layers = volume_layers(volume, name)
    for output in outputs:
        for data, attributes, kind in open_layers(str(out / output.path)):
            hidden = output.kind == "labels" and len(outputs) > 1
            layers.append((data, {**attributes, "visible": not hidden}, kind))
    return layers
