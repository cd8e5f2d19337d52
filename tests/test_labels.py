import numpy as np
import pytest

from medseg.errors import GeometryError, InputError
from medseg.labels import Instances, LabelMap, Segment, smallest_integer_type


@pytest.mark.parametrize("kind", [LabelMap, Instances])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, bool, complex])
def test_labels_are_integers(oblique_grid, kind, dtype):
    with pytest.raises(InputError, match="argmax or a threshold first") as caught:
        kind(np.zeros(oblique_grid.shape, dtype), oblique_grid)
    assert caught.value.code == "E_LABELS_INVALID"


@pytest.mark.parametrize("kind", [LabelMap, Instances])
def test_labels_fill_their_grid(oblique_grid, kind):
    with pytest.raises(GeometryError, match="the grid's shape"):
        kind(np.zeros((7, 9, 11), int), oblique_grid)


def test_a_class_without_a_name_is_called_by_its_number(oblique_grid):
    labels = LabelMap(np.zeros(oblique_grid.shape, int), oblique_grid, {1: "liver"})
    assert (labels.class_name(1), labels.class_name(2)) == ("liver", "class 2")


def test_text_forms_are_short(oblique_grid):
    array = np.zeros(oblique_grid.shape, np.uint8)
    assert repr(LabelMap(array, oblique_grid, {1: "a"})).endswith("uint8, {1: 'a'})")
    assert repr(Instances(array, oblique_grid, (Segment(1), Segment(2)))).startswith("Instances(2 objects")


def test_two_label_maps_do_not_share_their_names(oblique_grid):
    a, b = (LabelMap(np.zeros(oblique_grid.shape, int), oblique_grid) for _ in range(2))
    a.classes[1] = "liver"
    assert b.classes == {}


@pytest.mark.parametrize(
    ("highest", "kind"),
    [(0, np.uint8), (255, np.uint8), (256, np.uint16), (65535, np.uint16), (65536, np.uint32), (2**32, np.int64)],
)
def test_the_smallest_type_that_holds_a_label_is_chosen(highest, kind):
    assert smallest_integer_type(highest) == kind
    assert np.array([highest], smallest_integer_type(highest))[0] == highest
