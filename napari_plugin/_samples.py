"""Samples that need no network; none of them is a person's image."""

from __future__ import annotations

from medseg import read
from medseg.samples.phantom import ellipsoids
from medseg.samples.shelf import samples
from napari_plugin._layers import LayerData, labels_layer, volume_layers


def phantom() -> list[LayerData]:
    """Return a computed, anisotropic and oblique scan with its labels."""
    made = ellipsoids()
    return [*volume_layers(made.volume, "phantom"), labels_layer(made.labels, "phantom_labels")]


def hippocampus_mean() -> list[LayerData]:
    """Return the average of many aligned MR crops of the hippocampus."""
    sample = next(s for s in samples() if s.name == "hippocampus_mean")
    return volume_layers(read(str(sample.path)), sample.name)
