"""What lies beside a label image: names of classes and what is known of the objects."""

import json
from pathlib import Path

import numpy as np
import pytest

from medseg.grid import image_grid
from medseg.labels import Instances, Segment
from medseg.workflow.beside import (
    classes_beside,
    is_named_as_labels,
    objects_beside,
    objects_table,
    write_objects,
)


@pytest.mark.parametrize("name", ["x_labels.nii.gz", "x-mask.tif", "seg.nrrd", "labelsTr/x.nii.gz", "masks/1.png"])
def test_labels_are_known_by_their_name_or_folder(tmp_path, name):
    assert is_named_as_labels(tmp_path / name)


@pytest.mark.parametrize("name", ["x.nii.gz", "imagesTr/x.nii.gz", "labelled.tif", "unmasked.png", "segment_1_t1.nii"])
def test_images_are_not_taken_for_labels(tmp_path, name):
    assert not is_named_as_labels(tmp_path / name)


def test_names_come_from_the_table_of_structures(tmp_path):
    (tmp_path / "a_structures.csv").write_text("class_id,name,voxels\n1,left box,9\n2,right box,4\n")
    assert classes_beside(tmp_path / "a_labels.nii.gz") == {1: "left box", 2: "right box"}
    assert classes_beside(tmp_path / "b_labels.nii.gz") == {}


def test_names_come_from_the_description_of_a_data_set(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "liver"}, "training": []}))
    assert classes_beside(tmp_path / "labelsTr" / "a.nii.gz") == {1: "liver"}
    (tmp_path / "dataset.json").write_text("{ broken")
    assert classes_beside(tmp_path / "labelsTr" / "a.nii.gz") == {}


def test_objects_come_back_with_class_score_and_flags(tmp_path):
    array = np.array([[0, 4, 4, 9]], np.uint8)
    segments = (Segment(4, 2, 0.25, flags=("touches_border", "likely_merged")), Segment(9, 1, 1.0))
    objects = Instances(array, image_grid((1, 4), (1.0, 1.0), "um"), segments, {2: "axon"})
    path = tmp_path / "cells_instances.tif"
    assert write_objects(objects, path) == tmp_path / "cells_objects.csv" == objects_table(path)
    assert objects_beside(path) == (segments, {2: "axon"})
    assert is_named_as_labels(tmp_path / "cells.tif")


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "object_id,class_id\nx,1\n", "object_id,class_id\n", "\0\0", "object_id\n1\n"]
)
def test_a_table_of_something_else_says_nothing(tmp_path, text):
    (tmp_path / "x_objects.csv").write_text(text)
    assert objects_beside(tmp_path / "x_instances.tif") is None


def test_a_table_that_is_no_text_says_nothing(tmp_path):
    (tmp_path / "x_objects.csv").write_bytes(b"object_id,class_id\n\xff\xfe,1\n")
    assert objects_beside(tmp_path / "x_instances.tif") is None
    assert objects_beside(Path(tmp_path / "absent.tif")) is None
