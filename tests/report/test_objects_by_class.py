"""Outlines tell the classes apart where there are several; the legend says which colour is which."""

import numpy as np
import pytest

from medseg.grid import image_grid
from medseg.labels import Instances, Segment
from medseg.report.colours import colour
from medseg.report.objects import FLAGGED, outlined
from medseg.report.overlay import overlay
from medseg.volume import Volume

LABELS = np.zeros((40, 60), np.uint8)
LABELS[5:35, 5:25], LABELS[5:35, 32:55] = 3, 7
GRID = image_grid(LABELS.shape, (1.0, 1.0), "px")


def objects(*kinds, flags=()):
    segments = tuple(Segment(i, kind, flags=flags) for i, kind in zip((3, 7), kinds, strict=True))
    return Instances(LABELS, GRID, segments, {1: "lymphocyte", 2: "tumour cell"})


def rims(instances):
    """Return the colour of the outline of each object on a black picture."""
    drawn = outlined(np.zeros((160, 240, 3), np.uint8), LABELS, instances, numbers=False)
    return [tuple(drawn[80, column].tolist()) for column in (20, 128)]


def test_each_class_has_its_colour():
    assert rims(objects(1, 2)) == [pytest.approx(colour(1), abs=2), pytest.approx(colour(2), abs=2)]


def test_objects_of_one_class_have_colours_of_their_own():
    one, two = rims(objects(1, 1))
    assert one != two
    assert one != pytest.approx(colour(1), abs=2)


def test_what_needs_eyes_keeps_the_signal_colour():
    assert rims(objects(1, 2, flags=("likely_merged",))) == [pytest.approx(FLAGGED, abs=2)] * 2


def test_the_legend_shows_the_colours_of_the_classes():
    volume = Volume(np.full((1, *LABELS.shape), 30, np.uint8), GRID, ("a",))
    page = np.asarray(overlay(volume, objects(1, 2)))
    legend = page[:, 2030:]
    assert all((legend == colour(c)).all(axis=-1).any() for c in (1, 2))
    bare = np.asarray(overlay(volume, objects(1, 1)))[:, 2030:]
    assert not (bare == colour(1)).all(axis=-1).any()
