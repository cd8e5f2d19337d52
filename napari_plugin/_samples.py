"""Samples that need no network; none of them is a person's image."""

from __future__ import annotations

from medseg import Volume, read
from medseg.grid import image_grid
from medseg.samples.ellipsoids import touching_cells
from medseg.samples.phantom import ellipsoids
from medseg.samples.shelf import samples
from napari_plugin._layers import RGB, LayerData, instances_layer, labels_layer, volume_layers


def phantom() -> list[LayerData]:
    """Return a computed, anisotropic and oblique scan with its labels."""
    made = ellipsoids()
    return [*volume_layers(made.volume, "phantom"), labels_layer(made.labels, "phantom_labels")]


def hippocampus_mean() -> list[LayerData]:
    """Return the average of many aligned MR crops of the hippocampus."""
    sample = next(s for s in samples() if s.name == "hippocampus_mean")
    return volume_layers(read(str(sample.path)), sample.name)


def cells_stack() -> list[LayerData]:
    """Return a computed stack of touching cells, and the truth as hidden objects."""
    volume, truth = touching_cells()
    data, attributes, kind = instances_layer(truth, "cells_truth", image="cells")
    return [*volume_layers(volume, "cells"), (data, {**attributes, "visible": False}, kind)]


def tissue() -> list[LayerData]:
    """Return the stained tissue section that comes with scikit-image."""
    from skimage.data import immunohistochemistry

    picture = immunohistochemistry()
    grid = image_grid(picture.shape[:2], (1.0, 1.0), "px")
    return volume_layers(Volume(picture.transpose(2, 0, 1), grid, RGB), "tissue")
