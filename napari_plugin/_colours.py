"""Colours of layers: a class keeps its colour in napari, in sheets and in reports."""

from __future__ import annotations

from typing import Any

from medseg.report.colours import colour

CLASSES = 64
"""So many classes have a fixed colour even when they have no name; objects have napari's own cycle of colours."""

_OTHER = (0.6, 0.6, 0.6, 1.0)


def class_colours(classes: dict[int, str]) -> Any:
    """Return napari's colours for a layer of classes: those of medseg's sheets, grey for numbers beyond."""
    from napari.utils.colormaps import DirectLabelColormap

    numbers = sorted({*range(1, CLASSES + 1), *classes})
    table: dict[int | None, Any] = {None: _OTHER, 0: (0.0, 0.0, 0.0, 0.0)}
    table.update({n: (*(part / 255 for part in colour(n)), 1.0) for n in numbers})
    return DirectLabelColormap(color_dict=table)


def channel_colours(n: int) -> dict[int, dict[str, Any]]:
    """Return colours in which `n` fluorescence channels can be seen over each other; one channel stays grey."""
    if n < 2:
        return {}
    names = ("magenta", "green") if n == 2 else ("cyan", "magenta", "yellow", "red", "green", "blue")
    return {i: {"colormap": names[i % len(names)], "blending": "additive"} for i in range(n)}
