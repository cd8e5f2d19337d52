"""The list of layers to choose from follows the viewer."""

import numpy as np
import pytest

pytest.importorskip("napari")

pytestmark = pytest.mark.gl


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def choice_of(viewer, qtbot):
    from napari_plugin._layer_choice import LayerChoice

    made = []

    def make(*args, **kwargs):
        choice = LayerChoice(viewer, *args, **kwargs)
        qtbot.addWidget(choice)
        made.append(choice)
        return choice

    yield make
    for choice in made:
        choice.let_go()


def texts(choice):
    return [choice.itemText(i) for i in range(choice.count())]


def test_the_list_follows_layers_that_come_go_move_and_are_renamed(viewer, choice_of):
    choice, got = choice_of(("labels",)), []
    choice.changed.connect(got.append)
    assert choice.layer is None
    assert not choice.isEnabled()
    assert texts(choice) == ["no labels layer yet"]

    viewer.add_image(np.zeros((8, 8)), name="picture")
    assert choice.layer is None
    cells = viewer.add_labels(np.zeros((8, 8), int), name="cells")
    assert choice.layer == cells
    assert choice.isEnabled()
    other = viewer.add_labels(np.zeros((8, 8), int), name="other")
    assert choice.layer == cells, "a new layer does not take the choice away"
    assert choice.layers == (cells, other)

    choice.layer = other
    assert got == [cells, other]
    other.name = "nuclei"
    assert texts(choice) == ["cells", "nuclei"]
    viewer.layers.move(viewer.layers.index(other), 0)
    assert texts(choice) == ["nuclei", "cells"]
    assert choice.layer == other
    assert got == [cells, other], "renaming and moving change no choice"

    viewer.layers.remove(other)
    assert choice.layer == cells
    viewer.layers.clear()
    assert choice.layer is None
    assert got == [cells, other, cells, None]


def test_an_optional_choice_begins_with_none_and_images_are_no_labels(viewer, choice_of):
    choice = choice_of(("image",), optional=True)
    picture = viewer.add_image(np.zeros((8, 8)), name="picture")
    viewer.add_labels(np.zeros((8, 8), int))
    assert texts(choice) == ["none", "picture"]
    assert choice.layer is None
    choice.layer = picture
    assert choice.layer == picture
    with pytest.raises(ValueError, match="not in the list"):
        choice.layer = viewer.layers[1]


def test_only_usable_layers_are_listed(viewer, choice_of):
    flat, stack = viewer.add_image(np.zeros((8, 8))), viewer.add_image(np.zeros((3, 8, 8)))
    choice = choice_of(("image", "labels"), usable=lambda layer: layer.ndim == 3)
    assert choice.layers == (stack,)
    assert flat not in choice.layers


def test_a_choice_that_let_go_hears_nothing_more(viewer, choice_of):
    choice = choice_of(("image",))
    choice.let_go()
    viewer.add_image(np.zeros((8, 8)))
    assert choice.layer is None
