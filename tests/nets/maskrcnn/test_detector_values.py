"""Truth from label images, and what travels between processes."""

import pickle

import pytest
import torch

from medseg.nets.maskrcnn.values import NO_CLASS, Detections, Truth


def labels():
    image = torch.zeros(4, 6, 5, dtype=torch.int32)
    image[1, 2:5, 3] = 900
    image[3, 0, 0] = 4
    image[0:2, 5, 4] = 17
    return image


def test_boxes_are_half_open_and_a_voxel_has_the_box_of_its_edges():
    truth = Truth.of(labels())
    assert truth.ids.tolist() == [4, 17, 900]
    assert truth.boxes.tolist() == [[3, 0, 0, 4, 1, 1], [0, 5, 4, 2, 6, 5], [1, 2, 3, 2, 5, 4]]
    assert truth.boxes.dtype == torch.float32
    assert truth.classes.tolist() == [1, 1, 1]


def test_objects_without_a_class_are_neither_objects_nor_background():
    truth = Truth.of(labels(), {4: 2, 900: 1})
    assert truth.ids.tolist() == [4, 900]
    classes = truth.class_map()
    assert classes[3, 0, 0] == 2
    assert classes[1, 3, 3] == 1
    assert (classes == NO_CLASS).sum() == 2
    assert (classes == 0).sum() == (labels() == 0).sum()


def test_an_image_without_objects_has_an_empty_truth():
    truth = Truth.of(torch.zeros(3, 5, dtype=torch.long))
    assert len(truth) == 0
    assert truth.boxes.shape == (0, 4)
    assert truth.class_map().abs().max() == 0
    assert (Truth.of(labels(), {}).class_map() == NO_CLASS).sum() == (labels() > 0).sum()


@pytest.mark.parametrize(
    "value",
    [
        Truth.of(labels()),
        Detections(torch.zeros(1, 4), torch.ones(1), torch.ones(1, dtype=torch.long), torch.zeros(1, 4, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_travel_between_processes(value):
    back = pickle.loads(pickle.dumps(value))
    assert len(back) == len(value)
    assert torch.equal(back.boxes, value.boxes)
    assert torch.equal(value.boxes, value.to(torch.device("cpu")).boxes) if isinstance(value, Truth) else True
